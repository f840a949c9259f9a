/**
 * What one key has used, and whether it may use more: pure rules on plain records. Requests and
 * tokens a minute are token buckets that hold one minute's worth, counted from the other end: what
 * was used drains at the limit's pace. So a span of T seconds sees at most limit × (1 + T / 60).
 */
import type { KeyLimits } from "../../proto/index.ts";

/** `used` at the time `at_ms`; it drains from then on. */
export type Level = { used: number; at_ms: number };

export type Usage = {
  readonly requests: Level;
  readonly tokens: Level;
  /** Reservations whose answers have not ended → when they count no more, on the clock's scale. */
  readonly open: Map<string, number>;
  /** Number of the UTC day that `day_tokens` belongs to. */
  day: number;
  day_tokens: number;
};

export type ReserveAsk = {
  readonly limits: KeyLimits;
  readonly tokens: number;
  readonly reservation: string;
  readonly lasts_ms: number;
};

/** Which limit refuses a request. `size`: it is larger than a minute's tokens. */
export type RefusedBy = "" | "requests" | "tokens" | "at_once" | "day" | "size";

export type Decision = {
  readonly refused_by: RefusedBy;
  readonly retry_after_ms: number;
  readonly requests_left: number;
  readonly requests_reset_ms: number;
  readonly tokens_left: number;
  readonly tokens_reset_ms: number;
  readonly day: number;
};

export type Now = { readonly now_ms: number; readonly wall_ms: number };

const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;
/** Nobody can say when an answer will end. */
const AT_ONCE_RETRY_MS = 1_000;

export const dayOf = (wall_ms: number): number => Math.floor(wall_ms / DAY_MS);

export const noUsage = ({ now_ms, wall_ms }: Now): Usage => ({
  requests: { used: 0, at_ms: now_ms },
  tokens: { used: 0, at_ms: now_ms },
  open: new Map(),
  day: dayOf(wall_ms),
  day_tokens: 0,
});

/** Books the request unless a limit refuses it; a refused request costs nothing. */
export function reserve(usage: Usage, ask: ReserveAsk, now: Now): Decision {
  bringUpTo(usage, ask.limits, now);
  const { refused_by, retry_after_ms } = refusalOf(usage, ask, now);
  if (refused_by === "") book(usage, ask, now);
  return { refused_by, retry_after_ms, ...leftOf(usage, ask.limits), day: usage.day };
}

/** Books a request that somebody else has admitted. */
export function note(usage: Usage, ask: ReserveAsk, now: Now): void {
  bringUpTo(usage, ask.limits, now);
  book(usage, ask, now);
}

function book(usage: Usage, { limits, tokens, reservation, lasts_ms }: ReserveAsk, now: Now): void {
  usage.requests.used += 1;
  usage.tokens.used += tokens;
  usage.day_tokens += tokens;
  if (limits.requests_at_once > 0) usage.open.set(reservation, now.now_ms + lasts_ms);
}

/** An answer has ended: what it was is counted in place of what was estimated. */
export function settle(
  usage: Usage,
  of: { reservation: string; reserved: number; used: number; day: number },
): void {
  usage.open.delete(of.reservation);
  const more = of.used - of.reserved;
  usage.tokens.used = Math.max(0, usage.tokens.used + more);
  if (of.day === usage.day) usage.day_tokens = Math.max(0, usage.day_tokens + more);
}

function bringUpTo(usage: Usage, limits: KeyLimits, { now_ms, wall_ms }: Now): void {
  drain(usage.requests, limits.requests_per_minute, now_ms);
  drain(usage.tokens, limits.tokens_per_minute, now_ms);
  for (const [reservation, until_ms] of usage.open) {
    if (until_ms <= now_ms) usage.open.delete(reservation);
  }
  const day = dayOf(wall_ms);
  if (day !== usage.day) {
    usage.day = day;
    usage.day_tokens = 0;
  }
}

function drain(level: Level, limit: number, now_ms: number): void {
  // Without a limit nothing is remembered, so that a limit which comes later begins empty.
  const drained = (Math.max(0, now_ms - level.at_ms) * limit) / MINUTE_MS;
  level.used = limit === 0 ? 0 : Math.max(0, level.used - drained);
  level.at_ms = now_ms;
}

type Refusal = Pick<Decision, "refused_by" | "retry_after_ms">;

function refusalOf(usage: Usage, { limits, tokens }: ReserveAsk, { wall_ms }: Now): Refusal {
  const { requests_per_minute, tokens_per_minute, requests_at_once, tokens_per_day } = limits;
  if (tokens_per_minute > 0 && tokens > tokens_per_minute) {
    return { refused_by: "size", retry_after_ms: 0 };
  }
  if (tokens_per_day > 0 && usage.day_tokens + tokens > tokens_per_day) {
    return { refused_by: "day", retry_after_ms: DAY_MS - (wall_ms % DAY_MS) };
  }
  const waits_ms = [
    waitFor(usage.requests.used + 1, requests_per_minute),
    waitFor(usage.tokens.used + tokens, tokens_per_minute),
  ] as const;
  if (waits_ms[0] > 0) return { refused_by: "requests", retry_after_ms: Math.max(...waits_ms) };
  if (waits_ms[1] > 0) return { refused_by: "tokens", retry_after_ms: waits_ms[1] };
  if (requests_at_once > 0 && usage.open.size >= requests_at_once) {
    return { refused_by: "at_once", retry_after_ms: AT_ONCE_RETRY_MS };
  }
  return { refused_by: "", retry_after_ms: 0 };
}

/** Sums of many small fractions: so much above the limit is nothing. */
const ROUNDING = 1e-6;

/** Until so much has drained that `wanted` fits. */
const waitFor = (wanted: number, limit: number): number =>
  limit === 0 || wanted <= limit + ROUNDING ? 0 : ((wanted - limit) * MINUTE_MS) / limit;

function leftOf({ requests, tokens }: Usage, limits: KeyLimits) {
  const { requests_per_minute, tokens_per_minute } = limits;
  return {
    requests_left: left(requests, requests_per_minute),
    requests_reset_ms: resetOf(requests, requests_per_minute),
    tokens_left: left(tokens, tokens_per_minute),
    tokens_reset_ms: resetOf(tokens, tokens_per_minute),
  };
}

const left = ({ used }: Level, limit: number) => Math.max(0, Math.floor(limit - used + ROUNDING));
const resetOf = ({ used }: Level, limit: number) => (limit === 0 ? 0 : (used * MINUTE_MS) / limit);
