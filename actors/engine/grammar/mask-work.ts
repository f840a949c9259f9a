/**
 * The masks of one lane of a native engine (native/masks/): those that answers wait for come first,
 * then those behind guesses, one by one, as long as their step lasts.
 */
import { type NativeMasks, TR } from "../../../native/index.ts";
import type { Lane } from "./lane.ts";

type Wanted = {
  readonly key: number;
  readonly slot: number;
  readonly count: number;
  /** What is forced is wanted too. */
  readonly forced: boolean;
};

/** Guesses of an answer, of which those before `at` have their masks. */
type Walk = {
  readonly key: number;
  readonly count: number;
  readonly place: number;
  readonly tokens: Uint32Array;
  at: number;
};

/**
 * So many masks behind guesses, as many as a step may have, and the thread hears messages too. What
 * is left then goes on with the engine's next news.
 */
const TURN = 64;

export class MaskWork {
  readonly #native: NativeMasks;
  readonly #words: Uint32Array;
  readonly #laneOf: (key: number) => Lane | undefined;
  readonly #records = new Uint32Array(TR.MASK_WORDS * 64);
  /** Wanted before their answer was opened. */
  readonly #early = new Map<number, Wanted>();
  readonly #wanted: Wanted[] = [];
  /** By key, all of one step. */
  readonly #walks = new Map<number, Walk>();
  #step = 0;
  /** What the engine wanted of the thread before is not answered. */
  #live = false;

  /** @param words room for a mask */
  constructor(native: NativeMasks, words: Uint32Array, laneOf: (key: number) => Lane | undefined) {
    this.#native = native;
    this.#words = words;
    this.#laneOf = laneOf;
  }

  /** The engine has news. */
  take(): void {
    for (let turn = 0; turn < TURN; turn++) {
      this.#poll();
      this.#make(this.#wanted.splice(0));
      const [walk] = this.#walks.values();
      if (walk === undefined) return;
      this.#goOn(walk);
    }
  }

  opened(key: number): void {
    const early = this.#early.get(key);
    if (early === undefined) return;
    this.#early.delete(key);
    this.#make([early]);
  }

  closed(key: number): void {
    this.#early.delete(key);
    this.#walks.delete(key);
  }

  #poll(): void {
    const records = this.#records;
    for (;;) {
      const length = this.#native.poll(records);
      for (let at = 0; at < length; at += records[at]!) this.#read(at);
      if (length <= records.length - TR.MASK_WORDS) return;
    }
  }

  #read(at: number): void {
    const record = this.#records.subarray(at, at + this.#records[at]!);
    const [, kind, slot = 0, key = 0, count = 0] = record;
    if (kind === TR.WANT_FROM_HERE) {
      this.#live = true;
      this.#early.clear();
    } else if (this.#live && kind === TR.WANT_MASK) {
      this.#walks.delete(key);
      this.#wanted.push({ key, slot, count, forced: record[5] === 1 });
    } else if (this.#live && kind === TR.WANT_GUESSES) {
      const [step = 0, place = 0] = record.subarray(5);
      if (step !== this.#step) this.#walks.clear();
      this.#step = step;
      this.#walks.set(key, { key, count, place, tokens: record.slice(7), at: 0 });
    }
  }

  /** What is forced first, which the engine may be waiting for to plan its next step. */
  #make(all: readonly Wanted[]): void {
    const native = this.#native;
    for (const wanted of all) {
      const { key, slot, count, forced } = wanted;
      const lane = this.#laneOf(key);
      if (lane === undefined) {
        this.#early.set(key, wanted);
        continue;
      }
      lane.back();
      if (count > lane.count) {
        const tokens = new Int32Array(count - lane.count);
        native.tokens(slot, lane.count, tokens);
        for (const token of tokens) lane.push(token);
      }
      if (forced) native.putForced(slot, key, count, Int32Array.from(lane.forced()));
    }
    for (const { key, slot, count } of all) {
      const lane = this.#laneOf(key);
      if (lane === undefined) continue;
      const words = lane.mask(this.#words) ? this.#words : undefined;
      while (!native.put(slot, key, count, words)) Bun.sleepSync(1);
    }
  }

  /** One mask more. */
  #goOn(walk: Walk): void {
    const { key, count, place, tokens, at } = walk;
    const lane = this.#laneOf(key);
    const token = tokens[at];
    if (at === 0) lane?.back();
    if (token !== undefined && lane?.count === count + at && lane.guess(token)) {
      if (lane.mask(this.#words)) this.#native.putGuess(key, this.#step, place + at, this.#words);
      walk.at++;
      return;
    }
    lane?.back();
    this.#walks.delete(key);
  }
}
