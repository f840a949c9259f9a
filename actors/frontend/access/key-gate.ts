/**
 * The limits of keys, in front of every answer. What a key has used is counted in one place for all
 * frontends (actors/limits), which is asked once a request: first an estimate is reserved, then,
 * when the answer has ended, what it was is counted instead.
 *
 * While that place does not answer, this frontend decides by what it has seen itself, with its part
 * of each limit: a limit that nobody counts would be none, and a server that refuses everybody
 * because a count is missing would be down.
 */
import type { KeyLimits, Reserve, Settle } from "../../../proto/index.ts";
import type { Clock } from "../../../runtime/capabilities.ts";
import { type Decision, dayOf, Ledger, type RefusedBy } from "../../limits/limits.ts";
import type { Prepared } from "../prompt/prepare-request.ts";
import type { Access } from "./access.ts";
import type { Charge } from "./charge.ts";
import type { KeyMetrics } from "./key-metrics.ts";
import type { KeyRule } from "./key-rule.ts";
import { limitReached, rateHeaders } from "./rate-headers.ts";

/** The place that counts for all frontends. */
export interface SharedLimits {
  /** Rejects when there is no answer in time. */
  reserve(ask: Omit<Reserve, "kind" | "asker">): Promise<Decision>;
  settle(settle: Settle): void;
  /** This frontend's part of the cluster, 0 to 1, for when nobody answers. */
  share(): number;
}

export type KeyGateParts = {
  readonly clock: Clock;
  readonly access: Access;
  /** Undefined: this frontend counts alone. */
  readonly shared: SharedLimits | undefined;
  readonly metrics: KeyMetrics;
};

/** The request as far as the gate must know it. */
export type GateRequest = {
  readonly id: string;
  /** Of its answer; the gate adds what the client is told of its limits. */
  readonly headers: Record<string, string>;
};

/**
 * So much of each answer is reserved, at most: clients ask for far more tokens than they get. A
 * longer answer is counted when it has ended, so this is by how much an answer can go over a limit.
 */
export const ANSWER_ESTIMATE = 1_024;
/** A reservation that nobody settles, and time between two asks of a place that is away. */
const LASTS_BEYOND_DEADLINE_MS = 60_000;
const AWAY_MS = 5_000;
const MINUTE_MS = 60_000;

type Seen = { readonly decision: Decision; readonly at_ms: number };

export class KeyGate {
  readonly #parts: KeyGateParts;
  readonly #ledger = new Ledger();
  /** What each key was last told, by name. */
  readonly #seen = new Map<string, Seen>();
  #away_until_ms = Number.NEGATIVE_INFINITY;

  constructor(parts: KeyGateParts) {
    this.#parts = parts;
  }

  /** The rule by which an owner's answers are counted; undefined: they are not. */
  ruleOf(owner: string): KeyRule | undefined {
    const rule = owner === "" ? undefined : this.#parts.access.ruleOf(owner);
    return rule === undefined || rule.name === "" ? undefined : rule;
  }

  /** Tells a client what its key has left, as far as it was seen here. */
  stamp({ name, limits }: KeyRule, headers: Record<string, string>): void {
    if (limits === undefined) return;
    const { clock } = this.#parts;
    const { decision, at_ms } = this.#seen.get(name) ?? { decision: ALL, at_ms: -MINUTE_MS };
    Object.assign(headers, rateHeaders(limits, later(decision, limits, clock.now_ms() - at_ms)));
    const exposed = headers[EXPOSE];
    if (exposed !== undefined) headers[EXPOSE] = `${exposed}, ${EXPOSED}`;
  }

  /** Rejects with ApiError (429). */
  async charge(
    rule: KeyRule,
    request: GateRequest,
    prepared: Prepared,
    deadline_ms: number,
  ): Promise<Charge> {
    const { prompt_tokens, tokens } = estimateOf(prepared);
    const { name: key, limits } = rule;
    const { metrics, shared } = this.#parts;
    if (limits === undefined) {
      metrics.asked(key, "");
      return new Settlement(prompt_tokens, (used) => metrics.used(key, used));
    }
    const lasts_ms = deadline_ms + LASTS_BEYOND_DEADLINE_MS;
    const ask = { key, limits, tokens, reservation: request.id, lasts_ms };
    const decision = await this.#decide(ask);
    this.#see(key, decision);
    Object.assign(request.headers, rateHeaders(limits, decision));
    metrics.asked(key, decision.refused_by);
    if (decision.refused_by !== "") throw limitReached(key, limits, tokens, decision);
    return new Settlement(prompt_tokens, (used) => {
      metrics.used(key, used);
      const { day } = decision;
      const settle = { kind: "settle", key, reservation: request.id, reserved: tokens, used, day };
      this.#ledger.settle(settle as Settle);
      shared?.settle(settle as Settle);
    });
  }

  async #decide(ask: Omit<Reserve, "kind" | "asker">): Promise<Decision> {
    const { clock, shared, metrics } = this.#parts;
    if (shared !== undefined && clock.now_ms() >= this.#away_until_ms) {
      try {
        const decision = await shared.reserve(ask);
        if (decision.refused_by === "") this.#ledger.note(ask, this.#now());
        return decision;
      } catch {
        this.#away_until_ms = clock.now_ms() + AWAY_MS;
      }
    }
    if (shared !== undefined) metrics.estimated();
    return this.#ledger.reserve(ask, this.#now(), shared?.share() ?? 1);
  }

  #now() {
    const { clock } = this.#parts;
    return { now_ms: clock.now_ms(), wall_ms: clock.wall_ms() };
  }

  #see(key: string, decision: Decision): void {
    if (this.#seen.size >= SEEN_MOST && !this.#seen.has(key)) this.#seen.clear();
    this.#seen.set(key, { decision, at_ms: this.#parts.clock.now_ms() });
  }
}

const SEEN_MOST = 4_096;
const EXPOSE = "Access-Control-Expose-Headers";
/** What a web page may read too. */
const EXPOSED = ["limit", "remaining", "reset"]
  .flatMap((what) => [`x-ratelimit-${what}-requests`, `x-ratelimit-${what}-tokens`])
  .join(", ");

class Settlement implements Charge {
  readonly prompt_tokens: number;
  #settle: ((tokens: number) => void) | undefined;

  constructor(prompt_tokens: number, settle: (tokens: number) => void) {
    this.prompt_tokens = prompt_tokens;
    this.#settle = settle;
  }

  settle(tokens: number): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(tokens);
  }
}

/** Prompt and answers of a request in tokens, before they are made. */
export function estimateOf(prepared: Prepared): { prompt_tokens: number; tokens: number } {
  if (prepared.makes === "embedding") {
    const { inputs } = prepared.embedding.request;
    const prompt_tokens = inputs.reduce((sum, input) => sum + input.length, 0);
    return { prompt_tokens, tokens: prompt_tokens };
  }
  const { answers, counted_each } = prepared.generation;
  let prompt_tokens = 0;
  let tokens = 0;
  for (const { prompt, max_tokens } of answers) {
    prompt_tokens += prompt.length;
    tokens += prompt.length + Math.min(max_tokens, ANSWER_ESTIMATE) * counted_each;
  }
  return { prompt_tokens, tokens };
}

const ALL: Decision = {
  refused_by: "" satisfies RefusedBy,
  retry_after_ms: 0,
  requests_left: 0,
  requests_reset_ms: 0,
  tokens_left: 0,
  tokens_reset_ms: 0,
  day: dayOf(0),
};

/** What is left when nothing was used since. */
function later(seen: Decision, limits: KeyLimits, passed_ms: number): Decision {
  const more = (left: number, limit: number) =>
    Math.min(limit, Math.floor(left + (limit * passed_ms) / MINUTE_MS));
  return {
    ...seen,
    requests_left: more(seen.requests_left, limits.requests_per_minute),
    requests_reset_ms: Math.max(0, seen.requests_reset_ms - passed_ms),
    tokens_left: more(seen.tokens_left, limits.tokens_per_minute),
    tokens_reset_ms: Math.max(0, seen.tokens_reset_ms - passed_ms),
  };
}
