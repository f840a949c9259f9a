/**
 * One tick of a planner of one model, as a pure function: the same state, snapshot and
 * configuration give the same decision, in a cluster, in a replay and in a test.
 */

import { type ConstrainMemory, constrained, constrainStart } from "../constrain/constrain.ts";
import type { PlannerConfig } from "./config.ts";
import type { Decision, PlanAction, Prediction, Proposal } from "./decision.ts";
import { mergedSnapshots, mergedTraffic } from "./gather.ts";
import { headCount, stillPending, withCancels } from "./head-count.ts";
import { emptyState, type PendingChange, type PlannerState, startFailed } from "./planner-state.ts";
import { reconciled } from "./reconcile.ts";
import { estimateOf, observedOf, roleReports } from "./reports.ts";
import { rolesOf } from "./roles.ts";
import type { PlanRole, PlanSnapshot } from "./snapshot.ts";
import type { PredictStage, ProposeStage, StageInput } from "./stages.ts";
import { startsSeen } from "./startup-time.ts";
import { tickSeconds } from "./tick-seconds.ts";

/** The stages of a planner, which differ by its configuration; `plannerParts` makes them. */
export type PlannerParts = {
  readonly predict: PredictStage<unknown>;
  readonly propose: readonly ProposeStage<unknown>[];
};

export type Ticked = { readonly state: PlannerState; readonly decision: Decision };

/**
 * Which stages a configuration has, and what the values that they keep are of: memories of others
 * are not used.
 */
function stagesOf(config: PlannerConfig): string {
  const { mode, optimization_target, sla_planner, load_predictor } = config;
  const interval = `${config.throughput_adjustment_interval_seconds}s`;
  const scale = config.load_predictor_log1p ? "log1p" : "plain";
  return [mode, optimization_target, sla_planner, load_predictor, interval, scale].join(" ");
}

/** @param epoch part of the names of changes, so that no name is ever used twice */
export function initialState(model: string, config: PlannerConfig, epoch = 0): PlannerState {
  return emptyState(model, epoch, stagesOf(config));
}

export function tick(
  state: PlannerState,
  snapshot: PlanSnapshot,
  config: PlannerConfig,
  parts: PlannerParts,
): Ticked {
  const stages = stagesOf(config);
  const known: PlannerState =
    state.stages === stages ? state : { ...state, stages, memories: {}, proposals: {} };
  const load = mergedSnapshots(known.load, snapshot);
  // A tick may come a little early.
  const early_ms = 500 * tickSeconds(config);
  const load_ms = 1_000 * config.load_adjustment_interval_seconds;
  if (known.last !== undefined && load.interval_ms < load_ms - early_ms) {
    const last: Decision = { ...known.last, at_ms: snapshot.at_ms, actions: [] };
    return { state: { ...known, load, last }, decision: last };
  }
  return decided(proposed(known, load, config, parts), load, config);
}

/** The state with what its stages made of the snapshot. */
function proposed(
  state: PlannerState,
  snapshot: PlanSnapshot,
  config: PlannerConfig,
  parts: PlannerParts,
): PlannerState {
  const early_ms = 500 * config.load_adjustment_interval_seconds;
  const long_ms = 1_000 * config.throughput_adjustment_interval_seconds;
  const seen = startsSeen(state, snapshot, config);
  const interval_ms = (state.throughput?.interval_ms ?? 0) + snapshot.interval_ms;
  const traffic = mergedTraffic(state.throughput?.traffic, snapshot.traffic);
  const due = interval_ms >= long_ms - early_ms;
  const gathered = due ? { ...snapshot, interval_ms, traffic } : snapshot;
  const memories: Record<string, unknown> = { ...state.memories };
  const startup = seen.startup_ms === undefined ? {} : { startup_ms: seen.startup_ms };
  const inputFor = (name: string, start: unknown, about: PlanSnapshot): StageInput<unknown> => ({
    ...{ config, snapshot: about, memory: memories[name] ?? start },
    ...startup,
  });
  // It gathers its own intervals.
  const { predict } = parts;
  const foreseen = predict.predict(inputFor("predict", predict.start, snapshot));
  const prediction = foreseen.result;
  memories["predict"] = foreseen.memory;
  const proposals: Record<string, readonly Proposal[]> = { ...state.proposals };
  for (const [place, stage] of parts.propose.entries()) {
    const name = stage.name ?? `propose-${place}`;
    const long = stage.cadence === "throughput";
    const input = inputFor(name, stage.start, long ? gathered : snapshot);
    const staged = stage.propose({ ...input, prediction });
    memories[name] = staged.memory;
    if (!long || due) proposals[name] = staged.result;
  }
  return {
    ...state,
    ...seen,
    ...{ memories, proposals, prediction },
    load: undefined,
    throughput: due ? undefined : { interval_ms, traffic },
  };
}

function nothingPredicted(interval_ms: number): Prediction {
  return { requests: undefined, isl: undefined, osl: undefined, interval_ms };
}

function decided(state: PlannerState, snapshot: PlanSnapshot, config: PlannerConfig): Ticked {
  const { at_ms } = snapshot;
  const give_up_ms = 1_000 * (config.start_timeout_seconds + config.drain_seconds);
  const pending = stillPending(snapshot, state.pending, give_up_ms);
  const proposals = Object.values(state.proposals).flat();
  const wanted = rolesOf(config).map((role) =>
    reconciled(role, proposals, headCount(snapshot, pending, role).expected),
  );
  const plan = constrained({
    ...{ config, snapshot, pending },
    roles: wanted,
    memory: (state.memories["constrain"] as ConstrainMemory | undefined) ?? constrainStart,
    failed_starts: state.failed_starts,
    startup_ms: state.startup_ms,
  });
  const actions = config.advisory ? [] : plan.actions;
  const before = JSON.stringify(state.last?.targets);
  const news = config.advisory ? JSON.stringify(plan.targets) !== before : actions.length > 0;
  const id = state.decision + (news ? 1 : 0);
  const asked = actions.map((action, n) => pendingChange(state, id, n, action, at_ms));
  const decision: Decision = {
    ...{ id, model: snapshot.model, at_ms, interval_ms: snapshot.interval_ms },
    roles: roleReports(plan.roles, proposals, snapshot, pending),
    targets: plan.targets,
    actions,
    advisory: config.advisory,
    ...(config.advisory ? { advised: plan.actions } : {}),
    observed: observedOf(snapshot),
    predicted: predictedBy(proposals, state.prediction ?? nothingPredicted(snapshot.interval_ms)),
    estimated: estimateOf(proposals),
  };
  const next: PlannerState = {
    ...state,
    memories: { ...state.memories, constrain: plan.memory },
    pending: [...withCancels(pending, actions), ...asked],
    failed_starts: config.advisory ? {} : failuresAfter(state, plan.gave_up, at_ms, config),
    decision: id,
    last: decision,
  };
  return { state: next, decision };
}

/** What was planned for: a loop that foresees by itself says it. */
function predictedBy(proposals: readonly Proposal[], prediction: Prediction): Prediction {
  return proposals.find(({ foreseen }) => foreseen !== undefined)?.foreseen ?? prediction;
}

function pendingChange(
  { model, epoch }: PlannerState,
  decision: number,
  n: number,
  action: PlanAction,
  asked_ms: number,
): PendingChange {
  return { change: `plan-${model}-${epoch}-${decision}-${n}`, decision, action, asked_ms };
}

function failuresAfter(
  state: PlannerState,
  gave_up: readonly PlanRole[],
  at_ms: number,
  config: PlannerConfig,
): PlannerState["failed_starts"] {
  let { failed_starts } = state;
  const why = `no answer within ${config.start_timeout_seconds} s`;
  for (const role of gave_up)
    failed_starts = startFailed({ failed_starts }, role, why, at_ms, config);
  return failed_starts;
}
