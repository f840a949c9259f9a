/**
 * Tells all routers and streams by way of the registry how the processes of workers ended, because
 * a stream sees the same broken connection for a crash and for a `kill -9`.
 *
 *     root: process exits ──▶ exits/worker-0 = "3 crash" ──▶ each frontend and router
 */
import type { ProcessExit } from "../runtime/capabilities.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import { rootPaths } from "../supervisors/paths.ts";
import { type Discovery, keys } from "./discovery.ts";

const crashSignals = new Map([
  ["SIGILL", 4],
  ["SIGTRAP", 5],
  ["SIGABRT", 6],
  ["SIGBUS", 7],
  ["SIGFPE", 8],
  ["SIGSEGV", 11],
  ["SIGSYS", 31],
]);
const crashNumbers = new Set(crashSignals.values());
/** Shells add this to the number of the signal that ended a process. */
const BY_SIGNAL = 128;
const SIGNALS_MOST = 64;

/**
 * True: the process ended by its own fault. SIGKILL and SIGTERM come from outside, also from the
 * kernel when memory runs out, where the cause is unknown.
 */
export function isCrash({ code, signal }: ProcessExit): boolean {
  if (signal !== null) return crashSignals.has(signal);
  if (code === null || code === 0) return false;
  if (code > BY_SIGNAL && code <= BY_SIGNAL + SIGNALS_MOST) {
    return crashNumbers.has(code - BY_SIGNAL);
  }
  return true;
}

/** News of how a worker ended come at most this long after its loss, or a little before it. */
const NEWS_LATE_MS = 5_000;
const NEWS_EARLY_MS = 500;

/** The root's side. */
export class WorkerCrashes {
  readonly #system: ActorSystem;
  readonly #discovery: Discovery;
  readonly #counts = new Map<string, number>();

  constructor(system: ActorSystem, discovery: Discovery) {
    this.#system = system;
    this.#discovery = discovery;
  }

  /** Workers that share the process ended with it. */
  take(workers: readonly string[], exit: ProcessExit): void {
    const owner = this.#system.lookup(rootPaths.inspector);
    if (owner === undefined) return;
    const how = isCrash(exit) ? "crash" : "killed";
    const { clock, log } = this.#system.capabilities;
    for (const worker of workers) {
      const count = (this.#counts.get(worker) ?? 0) + 1;
      this.#counts.set(worker, count);
      const value = new TextEncoder().encode(`${count} ${how}`);
      this.#discovery.register(keys.exit(worker), value, owner).catch((error: unknown) => {
        log.log("debug", "how a worker ended could not be told", { worker, error: String(error) });
      });
      // Older news are not read any more.
      clock.after(2 * NEWS_LATE_MS, () => {
        if (this.#counts.get(worker) === count) this.#discovery.deregister(keys.exit(worker));
      });
    }
  }
}

/** The side of processes that lost a worker. */
export class CrashLedger {
  readonly #now_ms: () => number;
  /** The last known end of each worker. */
  readonly #heard = new Map<string, { readonly at_ms: number; readonly crash: boolean }>();

  constructor(now_ms: () => number) {
    this.#now_ms = now_ms;
  }

  heard(worker: string, crash: boolean): void {
    this.#heard.set(worker, { at_ms: this.#now_ms(), crash });
  }

  /** `at_ms`: when the worker was lost, on the same clock. Undefined: its root has not said yet. */
  readonly isCrash = (lost: { worker: string; at_ms: number }): boolean | undefined => {
    const heard = this.#heard.get(lost.worker);
    if (heard === undefined) return undefined;
    const late_ms = heard.at_ms - lost.at_ms;
    return late_ms >= -NEWS_EARLY_MS && late_ms <= NEWS_LATE_MS ? heard.crash : undefined;
  };
}
