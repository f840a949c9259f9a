/**
 * Answers that are over and whole, for a while: the oldest go first, by age, by number and by
 * bytes.
 */
import { SlotMap } from "../../runtime/slot-map.ts";
import type { LiveAnswer } from "./live-answers.ts";

export type KeepLimits = {
  /** How long an answer is kept after its delivery. */
  readonly keep_ms: number;
  readonly answers_max: number;
  readonly bytes_max: number;
};

type Over = { readonly answer: LiveAnswer; readonly bytes: number; readonly until_ms: number };

/** So many places of those that are gone may stand in the order beside as many as are there. */
const ORDER_SLACK = 64;

export class OverAnswers {
  /** By request name, in the order of `until_ms`. */
  private readonly over = new SlotMap<string, Over>();
  /**
   * The same from `head` on, with those among them that were taken out: the first entry of a Map is
   * slow to reach behind those that were deleted, which took a tenth of a busy worker's time.
   */
  private order: (Over | undefined)[] = [];
  private head = 0;
  private readonly limits: KeepLimits;
  private readonly dropped: (answer: LiveAnswer) => void;
  private bytes_total = 0;

  /** `dropped`: told of those that are too old or too many, not of those that were taken out. */
  constructor(limits: KeepLimits, dropped: (answer: LiveAnswer) => void = () => {}) {
    this.limits = limits;
    this.dropped = dropped;
  }

  get count(): number {
    return this.over.size;
  }

  get bytes(): number {
    return this.bytes_total;
  }

  /** The oldest go when there are too many. */
  add(answer: LiveAnswer, now_ms: number): void {
    const { request } = answer.generate;
    this.takeOut(request);
    const over = { answer, bytes: sizeOf(answer), until_ms: now_ms + this.limits.keep_ms };
    this.over.set(request, over);
    this.bytes_total += over.bytes;
    if (this.order.length > 2 * this.over.size + ORDER_SLACK) {
      this.order = [...this.over.values()];
      this.head = 0;
    } else {
      this.order.push(over);
    }
    this.sweep(now_ms);
  }

  has(request: string): boolean {
    return this.over.has(request);
  }

  get(request: string): LiveAnswer | undefined {
    return this.over.get(request)?.answer;
  }

  /** It is live again, or another one has its name. False when it was not here. */
  takeOut(request: string): boolean {
    const known = this.over.get(request);
    if (known === undefined) return false;
    this.over.delete(request);
    this.bytes_total -= known.bytes;
    return true;
  }

  /** Drops what is too old or too much. Returns when there is more to drop, if ever. */
  sweep(now_ms: number): number | undefined {
    const { answers_max, bytes_max } = this.limits;
    for (; this.head < this.order.length; this.order[this.head++] = undefined) {
      const over = this.order[this.head]!;
      const { request } = over.answer.generate;
      if (this.over.get(request) !== over) continue;
      const fits = this.over.size <= answers_max && this.bytes_total <= bytes_max;
      if (fits && over.until_ms > now_ms) return over.until_ms;
      this.takeOut(request);
      this.dropped(over.answer);
    }
    return undefined;
  }
}

/** Roughly: what it holds in arrays and bytes. */
function sizeOf({ generate, log }: LiveAnswer): number {
  let bytes = 4_096 + generate.prompt.length + (generate.resumable?.context.length ?? 0);
  for (const choice of log.choices) {
    bytes += 8 * choice.tokens.length;
    for (const { top_tokens } of choice.logprobs) bytes += 64 + 16 * top_tokens.length;
  }
  return bytes;
}
