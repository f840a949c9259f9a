/**
 * The throughput loop (Dynamo 1.x, `core/throughput_scaling.py`): so many workers that the
 * predicted requests are done at the rate of one worker within the SLA. With the load loop on, the
 * number is a floor for it.
 */
import type { PassModel } from "../model/pass-model.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Prediction, Proposal, ReasonName } from "../pipeline/decision.ts";
import { leastOf, rolesOf } from "../pipeline/roles.ts";
import type { PlanRole, PlanSnapshot } from "../pipeline/snapshot.ts";
import { countRole } from "./count-role.ts";
import {
  aggregatedRate,
  type Demand,
  decodeRate,
  type EngineRate,
  prefillRate,
} from "./engine-rates.ts";

export type ThroughputInput = {
  readonly config: PlannerConfig;
  readonly snapshot: PlanSnapshot;
  readonly prediction: Prediction;
  /** Undefined: not known yet. */
  readonly modelOf: (role: PlanRole) => PassModel | undefined;
  /** The most KV tokens that were in use at a worker of the role. */
  readonly kvTokensSeen: (role: PlanRole) => number;
};

/** One proposal for each role of the mode. */
export function throughputLoop(input: ThroughputInput): readonly Proposal[] {
  const { config, snapshot, prediction } = input;
  const roles = rolesOf(config);
  const all = (reason: ReasonName, why: string) => roles.map((role) => held(role, reason, why));
  if (!config.enable_throughput_scaling) return all("disabled", "The throughput loop is off.");
  if (snapshot.traffic === undefined || !(prediction.interval_ms > 0)) {
    return all("no_traffic_data", "Nobody who counts requests answered.");
  }
  const { requests, isl, osl, failure } = prediction;
  if (requests === 0) {
    return roles.map((role) =>
      wanted(input, role, 0, "no_traffic", "No request is expected: the minimum is enough"),
    );
  }
  if (failure === undefined && requests === undefined) {
    return all("no_traffic_data", "Too few requests were counted yet.");
  }
  if (
    failure !== undefined ||
    requests === undefined ||
    !(isl !== undefined && isl > 0) ||
    !(osl !== undefined && osl > 0)
  ) {
    const why = failure?.why ?? "The lengths of the next interval's requests are not known.";
    return all("predict_failed", why);
  }
  const { kv_hit_rate = 0, accept_length } = prediction;
  const demand: Demand = { isl, osl, kv_hit_rate, accept_length };
  const rates = roles.map((role) => rateOf(input, role, demand));
  if (rates.some((rate) => rate === undefined || !(rate.requests_per_s > 0))) {
    // One role alone would be sized for what the other cannot take.
    const missing = roles.filter((_, i) => rates[i] === undefined).join(" and ");
    return all("model_not_ready", `What a pass of ${missing} takes is not known yet.`);
  }
  const demand_rps = (1_000 * requests) / prediction.interval_ms;
  return roles.map((role, i) => {
    const rate = rates[i]!;
    const reason = config.enable_load_scaling ? "set_lower_bound" : "scale";
    const why =
      `${figure(demand_rps)} requests/s of ${figure(isl)} + ${figure(osl)} tokens, ` +
      `${figure(rate.requests_per_s)} at one worker${missed(config, rate)}`;
    return wanted(input, role, Math.ceil(demand_rps / rate.requests_per_s), reason, why);
  });
}

function rateOf(input: ThroughputInput, role: PlanRole, demand: Demand): EngineRate | undefined {
  const { config, snapshot } = input;
  const model = input.modelOf(role);
  if (model === undefined) return undefined;
  if (role === "prefill") return prefillRate(model, demand, snapshot.limits);
  if (role === "decode") {
    return decodeRate(model, demand, snapshot.limits, config, input.kvTokensSeen(role));
  }
  if (!(snapshot.limits.max_batch_tokens > 0)) return undefined;
  return aggregatedRate(model, demand, snapshot.limits, config);
}

function missed(config: PlannerConfig, { ttft_ms, itl_ms }: EngineRate): string {
  const late = [
    ...(ttft_ms > config.ttft_ms ? [`TTFT ${figure(ttft_ms)} ms`] : []),
    ...(itl_ms > config.itl_ms ? [`ITL ${figure(itl_ms)} ms`] : []),
  ];
  return late.length === 0 ? "" : ` (misses the SLA: ${late.join(", ")})`;
}

/** At most `max_throughput_scaling_replicas` more or fewer than now, never under the minimum. */
function wanted(
  { config, snapshot }: ThroughputInput,
  role: PlanRole,
  count: number,
  reason: ReasonName,
  why: string,
): Proposal {
  const { serving, starting } = countRole(snapshot, role);
  const now = serving.length + starting.length;
  const most = config.max_throughput_scaling_replicas;
  const step = most > 0 ? most : Number.POSITIVE_INFINITY;
  const stepped = Math.min(Math.max(count, now - step), now + step);
  const target = Math.max(stepped, leastOf(config, role));
  const capped = stepped === count ? "" : `, ${count} in steps of at most ${most}`;
  const text = `${why}${capped}: ${target}.`;
  const floor = config.enable_load_scaling;
  return { loop: "throughput", role, wanted: target, floor, reason, why: text };
}

function held(role: PlanRole, reason: ReasonName, why: string): Proposal {
  return { loop: "throughput", role, wanted: undefined, floor: false, reason, why };
}

/** For people: three significant digits. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
