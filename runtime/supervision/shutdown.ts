/**
 * Stopping a whole process in named phases with a budget each, as Akka's CoordinatedShutdown does:
 *
 *     stop_admitting → finish_streams → leave_registry → drain_bus → stop_tree
 *
 * A phase that overruns or throws is noted, and the next one begins: a stop always ends.
 */

import type { Clock, Log } from "../capabilities.ts";

export type ShutdownPhase = {
  readonly name: string;
  readonly budget_ms: number;
  /** `signal` is aborted when the budget is spent: work that goes on should give up then. */
  readonly run: (signal: AbortSignal) => void | Promise<void>;
};

type PhaseResult = {
  readonly name: string;
  readonly outcome: "done" | "overran" | "failed";
  readonly took_ms: number;
  readonly error?: string;
};

type ShutdownResult = {
  readonly phases: readonly PhaseResult[];
  /** Every phase was done within its budget. */
  readonly clean: boolean;
  readonly took_ms: number;
};

/** Phases run in order, each for `budget_ms` at most. Never rejects; each is logged. */
export async function runShutdown(
  phases: readonly ShutdownPhase[],
  world: { readonly clock: Clock; readonly log: Log },
): Promise<ShutdownResult> {
  const start_ms = world.clock.now_ms();
  const results: PhaseResult[] = [];
  for (const phase of phases) {
    const { name, budget_ms } = phase;
    world.log.log("debug", `shutdown: ${name}`, { phase: name, budget_ms });
    const result = await runPhase(phase, world.clock);
    results.push(result);
    const level = result.outcome === "done" ? "debug" : "warn";
    world.log.log(level, `shutdown: ${name} ${result.outcome}`, { phase: name, ...result });
  }
  const clean = results.every(({ outcome }) => outcome === "done");
  return { phases: results, clean, took_ms: world.clock.now_ms() - start_ms };
}

async function runPhase(phase: ShutdownPhase, clock: Clock): Promise<PhaseResult> {
  const { name, budget_ms } = phase;
  const start_ms = clock.now_ms();
  const abort = new AbortController();
  const ended = (outcome: PhaseResult["outcome"], thrown?: unknown): PhaseResult => {
    const took_ms = clock.now_ms() - start_ms;
    if (thrown === undefined) return { name, outcome, took_ms };
    return { name, outcome, took_ms, error: String(thrown) };
  };
  return await new Promise<PhaseResult>((resolve) => {
    const timer = clock.after(budget_ms, () => {
      abort.abort();
      resolve(ended("overran"));
    });
    const finish = (result: PhaseResult): void => {
      clock.cancel(timer);
      resolve(result);
    };
    // Started in a promise, so that a throw at once is a failure like a later one.
    Promise.resolve()
      .then(() => phase.run(abort.signal))
      .then(
        () => finish(ended("done")),
        (error) => finish(ended("failed", error ?? "no reason given")),
      );
  });
}
