/** `bun run replay` from its arguments to its texts. */
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { argsError, checkWritable, limit, UsageError, unwritable } from "../flag-values.ts";
import { htmlReport } from "../html-report.ts";
import { planHtml } from "../plan/plan-html.ts";
import { type PlannedReplay, plannedReplay } from "../plan/planned-replay.ts";
import { reportOf } from "../report.ts";
import { reportTable } from "../report-table.ts";
import { requestLines } from "../request-lines.ts";
import { text, worldOptions, worldUsage } from "../set-up/flags.ts";
import { plannerSetUp, startRules } from "../set-up/plan-flags.ts";
import { planOptions, planUsage } from "../set-up/plan-options.ts";
import { type TraceSource, traceSource } from "../set-up/trace-source.ts";
import { type Deployment, deploymentOf, type World, worldOf } from "../set-up/world.ts";
import { simulate } from "../simulate.ts";

export const replayUsage = `bun run replay TRACE… [flags]
${worldUsage}
${planUsage}
  --json                    one JSON object instead of a table
  --html FILE, --requests FILE   report with plots, of the planner where there is one; one JSON object a request`;

/** Throws UsageError. */
export function readReplayFlags(args: readonly string[]) {
  const options = {
    ...worldOptions,
    ...planOptions,
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    html: text(""),
    requests: text(""),
  } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
    return { flags: values, sources: positionals };
  } catch (error) {
    throw argsError(error, "replay");
  }
}

export type Replayed = {
  readonly out: string;
  /** For stderr. */
  readonly warnings: readonly string[];
};

/** Throws UsageError and others with a code. Writes the files that flags name. */
export async function replayed(args: readonly string[]): Promise<Replayed> {
  const { flags, sources } = readReplayFlags(args);
  if (sources.length === 0) {
    throw new UsageError("which trace? Give its path, or synthetic:requests=4000");
  }
  const limits = {
    ttft_ms: limit("--ttft-ms", flags["ttft-ms"]),
    itl_ms: limit("--itl-ms", flags["itl-ms"]),
  };
  checkWritable("--html", flags.html);
  checkWritable("--requests", flags.requests);
  const source = traceSource(sources, flags);
  const deployment = deploymentOf(flags);
  const world = worldOf(flags, source);
  const planner = await plannerSetUp(flags, deployment);
  const started_ms = performance.now();
  const { result, learned, plan, told } =
    planner === undefined
      ? asItIs(source, world, deployment)
      : plannedReplay(source, world, deployment, planner, startRules(flags));
  const report = reportOf(result, performance.now() - started_ms, limits);
  const { "router-mode": mode, "router-policy": policy } = flags;
  if (flags.html !== "") {
    const html =
      plan === undefined || told === undefined
        ? htmlReport(`${mode} ${mode === "kv" ? policy : ""}`, report, result)
        : planHtml(sources.map((path) => basename(path)).join(", "), told, plan, report);
    write("--html", flags.html, html);
  }
  if (flags.requests !== "") write("--requests", flags.requests, requestLines(result.records));
  return {
    out: flags.json ? JSON.stringify({ ...report, ...plan, learned }) : reportTable(report, plan),
    warnings: planner?.warnings ?? [],
  };
}

/** Without a planner. */
function asItIs(
  { trace }: TraceSource,
  world: World,
  deployment: Deployment,
): Partial<PlannedReplay> & Pick<PlannedReplay, "result" | "learned"> {
  const router = world.router(deployment);
  const result = simulate(trace, world.settings(deployment), router);
  return { result, learned: router.learned };
}

/** Throws UsageError. */
function write(flag: string, path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw unwritable(flag, path, error);
  }
}
