/**
 * Parts that the workers of one process share. The event loop is watched once for all. Canaries
 * and looks of each worker become rarer with the number of workers.
 */
import type { Clock, Random } from "../../runtime/capabilities.ts";
import { type BlockMeter, watchEventLoop } from "../../runtime/observe/event-loop.ts";
import { type HealthLimits, healthDefaults } from "./engine-health.ts";
import { ProcessReports } from "./load/process-reports.ts";

const WORKERS_PER_CANARY = 8;
const WORKERS_PER_LOOK = 64;
const LOOK_MOST_MS = 4_000;

export class SharedParts {
  readonly reports: ProcessReports;
  readonly health: HealthLimits;
  /** Time between two looks of a worker at its engine and its answers. */
  readonly look_ms: number;
  readonly #clock: Clock;
  #loop: BlockMeter | undefined;

  /** @param workers that the process has */
  constructor(clock: Clock, workers: number) {
    this.#clock = clock;
    this.reports = new ProcessReports(clock);
    // Simulated engines hang with their process, and a canary of any one of them shows it.
    const rarer = Math.max(1, workers / WORKERS_PER_CANARY);
    this.health = { ...healthDefaults, idle_ms: healthDefaults.idle_ms * rarer };
    this.look_ms = Math.min(
      LOOK_MOST_MS,
      1_000 * Math.max(1, Math.ceil(workers / WORKERS_PER_LOOK)),
    );
  }

  /** Meter of the event loop that all workers share; no worker may stop it. */
  get meter(): BlockMeter {
    this.#loop ??= watchEventLoop(this.#clock);
    return this.#loop;
  }

  /** A drawn time of last work for a worker that starts now, so that canaries spread out. */
  workedMs(random: Random): number {
    return this.#clock.now_ms() - random.unit() * this.health.idle_ms;
  }
}
