/**
 * Health check of an engine: with work it has to make steps. An idle engine gets a canary of one
 * token from time to time, so that a stuck engine is noticed, and its process replaced, before the
 * next request comes.
 *
 *   idle ── for a while ──▶ canary ── made ──▶ idle
 *     work, and no step for too long ──▶ EngineStuckError: the worker ends, its slot starts another
 *     answers fail one after the other, and no token between ──▶ EngineFailedError: the same
 */
import {
  type Engine,
  type EngineEvent,
  EngineFailedError,
  failureClass,
} from "../engine/engine.ts";
import { CANARY_HANDLE, CanaryError, type CanaryOptions, startCanary } from "./canary.ts";

export type HealthLimits = {
  /** A canary is made after so long without work. */
  readonly idle_ms: number;
  /** An engine that has work and makes no step for this long is stuck. Longer than any step. */
  readonly stuck_ms: number;
};

export const healthDefaults: HealthLimits = { idle_ms: 10_000, stuck_ms: 30_000 };

export class EngineStuckError extends Error {
  readonly code = "engine_stuck";
  override readonly name = "EngineStuckError";
}

/** Answers that fail in a row, without a token of any answer between them. */
const FAILURES_MOST = 3;

/** Looks further apart than this show that this process itself did not run. */
const SLEPT_MS = 5_000;

export class EngineHealth {
  canaries_total = 0;
  readonly #engine: Engine;
  readonly #canary: CanaryOptions;
  readonly #limits: HealthLimits;
  /** A canary is in the engine. */
  probing = false;
  #steps: number;
  #failures = 0;
  /** When the engine last made a step, or had no work. */
  #well_ms: number;
  /** When the engine last had work. */
  #worked_ms: number;
  #looked_ms: number;

  constructor(engine: Engine, canary: CanaryOptions, limits: HealthLimits, now_ms: number) {
    this.#engine = engine;
    this.#canary = { ...canary, max_tokens: 1 };
    this.#limits = limits;
    this.#steps = engine.stats().steps_total;
    this.#well_ms = now_ms;
    this.#worked_ms = now_ms;
    this.#looked_ms = now_ms;
  }

  /** Once a second or so. True: a canary was submitted. Throws when the engine is not well. */
  look(now_ms: number): boolean {
    const { running, waiting, steps_total } = this.#engine.stats();
    const slept = now_ms - this.#looked_ms > SLEPT_MS;
    this.#looked_ms = now_ms;
    const has_work = this.probing || running + waiting > 0;
    if (!has_work || slept || steps_total !== this.#steps) this.#well_ms = now_ms;
    this.#steps = steps_total;
    if (has_work) {
      this.#worked_ms = now_ms;
      this.#checkStuck(now_ms);
      return false;
    }
    if (now_ms - this.#worked_ms < this.#limits.idle_ms) return false;
    const refusal = startCanary(this.#engine, this.#canary);
    if (refusal !== undefined) throw new CanaryError(`a canary was refused: ${refusal.message}`);
    this.probing = true;
    this.#worked_ms = now_ms;
    this.canaries_total++;
    return true;
  }

  /** Counts failures: an engine whose steps all fail does not work. */
  #countFailures(event: EngineEvent): void {
    if (event.kind !== "finished") {
      this.#failures = 0;
    } else if (failureClass(event) === "passing") {
      this.#failures++;
      if (this.#failures < FAILURES_MOST) return;
      const why = event.error ?? "it does not say why";
      throw new EngineFailedError(`${this.#failures} answers in a row failed: ${why}`);
    }
  }

  /** True: the event was the canary's. Throws when the canary fails, or when all answers do. */
  took(event: EngineEvent): boolean {
    if (this.#failures > 0 || event.kind === "finished") this.#countFailures(event);
    if (event.handle !== CANARY_HANDLE) return false;
    if (event.kind === "tokens" || event.kind === "scores") return true;
    this.probing = false;
    if (event.kind === "embedding" || event.reason === "length") return true;
    throw new CanaryError(`a canary failed: ${event.error ?? `it ended with "${event.reason}"`}`);
  }

  #checkStuck(now_ms: number): void {
    const still_ms = now_ms - this.#well_ms;
    if (still_ms < this.#limits.stuck_ms) return;
    const what = this.probing ? "a canary" : "answers to make";
    const still_s = Math.round(still_ms / 1_000);
    throw new EngineStuckError(`the engine has ${what} and made no step for ${still_s} s`);
  }
}
