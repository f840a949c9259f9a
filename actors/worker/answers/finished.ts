/**
 * Answers that are over and whole, for a while: the oldest go first, by age, by number and by
 * bytes.
 */
import { SlotMap } from "../../../runtime/slot-map.ts";
import type { LiveAnswer } from "./delivery.ts";
import { type PackedAnswer, packAnswer, unpackAnswer } from "./packing.ts";

export type KeepLimits = {
  /** How long an answer is kept after its delivery. */
  readonly keep_ms: number;
  readonly answers_max: number;
  readonly bytes_max: number;
};

type Entry = {
  readonly request: string;
  /** The id that clients know it by; empty when nobody can resume it. */
  readonly answer: string;
  readonly packed: PackedAnswer;
  readonly until_ms: number;
};

/** So many places of those that are gone may stand in the order beside as many as are there. */
const ORDER_SLACK = 64;
/** What one costs beside its bytes, roughly. */
const ENTRY_BYTES = 512;

export class FinishedAnswers {
  /** By request name, in the order of `until_ms`. */
  readonly #over = new SlotMap<string, Entry>();
  /**
   * The same from `head` on, with those among them that were taken out: the first entry of a map is
   * slow to reach behind those that were deleted, which took a tenth of a busy worker's time.
   */
  #order: (Entry | undefined)[] = [];
  #head = 0;
  readonly #limits: KeepLimits;
  readonly #dropped: (request: string, answer: string) => void;
  #bytes_total = 0;

  /** `dropped`: told of those that are too old or too many, not of those that were taken out. */
  constructor(limits: KeepLimits, dropped: (request: string, answer: string) => void = () => {}) {
    this.#limits = limits;
    this.#dropped = dropped;
  }

  get count(): number {
    return this.#over.size;
  }

  get bytes(): number {
    return this.#bytes_total;
  }

  /** It must be whole. The oldest go when there are too many. */
  add(live: LiveAnswer, now_ms: number): void {
    const { request, resumable } = live.generate;
    this.forget(request);
    const over: Entry = {
      request,
      answer: resumable?.answer ?? "",
      packed: packAnswer(live),
      until_ms: now_ms + this.#limits.keep_ms,
    };
    this.#over.set(request, over);
    this.#bytes_total += sizeOf(over);
    if (this.#order.length > 2 * this.#over.size + ORDER_SLACK) {
      this.#order = [...this.#over.values()];
      this.#head = 0;
    } else {
      this.#order.push(over);
    }
    this.sweep(now_ms);
  }

  has(request: string): boolean {
    return this.#over.has(request);
  }

  /** A copy of it; it stays here. */
  get(request: string): LiveAnswer | undefined {
    const over = this.#over.get(request);
    return over && unpackAnswer(over.packed);
  }

  /** It is live again, or another one has its name. False when it was not here. */
  forget(request: string): boolean {
    const over = this.#over.take(request);
    if (over === undefined) return false;
    this.#bytes_total -= sizeOf(over);
    return true;
  }

  /** Drops what is too old or too much. Returns when there is more to drop, if ever. */
  sweep(now_ms: number): number | undefined {
    const { answers_max, bytes_max } = this.#limits;
    for (; this.#head < this.#order.length; this.#order[this.#head++] = undefined) {
      const over = this.#order[this.#head]!;
      if (this.#over.get(over.request) !== over) continue;
      const fits = this.#over.size <= answers_max && this.#bytes_total <= bytes_max;
      if (fits && over.until_ms > now_ms) return over.until_ms;
      this.forget(over.request);
      this.#dropped(over.request, over.answer);
    }
    return undefined;
  }
}

const sizeOf = ({ packed }: Entry): number => ENTRY_BYTES + packed.bytes.length;
