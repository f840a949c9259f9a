/** The usage of all keys, by name, in the memory of one process. */
import type { Reserve, Settle } from "../../proto/index.ts";
import { type Decision, type Now, note, noUsage, reserve, settle, type Usage } from "./usage.ts";

/** Names come from keys files; of more than so many the longest unused is forgotten. */
const KEYS_MOST = 4_096;

export type ReserveFacts = Pick<Reserve, "key" | "limits" | "tokens" | "reservation" | "lasts_ms">;

export class Ledger {
  readonly #keys = new Map<string, Usage>();

  /** `share`: of the limits, where others count too and cannot be asked; 1 is all of them. */
  reserve(ask: ReserveFacts, now: Now, share = 1): Decision {
    const { tokens, reservation, lasts_ms } = ask;
    const limits = partOf(ask.limits ?? NO_LIMITS, share);
    return reserve(this.#usageOf(ask.key, now), { limits, tokens, reservation, lasts_ms }, now);
  }

  /** Somebody else has admitted it. */
  note(ask: ReserveFacts, now: Now): void {
    const { limits = NO_LIMITS, tokens, reservation, lasts_ms } = ask;
    note(this.#usageOf(ask.key, now), { limits, tokens, reservation, lasts_ms }, now);
  }

  settle(of: Pick<Settle, "key" | "reservation" | "reserved" | "used" | "day">): void {
    const usage = this.#keys.get(of.key);
    if (usage !== undefined) settle(usage, of);
  }

  /** The tokens of one day by key, as they are stored. */
  dayTokens(day: number): Record<string, number> {
    const used: Record<string, number> = {};
    for (const [key, usage] of this.#keys) {
      if (usage.day === day && usage.day_tokens > 0) used[key] = Math.round(usage.day_tokens);
    }
    return used;
  }

  /** What was stored for today. */
  remember(tokens: Readonly<Record<string, number>>, now: Now): void {
    for (const [key, used] of Object.entries(tokens)) this.#usageOf(key, now).day_tokens = used;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Open reservations of one key. */
  open(key: string): number {
    return this.#keys.get(key)?.open.size ?? 0;
  }

  #usageOf(key: string, now: Now): Usage {
    const known = this.#keys.get(key);
    if (known !== undefined) {
      // The first of the map is the longest unused.
      if (this.#keys.size >= KEYS_MOST) {
        this.#keys.delete(key);
        this.#keys.set(key, known);
      }
      return known;
    }
    const [oldest] = this.#keys.keys();
    if (this.#keys.size >= KEYS_MOST && oldest !== undefined) this.#keys.delete(oldest);
    const usage = noUsage(now);
    this.#keys.set(key, usage);
    return usage;
  }
}

type Limits = NonNullable<Reserve["limits"]>;

const NO_LIMITS: Limits = {
  requests_per_minute: 0,
  tokens_per_minute: 0,
  requests_at_once: 0,
  tokens_per_day: 0,
};

/** A limit stays one: its part is 1 at least. */
function partOf(limits: Limits, share: number): Limits {
  if (share === 1) return limits;
  const part = (limit: number) => (limit === 0 ? 0 : Math.max(1, Math.floor(limit * share)));
  return {
    requests_per_minute: part(limits.requests_per_minute),
    tokens_per_minute: part(limits.tokens_per_minute),
    requests_at_once: part(limits.requests_at_once),
    tokens_per_day: part(limits.tokens_per_day),
  };
}
