/** What a person reads of a load run: the line while it runs, and the table after it. */
import type { LoadPlan } from "./plan.ts";
import type { LoadProgress } from "./run-load.ts";
import type { LoadSummary, Spread } from "./summary.ts";

export function progressLine(now: Parameters<LoadProgress>[0]): string {
  const seconds = now.elapsed_ms / 1000;
  return [
    `${seconds.toFixed(0)} s`,
    `${whole(now.ended)} done`,
    `${whole(now.sent - now.ended)} under way`,
    `${whole(now.errors)} errors`,
    `${shown(now.ended / seconds)} req/s`,
    `${shown(now.tokens / seconds)} tok/s`,
  ].join("  ");
}

export function loadTable(plan: LoadPlan, summary: LoadSummary): string {
  const lines = [
    describe(plan),
    "",
    `requests     ${whole(summary.completed)} good, ${whole(summary.errors)} failed, ` +
      `in ${shown(summary.wall_ms / 1000)} s (seed ${summary.seed})`,
    `throughput   ${shown(summary.req_per_s)} req/s, ${shown(summary.tokens_per_s)} tokens/s`,
    `tokens       ${shown(summary.prompt_tokens_mean)} of prompt ` +
      `(${shown(summary.cached_tokens_mean)} cached), ${shown(summary.tokens_mean)} of answer, ` +
      `${shown(summary.events_per_token)} events a token`,
    `client       ${shown(100 * summary.client_cpu)} % of a core; requests left ` +
      `${shown(summary.send_lag_ms.p50)} ms (p50), ${shown(summary.send_lag_ms.p99)} ms (p99) late`,
    "",
    row("ms", ["mean", "p50", "p90", "p99", "max"]),
    spreadRow("first token", summary.ttft_ms),
    spreadRow("between", summary.itl_ms),
    spreadRow("whole", summary.e2e_ms),
  ];
  if (summary.goodput !== undefined) {
    const { share, req_per_s } = summary.goodput;
    lines.push(`goodput      ${shown(100 * share)} % of the requests, ${shown(req_per_s)} req/s`);
  }
  for (const [kind, count] of Object.entries(summary.error_kinds)) {
    lines.push(`${whole(count)} × ${kind}`);
  }
  return lines.join("\n");
}

/** The run in one line. */
export function describe(plan: LoadPlan): string {
  const { source, arrival } = plan;
  const asked =
    source.kind === "trace"
      ? `a trace of ${whole(source.rows.length)} requests`
      : `ISL ${source.isl} (${shown(100 * source.shared)} % shared), OSL ${source.osl}`;
  const how =
    arrival.kind === "closed"
      ? `${arrival.concurrency} at a time`
      : arrival.kind === "rate"
        ? `${rateOf(arrival)} a second (${arrival.process})`
        : `on its schedule, ${arrival.speedup}×`;
  return `${plan.url} ${plan.model}: ${asked}, ${how}`;
}

const rateOf = ({ per_s, swing }: Extract<LoadPlan["arrival"], { kind: "rate" }>) =>
  swing === undefined ? per_s : `${per_s} to ${swing.high_per_s} each ${swing.period_ms / 1000} s,`;

const spreadRow = (name: string, { mean, p50, p90, p99, max }: Spread) =>
  row(name, [mean, p50, p90, p99, max].map(shown));
const row = (name: string, cells: readonly string[]) =>
  name.padEnd(12) + cells.map((cell) => cell.padStart(10)).join("");
const whole = (value: number) => value.toLocaleString("en");

export function shown(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value >= 1000) return whole(Math.round(value));
  return value === 0 ? "0" : String(Number(value.toPrecision(3)));
}
