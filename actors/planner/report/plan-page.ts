/** What a planner tells people of one model: plain data, as `GET /api/planner` writes it. */
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Decision, PlanAction, RoleReport } from "../pipeline/decision.ts";
import type { PlanRole } from "../pipeline/snapshot.ts";

/** `standingWords` says what each means. */
export type PlanStanding = "starts" | "decides" | "advises" | "waits" | "stands_by" | "no_figures";

/** A change that was asked for and is not done yet. */
export type PlanPending = {
  readonly change: string;
  /** Of the decision. */
  readonly decision: number;
  readonly action: PlanAction;
  readonly asked_ms: number;
};

export type PlanHead = {
  readonly model: string;
  readonly standing: PlanStanding;
  /** Of who decides; changes of a smaller one are refused. */
  readonly epoch: number;
  /** When this planner began to decide; ms, wall clock. */
  readonly since_ms: number;
  readonly config: PlannerConfig;
  readonly pending: readonly PlanPending[];
  /** Ticks that took longer than their deadline and were dropped whole. */
  readonly overruns: number;
  /** Why the last tick came to nothing; empty: it did not. */
  readonly trouble?: string;
  /** The last changes that ended, oldest first. */
  readonly ended?: readonly PlanEnded[];
};

export type PlanEnded = {
  readonly change: string;
  readonly ended_ms: number;
  /** As a Connector says it. */
  readonly outcome: "added" | "gone" | "failed" | "refused";
  /** Empty where all went well. */
  readonly why: string;
  /** Of a drain: answers that went on elsewhere at its end, where somebody counts them. */
  readonly unfinished?: number;
};

export type RoleCounts = Pick<RoleReport, "serving" | "starting" | "retiring" | "target">;

/** One interval in figures; a field is missing where nothing of the kind was, or nobody said. */
export type PlanPoint = {
  /** Its end. */
  readonly at_ms: number;
  readonly interval_ms: number;
  readonly roles: Readonly<Partial<Record<PlanRole, RoleCounts>>>;
  readonly requests_per_s?: number | undefined;
  readonly isl?: number | undefined;
  readonly osl?: number | undefined;
  /** What was predicted for this interval before it began. */
  readonly predicted_requests_per_s?: number | undefined;
  readonly predicted_isl?: number | undefined;
  readonly predicted_osl?: number | undefined;
  readonly ttft_p50_ms?: number | undefined;
  readonly ttft_p95_ms?: number | undefined;
  readonly itl_p50_ms?: number | undefined;
  readonly itl_p95_ms?: number | undefined;
  readonly queue_p95_ms?: number | undefined;
  readonly queued?: number | undefined;
  readonly attainment?: number | undefined;
};

/** Sums over all intervals since `since_ms`. */
export type PlanTotals = {
  readonly since_ms: number;
  readonly until_ms: number;
  readonly requests: number;
  /** Of the requests, the share within both limits, by interval; undefined: there were none. */
  readonly attainment: number | undefined;
  /** Workers are paid for while they start, serve and retire. */
  readonly worker_hours: Readonly<Partial<Record<PlanRole, number>>>;
  readonly gpu_hours: number;
  /** Decisions that changed something. */
  readonly decisions: number;
};

/** A decision that changed something, or that did not for other reasons than before. */
export type ListedDecision = Omit<Decision, "roles"> & {
  readonly roles: readonly (RoleReport & {
    /** Its reason in words. */
    readonly means: string;
  })[];
  /** Its actions as sentences; of an advisory planner: what it would do. */
  readonly says: readonly string[];
};

export type PlanPage = Omit<PlanHead, "pending"> & {
  /** Its standing in words. */
  readonly says: string;
  readonly pending: readonly (PlanPending & {
    /** Its action as a sentence. */
    readonly says: string;
  })[];
  /** Oldest first. */
  readonly points: readonly PlanPoint[];
  /** Oldest first. */
  readonly decisions: readonly ListedDecision[];
  readonly totals: PlanTotals;
};
