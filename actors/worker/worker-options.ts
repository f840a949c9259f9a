/** What a worker is made of, and how long it keeps answers. */
import type { ModelCard, WorkerRecord, WorkerRole } from "../../proto/index.ts";
import type { Engine, EngineDescription } from "../engine/engine.ts";
import type { KeepLimits } from "./answers/finished.ts";
import type { CanaryOptions } from "./canary.ts";
import type { HealthLimits } from "./engine-health.ts";
import type { SharedParts } from "./shared-parts.ts";

/** The registry, as a worker needs it; a record also goes when its lease or its process does. */
export interface WorkerRegistry {
  register(record: WorkerRecord): Promise<void>;
  deregister(worker: string): Promise<void>;
}

/** What a model looks like from outside, made once its engine is open. */
export type WorkerModel = {
  readonly card: ModelCard;
  /** By sha256, hex: what the card names. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
};

/** Start-up as people are told of it; `fraction` from 0 to 1. */
export type StartProgress = {
  readonly stage: "load" | "canary" | "register" | "ready";
  readonly fraction: number;
  readonly detail: string;
};

export type WorkerOptions = {
  /** Unique in the cluster; a restarted worker keeps it. */
  readonly worker: string;
  readonly role: WorkerRole;
  /** What requests may ask for, and what they must tolerate; in the worker's record. */
  readonly labels?: readonly string[];
  readonly taints?: readonly string[];
  readonly open: (progress: (fraction: number, detail: string) => void) => Promise<Engine>;
  readonly describe: (engine: EngineDescription) => Promise<WorkerModel>;
  readonly canary: CanaryOptions;
  readonly registry: WorkerRegistry;
  readonly progress: (progress: StartProgress) => void;
  /** When an engine counts as stuck. */
  readonly health?: HealthLimits;
  /** Answers held at once, made ones that wait for a slow consumer included. Default 4,096. */
  readonly answers_max?: number;
  readonly keep?: Partial<KeepOptions>;
  /** Of several workers in one process: what they share. */
  readonly shared?: SharedParts;
};

/** How long answers that others may take up are kept. */
export type KeepOptions = KeepLimits & {
  /** How long one that nobody reads is made and kept. */
  readonly grace_ms: number;
};

export const keepDefaults: KeepOptions = {
  grace_ms: 30_000,
  keep_ms: 60_000,
  answers_max: 4_096,
  bytes_max: 32 * 1024 * 1024,
};
