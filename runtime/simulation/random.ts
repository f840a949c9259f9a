/**
 * Repeatable randomness: xoshiro128** (Blackman and Vigna, https://prng.di.unimi.it/), seeded by
 * splitmix32. Not for secrets.
 */

import type { Ids, Random } from "../capabilities.ts";

export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** Any number; its lower 53 bits count. */
  constructor(seed: number) {
    const low = seed >>> 0;
    const high = Math.floor(Math.abs(seed) / 2 ** 32) >>> 0;
    this.#a = splitmix32(low ^ 0x9e3779b9);
    this.#b = splitmix32(this.#a ^ high);
    this.#c = splitmix32(this.#b + low);
    // The all-zero state is the generator's one fixed point.
    this.#d = splitmix32(this.#c + high) | 1;
  }

  u32(): number {
    const result = Math.imul(rotl(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = rotl(this.#d, 11);
    return result;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  unit(): number {
    // 53 bits, as many as a double in [0, 1) has.
    return ((this.u32() >>> 5) * 2 ** 26 + (this.u32() >>> 6)) / 2 ** 53;
  }
}

/** An independent stream: one for each node of a simulation, so that adding one shifts no other. */
export function forkRandom(random: Random): SeededRandom {
  return new SeededRandom(random.u32() * 2 ** 21 + (random.u32() >>> 11));
}

/** Uniform in [0, below); below ≥ 1. */
export function pickIndex(random: Random, below: number): number {
  return Math.floor(random.unit() * below);
}

/** "prefix1", "prefix2", …: ids for simulations. */
export function countingIds(prefix: string): Ids {
  let last = 0;
  return { next: () => `${prefix}${++last}` };
}

function splitmix32(state: number): number {
  let z = (state + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) | 0;
}

function rotl(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
