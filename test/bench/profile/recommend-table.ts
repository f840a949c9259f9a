/** What is recommended and why, for a terminal. */
import type { Asked, Candidate, FrontierPoint, Recommendation, Workers } from "./recommend.ts";

const frontier_rows = 12;

export function recommendationText(asked: Asked, found: Recommendation): string {
  const { best, candidates } = found;
  return [
    askedText(asked),
    best === undefined
      ? infeasibleText(asked, found)
      : `${pickNames[found.pick]}: ${workersText(best.workers)}, ${counted(best.gpus, "GPU")}\n` +
        `  ${startText(asked, best)}`,
    "",
    tableText(
      ["workers", "GPUs", "req/s", "tok/s/GPU", "TTFT ms", "ITL ms", "within"],
      candidates.map((one) => candidateRow(one)),
    ),
  ].join("\n");
}

const pickNames = {
  "load-match": "Fewest GPUs for the load",
  default: "Most requests for the budget",
  autoscale: "To begin with",
} as const;

export function askedText({ sla, demand, requests_per_s, gpus }: Asked): string {
  const hits = demand.kv_hit_rate > 0 ? `, ${figure(100 * demand.kv_hit_rate)} % cached` : "";
  const load = requests_per_s === undefined ? "" : `${figure(requests_per_s)} requests/s of `;
  const budget = gpus === undefined ? "" : `, at most ${counted(gpus, "GPU")}`;
  return (
    `${load}${figure(demand.isl)} + ${figure(demand.osl)} tokens${hits}; ` +
    `TTFT ≤ ${figure(sla.ttft_ms)} ms, ITL ≤ ${figure(sla.itl_ms)} ms (means)${budget}`
  );
}

export function infeasibleText({ sla, gpus: budget }: Asked, found: Recommendation): string {
  const { reachable, candidates, beyond_budget } = found;
  const lines = ["Nothing holds this."];
  if (beyond_budget !== undefined) {
    const { workers, gpus } = beyond_budget;
    return `${lines[0]} It takes ${counted(gpus, "GPU")}: ${workersText(workers)}.`;
  }
  if (reachable.ttft_ms > sla.ttft_ms) {
    lines.push(
      `  A lone prompt takes ${figure(reachable.ttft_ms)} ms: no number of workers helps.`,
    );
  }
  if (reachable.itl_ms > sla.itl_ms) {
    lines.push(
      `  A lone answer takes ${figure(reachable.itl_ms)} ms a token: neither does it here.`,
    );
  }
  const nearest = candidates.find(({ gpus }) => gpus <= (budget ?? gpus));
  if (nearest !== undefined) {
    const times = `TTFT ${figure(nearest.ttft_ms)} ms and ITL ${figure(nearest.itl_ms)} ms`;
    const does = `${figure(nearest.capacity_per_s)} requests/s within the SLA or as near as can be`;
    lines.push(`  Nearest: ${workersText(nearest.workers)} has ${times}, and does ${does}.`);
  }
  return lines.join("\n");
}

/** The cluster that is recommended, or whose planner begins with it. */
export function startText({ sla }: Asked, { workers }: Candidate): string {
  const counts =
    workers.kind === "aggregated"
      ? `--workers ${workers.workers}`
      : `--prefill ${workers.prefill} --decode ${workers.decode}`;
  return `bun run cluster ${counts}   (SLA for its planner: --ttft-ms ${sla.ttft_ms} --itl-ms ${sla.itl_ms})`;
}

export function workersText(workers: Workers): string {
  if (workers.kind === "aggregated") return counted(workers.workers, "worker");
  return `${workers.prefill} prefill + ${workers.decode} decode`;
}

export const candidateRow = (one: Candidate): readonly string[] => [
  workersText(one.workers),
  String(one.gpus),
  ...[one.capacity_per_s, one.tokens_per_s_per_gpu, one.ttft_ms, one.itl_ms].map(figure),
  one.holds ? "yes" : "no",
];

export function frontierText(points: readonly FrontierPoint[]): string {
  return tableText(
    ["role", "at once", "tok/s/GPU", "TTFT ms", "ITL ms"],
    thinned(points).map((one) => frontierRow(one)),
  );
}

export const frontierRow = (one: FrontierPoint): readonly string[] => [
  one.kind,
  String(one.batch),
  ...[one.tokens_per_s_per_gpu, one.ttft_ms, one.itl_ms].map(figure),
];

/** The first, the last and some between, of each kind. */
function thinned(points: readonly FrontierPoint[]): readonly FrontierPoint[] {
  return (["aggregated", "disaggregated"] as const).flatMap((kind) => {
    const own = points.filter((point) => point.kind === kind);
    const step = Math.max(1, (own.length - 1) / (frontier_rows - 1));
    const count = Math.min(own.length, frontier_rows);
    return Array.from({ length: count }, (_, i) => own[Math.round(i * step)]).filter(
      (point) => point !== undefined,
    );
  });
}

function tableText(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, i) =>
    Math.max(head.length, ...rows.map((cells) => (cells[i] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ");
  return [heads, ...rows].map(line).join("\n");
}

const counted = (count: number, name: string) => `${count} ${name}${count === 1 ? "" : "s"}`;

export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}
