/**
 * The answers at this worker that somebody may take up again, by the id that clients know: those
 * that are being made, and for a while those that are over.
 *
 *   follow ─▶ being made ─▶ finish ─▶ kept, oldest first out: by age, by number, by bytes
 *                  ▲                    │
 *                  └────── revive ◀─────┘ a late reader is served as any other
 */
import type { HeldAnswer } from "../../../proto/index.ts";
import { SlotMap } from "../../../runtime/slot-map.ts";
import type { LiveAnswer } from "./delivery.ts";
import { FinishedAnswers, type KeepLimits } from "./finished.ts";

export class ResumableAnswers {
  /** Request names by the id of the answer; several when attempts at it met here again. */
  readonly #by_answer = new SlotMap<string, readonly string[]>();
  readonly #over: FinishedAnswers;
  readonly #keep_ms: number;

  constructor(limits: KeepLimits) {
    this.#keep_ms = limits.keep_ms;
    this.#over = new FinishedAnswers(limits, (request, answer) => this.#unfollow(request, answer));
  }

  /** Answers that are over. */
  get count(): number {
    return this.#over.count;
  }

  get bytes(): number {
    return this.#over.bytes;
  }

  /** From its admission on, when it is resumable. */
  follow({ generate: { request, resumable } }: LiveAnswer): void {
    if (resumable === undefined) return;
    const known = this.#by_answer.get(resumable.answer) ?? [];
    this.#by_answer.set(resumable.answer, [...known, request]);
  }

  forget({ generate: { request, resumable } }: LiveAnswer): void {
    if (resumable === undefined) return;
    this.#over.forget(request);
    this.#unfollow(request, resumable.answer);
  }

  #unfollow(request: string, answer: string): void {
    const rest = (this.#by_answer.get(answer) ?? []).filter((each) => each !== request);
    if (rest.length === 0) this.#by_answer.delete(answer);
    else this.#by_answer.set(answer, rest);
  }

  /** It is over, and followed. */
  finish(answer: LiveAnswer, now_ms: number): void {
    this.#over.add(answer, now_ms);
  }

  /** A copy of one that is over. */
  get(request: string): LiveAnswer | undefined {
    return this.#over.get(request);
  }

  /** It is live again. False when it was not over. */
  revive(request: string): boolean {
    return this.#over.forget(request);
  }

  isOver(request: string): boolean {
    return this.#over.has(request);
  }

  /** Forgets what is too old or too much. Returns when there is more to forget, if ever. */
  sweep(now_ms: number): number | undefined {
    return this.#over.sweep(now_ms);
  }

  /** Every attempt at this answer that is here; `live`: those that are not over, by name. */
  find(
    answer: string,
    live: (request: string) => LiveAnswer | undefined,
    now_ms: number,
  ): readonly HeldAnswer[] {
    const names = this.#by_answer.get(answer) ?? [];
    return names.flatMap((request) => {
      const held = live(request) ?? this.#over.get(request);
      if (held === undefined) return [];
      const left_ms = Math.max(this.#keep_ms, Math.ceil(held.deadline_at_ms - now_ms));
      return [{ request, generate: held.generate, left_ms }];
    });
  }
}
