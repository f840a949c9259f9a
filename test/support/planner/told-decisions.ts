/** A planner's decisions over one period of a sine load, as its process would tell them. */
import type { PlannerConfig } from "../../../actors/planner/pipeline/config.ts";
import { plannerDefaults } from "../../../actors/planner/pipeline/config-defaults.ts";
import type { Decision, ReasonName } from "../../../actors/planner/pipeline/decision.ts";
import type { PlanHead } from "../../../actors/planner/report/plan-page.ts";

export const toldConfig: PlannerConfig = {
  ...plannerDefaults,
  ...{ optimization_target: "sla", ttft_ms: 200, itl_ms: 20 },
  ...{ decode_engine_num_gpu: 2, max_workers: 8, throughput_adjustment_interval_seconds: 60 },
};

export const toldHead: PlanHead = {
  ...{ model: "tiny", standing: "decides", epoch: 3, since_ms: 1_700_000_000_000 },
  ...{ config: toldConfig, pending: [], overruns: 0 },
};

const INTERVAL_MS = 5_000;
const PERIOD = 120;
const STARTS_IN = 2;

type Role = { serving: number; starting: number; age: number; retiring: number };

/** @param count how many ticks; a period is 120 of them */
export function toldDecisions(count: number, from_ms = toldHead.since_ms): Decision[] {
  const made: Decision[] = [];
  const roles = {
    prefill: { serving: 1, starting: 0, age: 0, retiring: 0 },
    decode: { serving: 1, starting: 0, age: 0, retiring: 0 },
  };
  let id = 1;
  for (let tick = 0; tick < count; tick += 1) {
    const rate = (at: number) => 25 - 20 * Math.cos((2 * Math.PI * at) / PERIOD);
    const wanted = {
      prefill: Math.ceil(rate(tick + 2) / 12),
      decode: Math.ceil(rate(tick + 2) / 8),
    };
    const load = rate(tick) / (8 * roles.decode.serving);
    const actions = (["prefill", "decode"] as const).flatMap((role) =>
      step(role, roles[role], wanted[role]),
    );
    id += actions.length > 0 ? 1 : 0;
    made.push({
      ...{ id, model: toldHead.model, at_ms: from_ms + tick * INTERVAL_MS },
      ...{ interval_ms: INTERVAL_MS, actions, advisory: false, targets: wanted },
      roles: (["prefill", "decode"] as const).map((role) => {
        const { serving, starting, retiring } = roles[role];
        const changes = actions.some((action) => "role" in action && action.role === role);
        const reason: ReasonName = changes ? "scale" : "no_change";
        return {
          ...{ role, serving, starting, retiring, target: wanted[role] },
          ...{ throughput_reason: reason, load_reason: "disabled", reason },
          why: `${rate(tick + 2).toFixed(1)} requests/s are predicted: ${wanted[role]} workers`,
        };
      }),
      observed: {
        ...{ requests_per_s: rate(tick), isl: 1_000, osl: 120, queued: load > 1 ? 6 : 0 },
        ...{ ttft_p50_ms: 80 * load, ttft_p95_ms: 190 * load, queue_p95_ms: 40 * load },
        ...{ itl_p50_ms: 11 * load, itl_p95_ms: 18 * load },
        attainment: load > 1.05 ? 0.9 : 0.99,
      },
      predicted: {
        ...{ requests: rate(tick + 1) * 60, isl: 1_010, osl: 118, interval_ms: 60_000 },
      },
      estimated: { ttft_ms: 150 * load, itl_ms: 15 * load },
    });
  }
  return made;
}

function step(name: "prefill" | "decode", role: Role, wanted: number): Decision["actions"] {
  role.retiring = 0;
  if (role.starting > 0 && ++role.age >= STARTS_IN) {
    role.serving += role.starting;
    role.starting = 0;
  }
  const more = wanted - role.serving - role.starting;
  if (more === 0) return [];
  if (more > 0) {
    role.starting += more;
    role.age = 0;
    return [{ kind: "add", role: name, count: more }];
  }
  role.serving += more;
  role.retiring = -more;
  const workers = Array.from({ length: -more }, (_, i) => `${name}-${role.serving + i}`);
  return [{ kind: "retire", role: name, workers }];
}
