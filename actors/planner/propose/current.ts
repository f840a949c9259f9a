/**
 * Dynamo's current planner (1.x) as one stage, since its two loops share what a pass takes: the
 * throughput loop in its long interval, the load loop in its short one. Between two decisions the
 * last one holds. With static thresholds (`optimization_target` other than `sla`) the load loop is
 * on and the throughput loop off, whatever the configuration says.
 */
import type { Curves } from "../model/curves.ts";
import { regressionsOf } from "../model/curves.ts";
import { learn, type Regression, type Regressions, regressionModel } from "../model/regression.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Prediction, Proposal } from "../pipeline/decision.ts";
import { rolesOf } from "../pipeline/roles.ts";
import type { PlanRole, PlanSnapshot } from "../pipeline/snapshot.ts";
import type { ProposeStage, StageInput } from "../pipeline/stages.ts";
import { computedTokens } from "./engine-rates.ts";
import { estimate } from "./estimate.ts";
import { guardOf, loadProposal, type Signal } from "./load-guards.ts";
import { type RoleModel, slaSignal } from "./load-sla.ts";
import { staticSignal } from "./load-static.ts";
import { throughputLoop } from "./throughput-loop.ts";

/** Decisions of a loop; null: none yet. */
type Held = { readonly at_ms: number | null; readonly proposals: readonly Proposal[] };

/** Plain data that survives JSON. */
export type CurrentMemory = {
  readonly regressions: Regressions;
  /** Of the prompts, the last that were measured; 0: none yet. */
  readonly mean_isl: number;
  readonly kv_hit_rate: number;
  readonly throughput: Held;
  readonly load: Held;
  /** Signals for fewer workers in a row. */
  readonly downs: Readonly<Partial<Record<PlanRole, number>>>;
};

const nothing: Held = { at_ms: null, proposals: [] };

export function currentStage(
  config: PlannerConfig,
  curves: Curves | undefined,
): ProposeStage<CurrentMemory> {
  const profiled = regressionsOf(curves, rolesOf(config));
  return {
    name: "current",
    start: {
      regressions: profiled,
      mean_isl: 0,
      kv_hit_rate: 0,
      throughput: nothing,
      load: nothing,
      downs: {},
    },
    propose(input) {
      const config = loopsOf(input.config);
      const seen = observe(config, input, profiled);
      const throughput = throughputHeld(config, input.snapshot, input.prediction, seen);
      const { load, downs } = loadHeld(config, input.snapshot, { ...seen, throughput });
      const { ttft_ms, itl_ms } = estimate((role) => roleModel(config, seen, role), input.snapshot);
      const estimated = {
        ...(ttft_ms === undefined ? {} : { estimated_ttft_ms: ttft_ms }),
        ...(itl_ms === undefined ? {} : { estimated_itl_ms: itl_ms }),
      };
      return {
        result: [...throughput.proposals, ...load.proposals].map((proposal) => ({
          ...proposal,
          ...estimated,
        })),
        memory: { ...seen, throughput, load, downs },
      };
    },
  };
}

function loopsOf(config: PlannerConfig): PlannerConfig {
  if (config.optimization_target === "sla") return config;
  return { ...config, enable_throughput_scaling: false, enable_load_scaling: true };
}

/** @param profiled of roles that nothing is known of, also when a profile came after a journal */
function observe(
  config: PlannerConfig,
  { memory, snapshot }: StageInput<CurrentMemory>,
  profiled: Regressions,
): CurrentMemory {
  const { isl, kv_hit_rate } = snapshot.traffic ?? {};
  const roles = rolesOf(config);
  const known: Partial<Record<PlanRole, Regression>> = { ...memory.regressions };
  for (const role of roles) {
    if ((known[role]?.samples.length ?? 0) > 0) continue;
    const start = profiled[role];
    if (start !== undefined) known[role] = start;
  }
  return {
    ...memory,
    regressions: learn(known, snapshot, roles),
    mean_isl: isl !== undefined && isl > 0 ? isl : memory.mean_isl,
    kv_hit_rate: kv_hit_rate ?? memory.kv_hit_rate,
  };
}

function roleModel(
  config: PlannerConfig,
  memory: CurrentMemory,
  role: PlanRole,
): RoleModel | undefined {
  const known = memory.regressions[role];
  const model = regressionModel(known, role, config.load_min_observations);
  if (known === undefined || model === undefined) return undefined;
  const { mean_isl, kv_hit_rate } = memory;
  const mean_prompt = computedTokens({ isl: mean_isl, osl: 0, kv_hit_rate });
  return { model, known, mean_prompt };
}

/** Asked again at each tick as long as there is no number yet. */
function throughputHeld(
  config: PlannerConfig,
  snapshot: PlanSnapshot,
  prediction: Prediction,
  memory: CurrentMemory,
): Held {
  const { at_ms, proposals } = memory.throughput;
  const decided = proposals.length > 0 && proposals.every(({ wanted }) => wanted !== undefined);
  const interval_s = config.throughput_adjustment_interval_seconds;
  if (decided && !isDue(at_ms, snapshot, interval_s)) return memory.throughput;
  const fresh = throughputLoop({
    config,
    snapshot,
    prediction,
    modelOf: (role) => roleModel(config, memory, role)?.model,
    kvTokensSeen: (role) => memory.regressions[role]?.kv_tokens_max ?? 0,
  });
  const kept = fresh.map((proposal) => {
    const last = proposals.find(({ role }) => role === proposal.role);
    const nothing_new = proposal.wanted === undefined && proposal.reason !== "disabled";
    // What was decided last holds until the loop knows better.
    return nothing_new && last?.wanted !== undefined
      ? { ...proposal, wanted: last.wanted, floor: config.enable_load_scaling }
      : proposal;
  });
  return { at_ms: snapshot.at_ms, proposals: kept };
}

function loadHeld(
  config: PlannerConfig,
  snapshot: PlanSnapshot,
  memory: CurrentMemory,
): Pick<CurrentMemory, "load" | "downs"> {
  const { load, downs } = memory;
  if (!isDue(load.at_ms, snapshot, config.load_adjustment_interval_seconds)) return { load, downs };
  const down_counts: Partial<Record<PlanRole, number>> = {};
  const proposals = rolesOf(config).map((role) => {
    const signal = signalOf(config, snapshot, memory, role);
    down_counts[role] = signal.step === -1 ? (downs[role] ?? 0) + 1 : 0;
    const floor = memory.throughput.proposals.find((each) => each.role === role && each.floor);
    return loadProposal(config, snapshot, role, signal, floor?.wanted ?? 0, down_counts[role]);
  });
  return { load: { at_ms: snapshot.at_ms, proposals }, downs: down_counts };
}

function signalOf(
  config: PlannerConfig,
  snapshot: PlanSnapshot,
  memory: CurrentMemory,
  role: PlanRole,
): Signal {
  if (!config.enable_load_scaling) {
    return { step: undefined, reason: "disabled", why: "The load loop is off." };
  }
  const guard = guardOf(config, snapshot, role);
  if (guard !== undefined) return { step: undefined, ...guard };
  if (config.optimization_target !== "sla") {
    const prompt = computedTokens({
      isl: memory.mean_isl,
      osl: 0,
      kv_hit_rate: memory.kv_hit_rate,
    });
    return staticSignal(config, snapshot, role, (snapshot.traffic?.queued ?? 0) * prompt);
  }
  return slaSignal(config, snapshot, role, roleModel(config, memory, role));
}

/** Clocks of ticks are not exact: half a tick early is in time. */
export function isDue(at_ms: number | null, snapshot: PlanSnapshot, interval_s: number): boolean {
  return at_ms === null || snapshot.at_ms - at_ms >= interval_s * 1_000 - snapshot.interval_ms / 2;
}
