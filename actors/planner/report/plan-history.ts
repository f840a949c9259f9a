/**
 * What a planner decided and saw, in memory that does not grow: a point an interval, the older ones
 * thinned out, the last decisions, and sums over all.
 */
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Decision, Prediction } from "../pipeline/decision.ts";
import { gpusOf } from "../pipeline/roles.ts";
import type { PlanRole } from "../pipeline/snapshot.ts";
import { actionWords, decisionWords } from "./action-words.ts";
import type {
  ListedDecision,
  PlanHead,
  PlanPage,
  PlanPoint,
  PlanTotals,
  RoleCounts,
} from "./plan-page.ts";
import { reasonWords, standingWords } from "./reason-words.ts";

/** Two hours at an interval of 5 s, and of the time before ever fewer. */
const POINTS_MAX = 1_440;
const DECISIONS_MAX = 64;
const HOUR_MS = 3_600_000;

export type HistoryBounds = { readonly points: number; readonly decisions: number };

export class PlanHistory {
  readonly #bounds: HistoryBounds;
  #points: PlanPoint[] = [];
  #decisions: ListedDecision[] = [];
  #last: Decision | undefined;
  #since_ms = 0;
  #requests = 0;
  /** Requests of intervals with a figure for attainment, and those within the limits. */
  #judged = 0;
  #within = 0;
  readonly #worker_ms = new Map<PlanRole, number>();
  #changes = 0;

  constructor(bounds: HistoryBounds = { points: POINTS_MAX, decisions: DECISIONS_MAX }) {
    this.#bounds = bounds;
  }

  /** Decisions from before the first tick, oldest first: they are listed, and in no sum. */
  remember(decisions: readonly Decision[]): void {
    if (this.#points.length > 0) return;
    this.#decisions = decisions.map(listed).slice(-this.#bounds.decisions);
  }

  /** Each tick's, in the order of time. */
  push(decision: Decision): void {
    const before = this.#last;
    this.#last = decision;
    const point = pointOf(decision, before?.predicted);
    this.#sum(decision, point);
    this.#points.push(point);
    if (this.#points.length > this.#bounds.points) this.#points = thinned(this.#points);
    if (before !== undefined && !tellsMore(before, decision)) return;
    this.#decisions.push(listed(decision));
    if (this.#decisions.length > this.#bounds.decisions) this.#decisions.shift();
  }

  /** @param after_ms points and decisions after this alone */
  page(head: PlanHead, after_ms = Number.NEGATIVE_INFINITY): PlanPage {
    const isNew = ({ at_ms }: { readonly at_ms: number }) => at_ms > after_ms;
    const points = this.#points.filter(isNew);
    const decisions = this.#decisions.filter(isNew);
    const pending = head.pending.map((each) => ({ ...each, says: actionWords(each.action) }));
    const says = standingWords[head.standing];
    return { ...head, says, pending, points, decisions, totals: this.totals(head.config) };
  }

  /** All that is remembered. */
  told(): Pick<PlanPage, "points" | "decisions"> {
    return { points: this.#points, decisions: this.#decisions };
  }

  totals(config: PlannerConfig): PlanTotals {
    const hours = [...this.#worker_ms].map(([role, ms]) => [role, ms / HOUR_MS] as const);
    return {
      since_ms: this.#since_ms,
      until_ms: this.#last?.at_ms ?? 0,
      requests: Math.round(this.#requests),
      attainment: this.#judged > 0 ? this.#within / this.#judged : undefined,
      worker_hours: Object.fromEntries(hours),
      gpu_hours: hours.reduce((sum, [role, each]) => sum + each * gpusOf(config, role), 0),
      decisions: this.#changes,
    };
  }

  #sum({ actions }: Decision, point: PlanPoint): void {
    const { interval_ms, attainment, requests_per_s = 0 } = point;
    if (this.#since_ms === 0) this.#since_ms = point.at_ms - interval_ms;
    if (actions.length > 0) this.#changes += 1;
    const requests = (requests_per_s * interval_ms) / 1_000;
    this.#requests += requests;
    if (attainment !== undefined) {
      this.#judged += requests;
      this.#within += requests * attainment;
    }
    for (const [role, counts] of Object.entries(point.roles)) {
      const key = role as PlanRole;
      const so_far = this.#worker_ms.get(key) ?? 0;
      this.#worker_ms.set(key, so_far + paidIn(counts) * interval_ms);
    }
  }
}

function listed(decision: Decision): ListedDecision {
  const roles = decision.roles.map((role) => ({ ...role, means: reasonWords[role.reason] }));
  return { ...decision, roles, says: decisionWords(decision) };
}

/** Workers that cost something now. */
export const paidIn = ({ serving, starting, retiring }: RoleCounts): number =>
  serving + starting + retiring;

/** @param predicted by the tick before */
function pointOf(decision: Decision, predicted: Prediction | undefined): PlanPoint {
  const { at_ms, interval_ms, observed } = decision;
  const roles = decision.roles.map(({ role, serving, starting, retiring, target }) => [
    role,
    { serving, starting, retiring, target },
  ]);
  const requests = predicted?.requests;
  return {
    ...{ at_ms, interval_ms, roles: Object.fromEntries(roles) },
    ...observed,
    predicted_requests_per_s:
      requests === undefined ? undefined : (requests * 1_000) / (predicted?.interval_ms ?? 1_000),
    predicted_isl: predicted?.isl,
    predicted_osl: predicted?.osl,
  };
}

/** Of the older half every second one. */
const thinned = <T>(all: readonly T[]): T[] =>
  all.filter((_, at) => at % 2 === 0 || at >= all.length / 2);

const reasonsOf = ({ roles }: Decision): string =>
  roles.map(({ role, reason }) => `${role} ${reason}`).join();

/** Ticks that hold for the same reason are one line, and those that find nothing to do none. */
function tellsMore(before: Decision, now: Decision): boolean {
  if (now.actions.length > 0) return true;
  const words = decisionWords(now).join();
  if (words !== "" && words !== decisionWords(before).join()) return true;
  const isNews = now.roles.some(({ reason }) => reason !== "no_change");
  return isNews && reasonsOf(now) !== reasonsOf(before);
}
