/**
 * Answers that nobody can resume, for a moment beyond their end: a reader whose last batch was lost
 * on the way fetches it here instead of having the answer made again elsewhere. Nobody acknowledges
 * an end, so nothing is sent for this; how many are kept, and how long, is bounded instead.
 */
import { sizeOf } from "./kept-answers.ts";
import type { LiveAnswer } from "./live-answers.ts";

/** A reader hears nothing for 1 s at least before it asks, and for longer where tokens are slow. */
const KEEP_MS = 10_000;
const ANSWERS_MAX = 256;
const BYTES_MAX = 4 * 1024 * 1024;

type Last = { readonly answer: LiveAnswer; readonly bytes: number; readonly until_ms: number };

export class LastAnswers {
  /** By request name, oldest first. */
  private readonly over = new Map<string, Last>();
  private bytes = 0;

  get count(): number {
    return this.over.size;
  }

  add(answer: LiveAnswer, now_ms: number): void {
    const { request } = answer.generate;
    this.forget(request);
    const bytes = sizeOf(answer);
    this.over.set(request, { answer, bytes, until_ms: now_ms + KEEP_MS });
    this.bytes += bytes;
    this.sweep(now_ms);
  }

  get(request: string): LiveAnswer | undefined {
    return this.over.get(request)?.answer;
  }

  /** It is live again, or another one has its name. False when it was not here. */
  forget(request: string): boolean {
    const known = this.over.get(request);
    if (known === undefined) return false;
    this.over.delete(request);
    this.bytes -= known.bytes;
    return true;
  }

  sweep(now_ms: number): void {
    for (const [request, { until_ms }] of this.over) {
      const fits = this.over.size <= ANSWERS_MAX && this.bytes <= BYTES_MAX;
      if (fits && until_ms > now_ms) return;
      this.forget(request);
    }
  }
}
