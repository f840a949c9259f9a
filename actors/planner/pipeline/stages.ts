/**
 * The stages of a tick, each a pure function: what it returns is all that it does. `PlannerState`
 * is plain data, so a journal that holds it holds the whole planner.
 *
 *   observe ─▶ predict ─▶ propose ─▶ reconcile ─▶ constrain ─▶ execute
 *   snapshot   prediction proposals  targets       actions      (a Connector)
 */
import type { PlannerConfig } from "./config.ts";
import type { PlanAction, Prediction, Proposal, ReasonName, Targets } from "./decision.ts";
import type { PlanRole, PlanSnapshot } from "./snapshot.ts";

/** What stands in front of every stage. */
export type StageInput<Memory> = {
  readonly config: PlannerConfig;
  readonly snapshot: PlanSnapshot;
  /** What this stage kept from the ticks before; plain data. */
  readonly memory: Memory;
  /** From the start of a worker until it serves, as configured or learned; undefined: unknown. */
  readonly startup_ms?: number;
};

/**
 * Whose interval a stage proposes by. Every stage is called at every load interval, so that it
 * sees all passes. What a `throughput` stage returns counts when the throughput interval ends: it
 * is then given the traffic of all of that interval, and what it returned is kept until the next
 * one ends.
 */
export type Cadence = "load" | "throughput";

export type Staged<Result, Memory> = { readonly result: Result; readonly memory: Memory };

export interface PredictStage<Memory> {
  readonly start: Memory;
  predict(input: StageInput<Memory>): Staged<Prediction, Memory>;
}

export interface ProposeStage<Memory> {
  readonly start: Memory;
  /** By which the journal finds its memory again; absent: its place in the list. */
  readonly name?: string;
  /** Absent: `load`. */
  readonly cadence?: Cadence;
  propose(
    input: StageInput<Memory> & { readonly prediction: Prediction },
  ): Staged<readonly Proposal[], Memory>;
}

export type RoleTarget = {
  readonly role: PlanRole;
  readonly wanted: number;
  readonly reason: ReasonName;
  readonly why: string;
  /** Of these, those that are wanted for what waits now and go with it. */
  readonly passing?: number;
  /** Of the loop that decided; absent: none did, and the number of workers is held. */
  readonly loop?: Proposal["loop"];
};

export type Constrained = {
  readonly targets: Targets;
  readonly roles: readonly RoleTarget[];
  readonly actions: readonly PlanAction[];
};
