/**
 * `bun run load --url URL [flags]`: load on any OpenAI endpoint, in a closed loop, at a rate, or on
 * the schedule of a trace, with prompts that no cache has seen. Exit 1 when a request failed.
 */
import { htmlReport } from "./load/html.ts";
import { LoadOptionsError, loadOptions, usage } from "./load/options.ts";
import type { LoadPlan } from "./load/plan.ts";
import { type LoadProgress, runLoad } from "./load/run-load.ts";
import { summarize } from "./load/summary.ts";
import { loadTable, progressLine } from "./load/table.ts";

const args = Bun.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) {
  console.log(usage);
  process.exit(0);
}
try {
  process.exit(await load());
} catch (error) {
  if (!(error instanceof LoadOptionsError)) throw error;
  console.error(`load: ${error.message} (--help lists the flags)`);
  process.exit(2);
}

async function load(): Promise<number> {
  const options = loadOptions(args, process.env);
  const plan = { ...options.plan, model: options.plan.model || (await firstModel(options.plan)) };
  const result = await runLoad(plan, options.quiet ? undefined : progressOn(process.stderr));
  const summary = summarize(plan, result);
  if (options.html !== undefined) await Bun.write(options.html, htmlReport(plan, result, summary));
  console.log(options.json ? JSON.stringify(summary) : loadTable(plan, summary));
  return summary.errors === 0 && summary.completed > 0 ? 0 : 1;
}

/** One line that is written over on a terminal; a line now and then elsewhere. */
function progressOn(stream: NodeJS.WriteStream): LoadProgress {
  let next_ms = 0;
  return (now) => {
    if (stream.isTTY) stream.write(`\r\x1b[K${progressLine(now)}`);
    else if (now.elapsed_ms >= next_ms) {
      next_ms = now.elapsed_ms + 10_000;
      stream.write(`${progressLine(now)}\n`);
    }
    if (stream.isTTY && now.last) stream.write("\n");
  };
}

async function firstModel(plan: LoadPlan): Promise<string> {
  const base = plan.url.replace(/\/(v1\/?)?$/, "");
  const advice = "is the server up, and does it want --api-key? --model NAME skips this question";
  try {
    const response = await fetch(`${base}/v1/models`, {
      headers: plan.api_key === undefined ? {} : { Authorization: `Bearer ${plan.api_key}` },
      signal: AbortSignal.timeout(10_000),
    });
    const { data } = (await response.json()) as { data?: { id?: string }[] };
    const id = data?.[0]?.id;
    if (id !== undefined) return id;
    throw new LoadOptionsError(`${base}/v1/models names no model: ${advice}`);
  } catch (error) {
    if (error instanceof LoadOptionsError) throw error;
    throw new LoadOptionsError(`${base}/v1/models did not answer: ${advice}`);
  }
}
