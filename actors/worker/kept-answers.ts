/**
 * The answers at this worker that somebody may take up again, by the id that clients know: those
 * that are being made, and for a while those that are over.
 *
 *   follow ─▶ being made ─▶ finish ─▶ kept, oldest first out: by age, by number, by bytes
 *                  ▲                    │
 *                  └────── revive ◀─────┘ a late reader is served as any other
 */
import type { HeldAnswer } from "../../proto/index.ts";
import { SlotMap } from "../../runtime/slot-map.ts";
import type { LiveAnswer } from "./live-answers.ts";
import { type KeepLimits, OverAnswers } from "./over-answers.ts";

export class KeptAnswers {
  /** By the id of the answer; more than one when attempts at it met here again. */
  private readonly by_answer = new SlotMap<string, LiveAnswer[]>();
  private readonly over: OverAnswers;
  private readonly keep_ms: number;

  constructor(limits: KeepLimits) {
    this.keep_ms = limits.keep_ms;
    this.over = new OverAnswers(limits, (answer) => this.unfollow(answer));
  }

  /** Answers that are over. */
  get count(): number {
    return this.over.count;
  }

  get bytes(): number {
    return this.over.bytes;
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
    if (answer.generate.resumable === undefined) return;
    this.over.takeOut(answer.generate.request);
    this.unfollow(answer);
  }

  private unfollow(answer: LiveAnswer): void {
    const { resumable } = answer.generate;
    if (resumable === undefined) return;
    const rest = (this.by_answer.get(resumable.answer) ?? []).filter((each) => each !== answer);
    if (rest.length === 0) this.by_answer.delete(resumable.answer);
    else this.by_answer.set(resumable.answer, rest);
  }

  /** It is over, and followed. */
  finish(answer: LiveAnswer, now_ms: number): void {
    this.over.add(answer, now_ms);
  }

  /** One that is over. */
  get(request: string): LiveAnswer | undefined {
    return this.over.get(request);
  }

  /** It is live again. False when it was not over. */
  revive(request: string): boolean {
    return this.over.takeOut(request);
  }

  isOver(request: string): boolean {
    return this.over.has(request);
  }

  /** Forgets what is too old or too much. Returns when there is more to forget, if ever. */
  sweep(now_ms: number): number | undefined {
    return this.over.sweep(now_ms);
  }

  /** Every attempt at this answer that is here. */
  find(answer: string, now_ms: number): readonly HeldAnswer[] {
    const found = this.by_answer.get(answer) ?? [];
    return found.map(({ generate, deadline_at_ms }) => ({
      request: generate.request,
      generate,
      left_ms: Math.max(this.keep_ms, Math.ceil(deadline_at_ms - now_ms)),
    }));
  }
}
