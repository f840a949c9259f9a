/**
 * Finished answers, kept for a while. Age, number and bytes are bounded; the oldest are dropped
 * first.
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
  /** The answer's id for clients; empty if no client can resume it. */
  readonly answer: string;
  readonly packed: PackedAnswer;
  readonly until_ms: number;
};

/** `#order` is compacted when it has this many more empty places than entries. */
const ORDER_SLACK = 64;
/** Memory of an entry beside its bytes, roughly. */
const ENTRY_BYTES = 512;

export class FinishedAnswers {
  /** By request name, in the order of `until_ms`. */
  readonly #over = new SlotMap<string, Entry>();
  /**
   * The same entries from `head` on, with holes where some were taken out. A map's first entry is
   * slow to reach behind deleted ones, which took a tenth of a busy worker's time.
   */
  #order: (Entry | undefined)[] = [];
  #head = 0;
  readonly #limits: KeepLimits;
  readonly #dropped: (request: string, answer: string) => void;
  #bytes_total = 0;

  /** `dropped` is called for entries that are too old or too many, not for ones taken out. */
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

  /** Adds a whole answer. The oldest are dropped when there are too many. */
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

  /** Returns a copy; the entry stays. */
  get(request: string): LiveAnswer | undefined {
    const over = this.#over.get(request);
    return over && unpackAnswer(over.packed);
  }

  /** Takes an answer out: it is live again, or another one has its name. False: not here. */
  forget(request: string): boolean {
    const over = this.#over.take(request);
    if (over === undefined) return false;
    this.#bytes_total -= sizeOf(over);
    return true;
  }

  /** Drops entries that are too old or too many. Returns the time of the next drop, if any. */
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
