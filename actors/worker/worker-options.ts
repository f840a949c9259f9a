/** Options of a worker, and how long it keeps answers. */
import type { AdapterMessage, ModelCard, WorkerRecord, WorkerRole } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import type { Engine, EngineDescription } from "../engine/engine.ts";
import type { KeepLimits } from "./answers/finished.ts";
import type { CanaryOptions } from "./canary.ts";
import type { HealthLimits } from "./engine-health.ts";
import type { TierOptions } from "./kv/keeper-link.ts";
import type { SharedParts } from "./shared-parts.ts";

/** The registry, as a worker needs it. A record also ends with its lease or its process. */
export interface WorkerRegistry {
  register(record: WorkerRecord): Promise<void>;
  deregister(worker: string): Promise<void>;
}

/** The model as others see it, made once its engine is open. */
export type WorkerModel = {
  readonly card: ModelCard;
  /** The card's blobs by sha256, in hex. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
};

/** Progress of the start, for people; `fraction` from 0 to 1. */
export type StartProgress = {
  readonly stage: "load" | "canary" | "register" | "ready";
  readonly fraction: number;
  readonly detail: string;
};

export type WorkerOptions = {
  /** Unique in the cluster; a restarted worker keeps it. */
  readonly worker: string;
  readonly role: WorkerRole;
  /** Labels that requests may ask for, and taints that they must tolerate. */
  readonly labels?: readonly string[];
  readonly taints?: readonly string[];
  readonly open: (progress: (fraction: number, detail: string) => void) => Promise<Engine>;
  readonly describe: (engine: EngineDescription) => Promise<WorkerModel>;
  readonly canary: CanaryOptions;
  readonly registry: WorkerRegistry;
  /** The keeper of this machine's adapters; there are none without. */
  readonly adapters?: () => Ref<AdapterMessage>;
  /** The keeper of this machine's blocks; without it blocks stay in their engine. */
  readonly tiers?: TierOptions;
  readonly progress: (progress: StartProgress) => void;
  /** When an engine counts as stuck. */
  readonly health?: HealthLimits;
  /** Answers held at once, with finished ones that a slow reader still reads. Default 4,096. */
  readonly answers_max?: number;
  readonly keep?: Partial<KeepOptions>;
  /** Set where several workers share a process. */
  readonly shared?: SharedParts;
};

/** How long resumable answers are kept. */
export type KeepOptions = KeepLimits & {
  /** How long an answer without a reader is made and kept. */
  readonly grace_ms: number;
};

export const keepDefaults: KeepOptions = {
  grace_ms: 30_000,
  keep_ms: 60_000,
  answers_max: 4_096,
  bytes_max: 32 * 1024 * 1024,
};
