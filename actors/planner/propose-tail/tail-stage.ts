/**
 * Our own proposal for an SLA: as many workers as the share of requests that is to be within both
 * limits needs, found by what requests cost and how they spread, for the load that there will be
 * when workers that start now serve. What waits already is to be gone soon after they came. It
 * goes up at once and as far as it must, and down when a load that is somewhat higher needs fewer
 * as well.
 */
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Proposal, ReasonName } from "../pipeline/decision.ts";
import { rolesOf } from "../pipeline/roles.ts";
import type { PlanRole, PlanSnapshot } from "../pipeline/snapshot.ts";
import type { ProposeStage } from "../pipeline/stages.ts";
import { type Backlog, backlogOf, isBehind } from "./backlog.ts";
import { type Arrivals, type Demand, demandOf } from "./demand.ts";
import { type Carried, learned, lostScaleOf, spreadsOf, withTails, workOf } from "./learn.ts";
import { type Need, needOf } from "./need.ts";
import { type TailMemory, tailStart } from "./tail-memory.ts";
import { CALM_LOAD, type Expected, expected, loadOf, variationOf } from "./work.ts";

/** A start of unknown length is thought to take so long. */
const STARTUP_MS = 30_000;
/** Fewer workers must be enough for so much more load, and for what chance may have hidden. */
const DOWN_MARGIN = 1.05;
const DOWN_ERRORS = 1.5;

export const tailStage: ProposeStage<TailMemory> = {
  name: "tail",
  cadence: "load",
  start: tailStart,
  propose({ config, snapshot, memory, startup_ms = STARTUP_MS }) {
    const seen = learned(memory, snapshot, config);
    const lead_ms = startup_ms + snapshot.interval_ms;
    const demand = demandOf(seen.arrivals, lead_ms);
    const { traffic } = snapshot;
    if (traffic === undefined || demand === undefined) {
      const why = "Nobody says how many requests came: the workers that there are stay.";
      const result = rolesOf(config).map((role) => silent(role, "no_traffic_data", why));
      return { result, memory: seen };
    }
    const carried = (role: PlanRole): Carried | undefined => {
      const work = workOf(seen, role, demand.now, snapshot.limits.max_batch_tokens);
      return work && { work, workers: Math.max(1, servingOf(snapshot, role)) };
    };
    const [first = "aggregated", answers = first] = rolesOf(config);
    const sides = { first: carried(first), answers: carried(answers) };
    const { work, workers = 1 } = sides.first ?? {};
    const behind = work !== undefined && isBehind(snapshot, first, work, workers);
    const next = withTails(seen, snapshot, config, sides, behind);
    const result = rolesOf(config).map((role) =>
      proposalFor(role, next, snapshot, config, demand, startup_ms),
    );
    return { result, memory: next };
  },
};

function servingOf({ workers }: PlanSnapshot, role: PlanRole): number {
  return workers.filter((each) => each.role === role && each.state === "serving").length;
}

function silent(role: PlanRole, reason: ReasonName, why: string): Proposal {
  return { loop: "sla", role, wanted: undefined, floor: false, reason, why };
}

function proposalFor(
  role: PlanRole,
  memory: TailMemory,
  snapshot: PlanSnapshot,
  config: PlannerConfig,
  demand: Demand,
  startup_ms: number,
): Proposal {
  const work = workOf(memory, role, demand.ahead, snapshot.limits.max_batch_tokens);
  const [loop, floor] = ["sla", false] as const;
  const comes_per_s = (demand.now + demand.ahead) / 2;
  const backlog = backlogOf(snapshot, role, work, comes_per_s, startup_ms);
  if (demand.ahead === 0 && backlog.work_ms === 0) {
    const why = "No request came in the last minute and none waits.";
    return { loop, role, wanted: 0, floor, reason: "no_traffic", why };
  }
  if (work === undefined) {
    const why = `No pass of a ${role} worker has been seen yet, so nothing is known of its speed.`;
    return silent(role, "model_not_ready", why);
  }
  const spreads = spreadsOf(memory, work);
  const sides = { role, config, spreads, lost_scale: lostScaleOf(memory) };
  const present = presentOf(snapshot, role);
  const need = needOf(work, sides);
  // Work that caches are about to save calls for nobody while those that are there can do it.
  const holds = isCold(memory.arrivals) && loadOf(work, present) < CALM_LOAD;
  const asked = holds ? Math.min(need.workers, present) : need.workers;
  const up = Math.max(asked, backlog.workers);
  const spread = variationOf(spreads.own) / Math.max(1, memory.uncached.weight);
  const chance = DOWN_MARGIN + DOWN_ERRORS * Math.sqrt(demand.error ** 2 + spread);
  // Who is needed when a rising line has gone on as far again would be started anew.
  const rise = demand.ahead > 0 ? 2 - demand.now / demand.ahead : 1;
  const margin = Math.max(chance, rise);
  const more = needOf({ ...work, requests_per_s: margin * work.requests_per_s }, sides);
  const down = Math.max(more.workers, backlog.workers);
  // While something waits or did a moment ago none goes: what was just started is at work on it.
  const since_ms = snapshot.at_ms - (memory.overloaded_ms ?? Number.NEGATIVE_INFINITY);
  const relieves = backlog.work_ms > 0 || since_ms < 1.5 * snapshot.interval_ms;
  const keeps = relieves ? present : Math.min(present, down);
  const wanted = Math.max(up, keeps);
  const serving = Math.max(1, servingOf(snapshot, role));
  const limits = { ttft_ms: config.ttft_ms, itl_ms: config.itl_ms };
  const at_present = expected({ ...work, requests_per_s: demand.now }, serving, spreads, limits);
  return {
    ...{ loop, role, wanted, floor },
    passing: relieves ? Math.max(0, wanted - Math.max(need.workers, more.workers)) : 0,
    reason: reasonOf(wanted, present, need, backlog),
    why: sentence(role, demand, need, backlog),
    foreseen: foreseenOf(memory, demand, snapshot.interval_ms),
    ...estimates(role, at_present),
  };
}

/** The first intervals with requests, in which the first prompt of each kind finds no cache. */
const COLD_INTERVALS = 3;

function isCold(arrivals: Arrivals): boolean {
  return arrivals.filter(({ started }) => started > 0).length <= COLD_INTERVALS;
}

/** Of any state but those that go. */
function presentOf({ workers }: PlanSnapshot, role: PlanRole): number {
  return workers.filter((each) => each.role === role && each.state !== "retiring").length;
}

function reasonOf(wanted: number, present: number, need: Need, backlog: Backlog): ReasonName {
  if (wanted > present) return backlog.workers > need.workers ? "backlog" : "sla_tail";
  return wanted < present ? "scale_down" : "no_change";
}

/** In an interval as long as this one, when what is started now serves. */
function foreseenOf({ prompt, answer }: TailMemory, demand: Demand, interval_ms: number) {
  return {
    requests: (demand.ahead * interval_ms) / 1_000,
    isl: prompt.weight > 0 ? prompt.value : undefined,
    osl: answer.weight > 0 ? answer.value : undefined,
    interval_ms,
  };
}

function estimates(role: PlanRole, { ttft_ms, itl_ms, load }: Expected) {
  if (load >= 1 || itl_ms === Number.MAX_VALUE) return {};
  return {
    ...(role === "decode" ? {} : { estimated_ttft_ms: ttft_ms }),
    ...(role === "prefill" ? {} : { estimated_itl_ms: itl_ms }),
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function sentence(role: PlanRole, demand: Demand, need: Need, backlog: Backlog): string {
  const rate = demand.ahead.toFixed(demand.ahead < 10 ? 1 : 0);
  const share = percent(need.share);
  const { goal, best } = need;
  // The rest takes too long by itself.
  const asked = `${percent(goal / best)} of the ${percent(best)} that any number of them could`;
  const wanted = best > 0 && best < 0.9995 ? `${percent(goal)}, ${asked}` : percent(goal);
  const load = `${Math.round(100 * need.load)} %`;
  const workers = `${need.workers} ${role} worker${need.workers === 1 ? "" : "s"}`;
  const base =
    `${rate} requests/s are expected; ${workers} would be ${load} loaded and ` +
    `keep ${share} within the limits (wanted: ${wanted}; planned: ${percent(need.aim)}).`;
  if (backlog.workers <= need.workers) return base;
  const seconds = Math.max(0.1, backlog.work_ms / 1_000).toFixed(1);
  const waits = `${seconds} s of work wait now or before more can serve`;
  return `${base} ${waits}: ${backlog.workers} make up for it.`;
}
