/**
 * The answers at this worker that somebody may take up again, by the id that clients know: those
 * that are being made, and for a while those that are over.
 *
 *   follow ─▶ being made ─▶ finish ─▶ kept, oldest first out: by age, by number, by bytes
 *                  ▲                    │
 *                  └────── revive ◀─────┘ a late reader is served as any other
 */
import type { HeldAnswer } from "../../proto/index.ts";
import type { LiveAnswer } from "./live-answers.ts";

export type KeepLimits = {
  /** How long an answer is kept after its delivery. */
  readonly keep_ms: number;
  readonly answers_max: number;
  readonly bytes_max: number;
};

type Kept = { readonly answer: LiveAnswer; readonly bytes: number; readonly until_ms: number };

export class KeptAnswers {
  private readonly limits: KeepLimits;
  /** By the id of the answer; more than one when attempts at it met here again. */
  private readonly by_answer = new Map<string, LiveAnswer[]>();
  /** Those that are over, by request name, in the order of `until_ms`. */
  private readonly over = new Map<string, Kept>();
  private bytes_total = 0;

  constructor(limits: KeepLimits) {
    this.limits = limits;
  }

  /** Answers that are over. */
  get count(): number {
    return this.over.size;
  }

  get bytes(): number {
    return this.bytes_total;
  }

  /** From its admission on, when it is resumable. */
  follow(answer: LiveAnswer): void {
    const { resumable } = answer.generate;
    if (resumable === undefined) return;
    const known = this.by_answer.get(resumable.answer);
    if (known === undefined) this.by_answer.set(resumable.answer, [answer]);
    else known.push(answer);
  }

  forget(answer: LiveAnswer): void {
    const { resumable, request } = answer.generate;
    if (resumable === undefined) return;
    const kept = this.over.get(request);
    if (kept !== undefined) {
      this.over.delete(request);
      this.bytes_total -= kept.bytes;
    }
    const known = this.by_answer.get(resumable.answer) ?? [];
    const rest = known.filter((each) => each !== answer);
    if (rest.length === 0) this.by_answer.delete(resumable.answer);
    else this.by_answer.set(resumable.answer, rest);
  }

  /** It is over, and followed. The oldest go when there are too many, some at a time. */
  finish(answer: LiveAnswer, now_ms: number): void {
    const bytes = sizeOf(answer);
    const until_ms = now_ms + this.limits.keep_ms;
    this.over.set(answer.generate.request, { answer, bytes, until_ms });
    this.bytes_total += bytes;
    const { answers_max, bytes_max } = this.limits;
    if (this.over.size <= answers_max && this.bytes_total <= bytes_max) return;
    // The first entry of a Map is slow to reach behind those that were deleted: one by one, this
    // took a tenth of a busy worker's time.
    this.trim(now_ms, answers_max - (answers_max >> 4), bytes_max - (bytes_max >> 4));
  }

  /** One that is over. */
  get(request: string): LiveAnswer | undefined {
    return this.over.get(request)?.answer;
  }

  /** It is live again. False when it was not over. */
  revive(request: string): boolean {
    const kept = this.over.get(request);
    if (kept === undefined) return false;
    this.over.delete(request);
    this.bytes_total -= kept.bytes;
    return true;
  }

  isOver(request: string): boolean {
    return this.over.has(request);
  }

  /** Forgets what is too old or too much. Returns when there is more to forget, if ever. */
  sweep(now_ms: number): number | undefined {
    return this.trim(now_ms, this.limits.answers_max, this.limits.bytes_max);
  }

  private trim(now_ms: number, answers_max: number, bytes_max: number): number | undefined {
    for (const { answer, until_ms } of this.over.values()) {
      const fits = this.over.size <= answers_max && this.bytes_total <= bytes_max;
      if (fits && until_ms > now_ms) return until_ms;
      this.forget(answer);
    }
    return undefined;
  }

  /** Every attempt at this answer that is here. */
  find(answer: string, now_ms: number): readonly HeldAnswer[] {
    const found = this.by_answer.get(answer) ?? [];
    return found.map(({ generate, deadline_at_ms }) => ({
      request: generate.request,
      generate,
      left_ms: Math.max(this.limits.keep_ms, Math.ceil(deadline_at_ms - now_ms)),
    }));
  }
}

/** Of an answer that is over, roughly: what it holds in arrays and bytes. */
export function sizeOf({ generate, log }: LiveAnswer): number {
  let bytes = 4_096 + generate.prompt.length + (generate.resumable?.context.length ?? 0);
  for (const choice of log.choices) {
    bytes += 8 * choice.tokens.length;
    for (const { top_tokens } of choice.logprobs) bytes += 64 + 16 * top_tokens.length;
  }
  return bytes;
}
