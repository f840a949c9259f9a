/**
 * All that a planner of one model remembers, as plain data that survives JSON: what the journal
 * keeps is this and nothing beside it. Changes that were begun and have not ended stand in it with
 * their names, so that a planner that comes back asks for them again and nothing is done twice.
 */
import type { PlannerConfig } from "./config.ts";
import type { Decision, PlanAction, Prediction, Proposal } from "./decision.ts";
import type { PlanRole, PlanSnapshot, Traffic } from "./snapshot.ts";

export const PLANNER_STATE_VERSION = 1;

export type PendingChange = {
  /** Its name for the pool: `plan-MODEL-EPOCH-ID-n`. */
  readonly change: string;
  /** Of the decision, and which of its actions. */
  readonly decision: number;
  readonly action: PlanAction;
  readonly asked_ms: number;
  /** Of the workers that it adds, those that were cancelled since. */
  readonly cancelled?: number;
};

/** Traffic of several ticks, until an interval is over. */
export type Gathered = {
  readonly interval_ms: number;
  /** Undefined: there were no figures in it. */
  readonly traffic: Traffic | undefined;
};

/** Starts of one role that came to nothing. */
export type FailedStarts = {
  /** In a row. */
  readonly count: number;
  /** None is tried before. */
  readonly until_ms: number;
  /** The last one, in words. */
  readonly why: string;
};

export type PlannerState = {
  readonly version: typeof PLANNER_STATE_VERSION;
  readonly model: string;
  /** Of who decides; part of the names of changes. */
  readonly epoch: number;
  /** Of the last decision that changed something; 0: none did. */
  readonly decision: number;
  /** Which stages the memories below belong to; others begin anew. */
  readonly stages: string;
  readonly memories: Readonly<Record<string, unknown>>;
  /** Ticks since the last load interval ended, and since the last throughput interval did. */
  readonly load: PlanSnapshot | undefined;
  readonly throughput: Gathered | undefined;
  readonly prediction: Prediction | undefined;
  /** What each stage last proposed, by its name. */
  readonly proposals: Readonly<Record<string, readonly Proposal[]>>;
  readonly pending: readonly PendingChange[];
  readonly failed_starts: Readonly<Partial<Record<PlanRole, FailedStarts>>>;
  /** Workers that start, and since when: how long a start takes is learned from them. */
  readonly starting: Readonly<Record<string, number>>;
  /** Undefined: none has been seen to start. */
  readonly startup_ms: number | undefined;
  readonly last: Decision | undefined;
};

/** @param stages as `stagesOf` names them */
export function emptyState(model: string, epoch: number, stages: string): PlannerState {
  return {
    version: PLANNER_STATE_VERSION,
    ...{ model, epoch, decision: 0, stages },
    memories: {},
    load: undefined,
    throughput: undefined,
    prediction: undefined,
    proposals: {},
    pending: [],
    failed_starts: {},
    starting: {},
    startup_ms: undefined,
    last: undefined,
  };
}

/**
 * A planner that takes over decides under an epoch of its own; what is pending keeps its names.
 */
export function withEpoch(state: PlannerState, epoch: number): PlannerState {
  return { ...state, epoch };
}

/** As if nothing had been learned: what is under way, and how starts went, stays. */
export function withoutLearning(state: PlannerState): PlannerState {
  const { memories, load, throughput, prediction, proposals } = emptyState("", 0, "");
  return { ...state, memories, load, throughput, prediction, proposals };
}

/** How a change ended, as a Connector says it. */
export type ChangeOutcome = {
  readonly kind: "added" | "gone" | "failed" | "refused";
  readonly why?: string;
  /** Of a drain: answers that went on elsewhere; undefined: nobody counts them. */
  readonly unfinished?: number;
};

/**
 * The change has ended. One that could not be done in full is not tried again as such: the next
 * ticks see which workers there are and decide anew, after a while where a start failed.
 */
export function settled(
  state: PlannerState,
  change: string,
  outcome: ChangeOutcome,
  at_ms: number,
  config: PlannerConfig,
): PlannerState {
  const ended = state.pending.find((each) => each.change === change);
  if (ended === undefined) return state;
  const pending = state.pending.filter((each) => each !== ended);
  const failed = outcome.kind === "failed" || outcome.kind === "refused";
  if (!failed || ended.action.kind !== "add") return { ...state, pending };
  const { role } = ended.action;
  const why = outcome.why ?? "it could not be started";
  return { ...state, pending, failed_starts: startFailed(state, role, why, at_ms, config) };
}

/** Between two tries, at most. */
const BACK_OFF_MAX_MS = 600_000;

/** The next try waits for an interval, and twice as long after each further failure. */
export function startFailed(
  state: Pick<PlannerState, "failed_starts">,
  role: PlanRole,
  why: string,
  at_ms: number,
  config: PlannerConfig,
): PlannerState["failed_starts"] {
  const count = (state.failed_starts[role]?.count ?? 0) + 1;
  const first_ms = 2_000 * config.load_adjustment_interval_seconds;
  const wait_ms = Math.min(BACK_OFF_MAX_MS, first_ms * 2 ** Math.min(20, count - 1));
  return { ...state.failed_starts, [role]: { count, until_ms: at_ms + wait_ms, why } };
}
