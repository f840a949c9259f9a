/** A thread of `bun run size`: reads the trace by itself, then tries one plan after the other. */
import { UsageError } from "../replay/flag-values.ts";
import { plannedReplay } from "../replay/plan/planned-replay.ts";
import { plannerSetUp, startRules } from "../replay/set-up/plan-flags.ts";
import { traceSource } from "../replay/set-up/trace-source.ts";
import { deploymentOf, worldOf } from "../replay/set-up/world.ts";
import type { Job, ThreadAnswer, ThreadRequest } from "./lanes.ts";
import { readSizeFlags } from "./size-flags.ts";
import { tried } from "./trial.ts";

declare const self: Worker;

type Done =
  | Pick<Extract<ThreadAnswer, { trial: unknown }>, "trial">
  | Pick<Extract<ThreadAnswer, { figures: unknown }>, "figures">;

let doing: (job: Job) => Promise<Done> = () => {
  throw new Error("the first message says which trace it is");
};

self.onmessage = ({ data }: MessageEvent<ThreadRequest | { readonly args: readonly string[] }>) => {
  if ("args" in data) doing = onTrace(data.args);
  else void answerTo(data).then((answer) => self.postMessage(answer));
};

async function answerTo({ id, job }: ThreadRequest): Promise<ThreadAnswer> {
  try {
    return { id, ...(await doing(job)) };
  } catch (error) {
    return { id, problem: error instanceof Error ? error.message : String(error) };
  }
}

function onTrace(args: readonly string[]): (job: Job) => Promise<Done> {
  const { flags, sources } = readSizeFlags(args);
  const source = traceSource(sources, flags);
  const world = worldOf(flags, source);
  return async (job) => {
    if (job.kind === "try") return { trial: tried(world, source, job.question) };
    const setUp = await plannerSetUp(flags, deploymentOf(flags));
    if (setUp === undefined) throw new UsageError("there is no planner: give --planner");
    const { plan } = plannedReplay(source, world, job.begins, setUp, startRules(flags));
    return { figures: plan };
  };
}
