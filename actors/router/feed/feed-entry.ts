/** The feed's state of one worker, and the faults that its events may have. */
import type { ActorRef, WorkerRecord } from "../../../proto/index.ts";
import { workerKey } from "../../names/names.ts";

/** Why a worker's events are not used. */
export type FeedFault = "silent" | "no_events" | "block_size" | "garbage";
export type FeedState = "subscribing" | "dumping" | "fetching" | "live" | "approximate";

/** A worker in the feed's snapshot. */
export type FedWorker = {
  readonly worker: string;
  readonly model: string;
  readonly slot: number;
  readonly state: FeedState;
  readonly fault: FeedFault | undefined;
  readonly blocks: number;
};

/** The feed's state of one start of a worker. */
export type FeedEntry = {
  readonly key: string;
  readonly record: WorkerRecord;
  readonly ref: ActorRef;
  readonly model: string;
  readonly slot: number;
  state: FeedState;
  fault: FeedFault | undefined;
  /** Number of our subscription; events with another number are of another life. */
  subscription: number;
  /** Raised by each ask; the reply to an older one is ignored. */
  turn: number;
  /** Id of the next event to apply. */
  next_id: number;
  /** The worker's cache is in the index, up to `next_id`. */
  synced: boolean;
  /** When its last answer or events came. */
  last_message_ms: number;
  retry_ms: number;
  retry_delay_ms: number;
  /** Since when the entry is live, if it is. */
  live_ms: number;
  /** Told by the worker's load, see `noteLoad`. */
  cached_since_ms: number | undefined;
};

/** The pause before a worker whose events could not be used is asked again; it doubles. */
export const RETRY_MS = 5_000;

/** Texts for the log, which follow the worker's name. */
export const faultTexts: Readonly<Record<FeedFault, string>> = {
  silent: "does not say what is in its cache; can this machine reach it?",
  no_events: "does not publish cache events; its engine has none or they are switched off",
  block_size: "has another block size than the model's other workers; start it with theirs",
  garbage: "publishes cache events that cannot be read; is it of a version that this one knows?",
};

export function newEntry(
  record: WorkerRecord,
  ref: ActorRef,
  slot: number,
  now_ms: number,
): FeedEntry {
  return {
    key: workerKey(record.worker, ref),
    record,
    ref,
    model: record.card?.name ?? "",
    slot,
    state: "subscribing",
    fault: undefined,
    subscription: 0,
    turn: 0,
    next_id: 0,
    synced: false,
    last_message_ms: now_ms,
    retry_ms: Number.POSITIVE_INFINITY,
    retry_delay_ms: RETRY_MS,
    live_ms: now_ms,
    cached_since_ms: undefined,
  };
}
