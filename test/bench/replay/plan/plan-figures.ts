/**
 * What a planner was worth in a replay: requests within the SLA, hours paid, how long it took to
 * come back after the load rose, and how often it turned round.
 */
import type { Decision, Targets } from "../../../../actors/planner/pipeline/decision.ts";
import { planRoles } from "../../../../actors/planner/pipeline/snapshot.ts";
import { type GoodputLimits, isGood } from "../../goodput.ts";
import { rounded } from "../../statistics.ts";
import type { ShapeMarks } from "../arrival-shape.ts";
import { firstArrivalMs } from "../report.ts";
import type { ReplayResult, RequestRecord } from "../simulate.ts";
import { withinReach } from "../sla/reach.ts";
import { workerHours } from "./fleet.ts";
import type { ReplicaPoint } from "./planner-loop.ts";

/** A decision that changes something. */
export type DecisionLine = {
  readonly at_ms: number;
  readonly targets: Targets;
  /** Of the roles whose target changes; else of all. */
  readonly reason: string;
  readonly why: string;
};

export type PlanFigures = {
  /** Of all requests, also those that were refused or have not ended. */
  readonly sla_attainment: number;
  /** Of all requests, those that no number of workers serves within the SLA. */
  readonly out_of_reach: number;
  readonly worker_hours: number;
  /** Load that rose at once: until requests were within the SLA again and none waited too long. */
  readonly recovery_ms?: number;
  /** The longest time in which they were not. */
  readonly longest_breach_ms: number;
  /** Changes of direction: workers that go after some came, and the other way round. */
  readonly reversals: number;
  /** In one period of the load, the most times that workers go after some came. */
  readonly reversals_a_period?: number;
  readonly decisions: readonly DecisionLine[];
  readonly replicas: readonly ReplicaPoint[];
};

/** Of the load that is looked at together, by the time at which requests come. */
const WINDOW_MS = 5_000;

export function decisionLines(decisions: readonly Decision[]): DecisionLine[] {
  let before: Targets = {};
  const lines: DecisionLine[] = [];
  for (const { at_ms, targets, roles, actions, advised = [] } of decisions) {
    if (actions.length + advised.length > 0) {
      const changed = roles.filter(({ role }) => targets[role] !== before[role]);
      const told = changed.length > 0 ? changed : roles;
      const name = (role: string) => (roles.length > 1 ? `${role}: ` : "");
      lines.push({
        at_ms: rounded(at_ms, 3),
        targets,
        reason: [...new Set(told.map(({ reason }) => reason))].join(", "),
        why: told.map(({ role, why }) => `${name(role)}${why}`).join(" "),
      });
    }
    before = targets;
  }
  return lines;
}

export type PlanGoal = {
  readonly sla: GoodputLimits;
  readonly sla_share: number;
  readonly out_of_reach: number;
  /** In virtual time. */
  readonly marks: ShapeMarks;
};

export function planFigures(
  { records, lives, replicas, end_ms }: ReplayResult,
  decisions: readonly DecisionLine[],
  { sla, sla_share, out_of_reach, marks }: PlanGoal,
): PlanFigures {
  const start_ms = firstArrivalMs(records, end_ms);
  const bad = badWindows(records, end_ms, sla, withinReach(sla_share, out_of_reach));
  const { jump_ms, period_ms } = marks;
  const turns = turnsOf(replicas);
  const peaks = turns.filter(({ down }) => down).map(({ at_ms }) => at_ms - start_ms);
  return {
    sla_attainment: rounded(attainment(records, sla), 4),
    out_of_reach: rounded(out_of_reach, 4),
    worker_hours: rounded(workerHours(lives, start_ms, end_ms), 4),
    ...(jump_ms === undefined ? {} : { recovery_ms: recoveryMs(bad, jump_ms) }),
    longest_breach_ms: Math.max(0, ...bad.map(({ from_ms, until_ms }) => until_ms - from_ms)),
    reversals: turns.length,
    ...(period_ms === undefined ? {} : { reversals_a_period: mostInOne(peaks, period_ms) }),
    ...{ decisions, replicas },
  };
}

/** Share of all requests that were answered within both limits. */
export function attainment(records: readonly RequestRecord[], sla: GoodputLimits): number {
  const good = records.filter((record) => isWithin(record, sla)).length;
  return records.length === 0 ? 0 : good / records.length;
}

export function isWithin(record: RequestRecord, sla: GoodputLimits): boolean {
  const { arrival_ms, first_token_ms, end_ms, output_length } = record;
  if (Number.isNaN(end_ms)) return false;
  const times = { ttft_ms: first_token_ms - arrival_ms, e2e_ms: end_ms - arrival_ms };
  return isGood({ ...times, tokens: output_length }, sla);
}

type Breach = { readonly from_ms: number; until_ms: number };

/** Spans in which fewer than `share` of the requests that came were within the limits. */
function badWindows(
  records: readonly RequestRecord[],
  end_ms: number,
  sla: GoodputLimits,
  share: number,
): readonly Breach[] {
  const counts = new Map<number, { all: number; good: number }>();
  const waits = new Set<number>();
  for (const record of records) {
    const { arrival_ms, routed_ms, refused } = record;
    if (Number.isNaN(arrival_ms)) continue;
    const window = Math.floor(arrival_ms / WINDOW_MS);
    const count = counts.get(window) ?? { all: 0, good: 0 };
    counts.set(window, count);
    count.all++;
    if (isWithin(record, sla)) count.good++;
    // A queue is gone when nobody in it has waited for longer than a first token may take.
    if (sla.ttft_ms === undefined || refused !== undefined) continue;
    const gone_ms = Number.isNaN(routed_ms) ? end_ms : routed_ms;
    const late = Math.ceil((arrival_ms + sla.ttft_ms) / WINDOW_MS);
    for (let at = late; at * WINDOW_MS < gone_ms; at++) waits.add(at);
  }
  const last = Math.max(...counts.keys(), ...waits);
  const breaches: Breach[] = [];
  for (let window = Math.min(...counts.keys()); window <= last; window++) {
    const { all, good } = counts.get(window) ?? { all: 0, good: 0 };
    if (good >= share * all && !waits.has(window)) continue;
    const from_ms = window * WINDOW_MS;
    const before = breaches.at(-1);
    if (before?.until_ms === from_ms) before.until_ms += WINDOW_MS;
    else breaches.push({ from_ms, until_ms: from_ms + WINDOW_MS });
  }
  return breaches;
}

/** From the jump to the end of the first breach after it; 0: there was none. */
function recoveryMs(breaches: readonly Breach[], jump_ms: number): number {
  const first = breaches.find(({ until_ms }) => until_ms > jump_ms);
  return first === undefined ? 0 : first.until_ms - jump_ms;
}

type Turn = { readonly at_ms: number; readonly down: boolean };

/** By the workers that serve or will, of each role. */
function turnsOf(replicas: readonly ReplicaPoint[]): readonly Turn[] {
  return planRoles.flatMap((role) => {
    const turns: Turn[] = [];
    let direction = 0;
    let before: number | undefined;
    for (const { at_ms, [role]: count } of replicas) {
      const wanted = count === undefined ? 0 : count.serving + count.starting;
      const step = Math.sign(wanted - (before ?? wanted));
      before = wanted;
      if (step === 0) continue;
      if (direction !== 0 && step !== direction) turns.push({ at_ms, down: step < 0 });
      direction = step;
    }
    return turns;
  });
}

/** Times of one period. */
function mostInOne(times_ms: readonly number[], period_ms: number): number {
  const counts = new Map<number, number>();
  for (const time_ms of times_ms) {
    const period = Math.floor(time_ms / period_ms);
    counts.set(period, (counts.get(period) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
}
