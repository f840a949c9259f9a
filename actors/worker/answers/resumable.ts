/**
 * The resumable answers of this worker by the id that clients know: live ones, and for a while
 * finished ones.
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

  /** Called at an answer's admission; it is followed if it is resumable. */
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

  /** Keeps a followed answer that is over. */
  finish(answer: LiveAnswer, now_ms: number): void {
    this.#over.add(answer, now_ms);
  }

  /** A copy of a finished answer. */
  get(request: string): LiveAnswer | undefined {
    return this.#over.get(request);
  }

  /** The answer is live again. False: it was not among the finished ones. */
  revive(request: string): boolean {
    return this.#over.forget(request);
  }

  isOver(request: string): boolean {
    return this.#over.has(request);
  }

  /** Drops answers that are too old or too many. Returns the time of the next drop, if any. */
  sweep(now_ms: number): number | undefined {
    return this.#over.sweep(now_ms);
  }

  /** Every attempt at this answer that is here. `live` gives attempts that go on, by name. */
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
