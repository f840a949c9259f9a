/**
 * The face of `worker`: one actor in each worker process owns one engine and every answer that it
 * makes.
 *
 *   stream ── Generate ──▶ worker ── submit ──▶ engine
 *     ▲ ── Credit, Cancel ──▶ │ ◀── poll ──────────┘
 *     └────── TokenBatch ─────┘ one for each answer and engine pass, while there is credit
 *
 * Starting is all in `init`: open the engine, build the model's card, make a few tokens, register.
 * A worker whose `init` has returned is ready. An engine that throws ends the worker, because the
 * engine's state is unknown then; the supervisor starts a new worker.
 */
export { CanaryError, type CanaryOptions } from "./canary.ts";
export { EngineStuckError, type HealthLimits } from "./engine-health.ts";
export type { TierOptions } from "./kv/keeper-link.ts";
export { SharedParts } from "./shared-parts.ts";
export { WorkerActor } from "./worker-actor.ts";
export type {
  KeepOptions,
  StartProgress,
  WorkerModel,
  WorkerOptions,
  WorkerRegistry,
} from "./worker-options.ts";
