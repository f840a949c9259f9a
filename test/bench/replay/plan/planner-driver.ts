/** The planner of a cluster, driven by a replay: its state, its decisions, what becomes of them. */
import type { Curves } from "../../../../actors/planner/model/curves.ts";
import type { PlannerConfig } from "../../../../actors/planner/pipeline/config.ts";
import type { Decision, PlanAction } from "../../../../actors/planner/pipeline/decision.ts";
import { plannerParts } from "../../../../actors/planner/pipeline/parts.ts";
import { settled } from "../../../../actors/planner/pipeline/planner-state.ts";
import type { PlanSnapshot } from "../../../../actors/planner/pipeline/snapshot.ts";
import { initialState, tick } from "../../../../actors/planner/pipeline/tick.ts";
import { tickSeconds } from "../../../../actors/planner/pipeline/tick-seconds.ts";
import type { IntervalLoad } from "../../../../actors/planner/predict/interval-load.ts";
import { warmedMemory } from "../../../../actors/planner/predict/predict-stage.ts";
import { proposeStages } from "../../../../actors/planner/propose/propose.ts";
import type { PlanRules } from "./planner-loop.ts";
import type { ActOutcome, StartRules } from "./virtual-pool.ts";

/** What a planner knows before the first request. */
export type PlannerKnown = {
  readonly curves: Curves | undefined;
  /** Empty: nothing. */
  readonly history: readonly IntervalLoad[];
};

export class PlannerDriver {
  /** One a tick. */
  readonly decisions: Decision[] = [];
  readonly config: PlannerConfig;
  readonly #parts;
  readonly #starts: StartRules;
  #state;

  constructor(config: PlannerConfig, starts: StartRules, known: PlannerKnown) {
    this.config = config;
    this.#parts = plannerParts(config, proposeStages(config, known.curves));
    this.#starts = starts;
    const state = initialState("replay", config);
    const predict = warmedMemory(config, known.history);
    const memories = known.history.length > 0 ? { ...state.memories, predict } : state.memories;
    this.#state = { ...state, memories };
  }

  rules(): PlanRules {
    const { ttft_ms, itl_ms } = this.config;
    return {
      ...this.#starts,
      interval_ms: 1_000 * tickSeconds(this.config),
      sla: { ttft_ms, itl_ms },
      decide: (snapshot) => this.#decide(snapshot),
      ended: (action, outcome, at_ms) => this.#ended(action, outcome, at_ms),
    };
  }

  #decide(snapshot: PlanSnapshot): readonly PlanAction[] {
    const { state, decision } = tick(this.#state, snapshot, this.config, this.#parts);
    this.#state = state;
    this.decisions.push(decision);
    return decision.actions;
  }

  #ended(action: PlanAction, outcome: ActOutcome, at_ms: number): void {
    const change = this.#state.pending.find((pending) => pending.action === action)?.change;
    if (change === undefined) return;
    this.#state = settled(this.#state, change, outcome, at_ms, this.config);
  }
}
