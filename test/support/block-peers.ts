/** Two keepers' ends of the plane between machines, with blocks that only a test has. */
import { BlockPlane } from "../../actors/kv/peer/plane.ts";
import type { PullTarget } from "../../actors/kv/peer/pull.ts";
import {
  type PeerTimes,
  peerTimes,
  type ReadBlock,
  type Reading,
} from "../../actors/kv/peer/sender.ts";
import type { Clock, Net, Random } from "../../runtime/capabilities.ts";

/** Bytes that nobody else's block has. */
export function blockBytes(hash: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let x = Number(hash & 0xffffffn) | 1;
  for (let i = 0; i < size; i += 1) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    bytes[i] = x >>> 16;
  }
  return bytes;
}

/** A ticket's blocks, some of which come later or never. */
export class TestReading implements Reading {
  closed = 0;
  readonly #blocks = new Map<bigint, ReadBlock | "coming" | "gone">();
  #news: () => void = () => {};

  constructor(hashes: readonly bigint[], size: number) {
    for (const hash of hashes) this.put(hash, blockBytes(hash, size));
  }

  put(hash: bigint, bytes: Uint8Array, sum = Bun.hash.xxHash3(bytes)): void {
    this.#blocks.set(hash, { bytes, sum });
    this.#news();
  }

  set(hash: bigint, state: "coming" | "gone"): void {
    this.#blocks.set(hash, state);
    this.#news();
  }

  get(hash: bigint): ReadBlock | "coming" | "gone" {
    return this.#blocks.get(hash) ?? "gone";
  }

  onNews(listener: () => void): void {
    this.#news = listener;
  }

  close(): void {
    this.closed += 1;
  }
}

/** Room for so many blocks; says what became of each. */
export class TestTarget implements PullTarget {
  readonly memory = new Map<bigint, Uint8Array>();
  readonly filled_hashes: bigint[] = [];
  readonly dropped_hashes: bigint[] = [];
  onFilled: (hash: bigint) => void = () => {};
  readonly #slots: number;
  readonly #size: number;
  readonly #held: ReadonlySet<bigint>;

  constructor(slots: number, size: number, held: readonly bigint[] = []) {
    this.#slots = slots;
    this.#size = size;
    this.#held = new Set(held);
  }

  reserve(hash: bigint): Uint8Array | "held" | "full" {
    if (this.#held.has(hash)) return "held";
    if (this.memory.size >= this.#slots) return "full";
    const memory = new Uint8Array(this.#size);
    this.memory.set(hash, memory);
    return memory;
  }

  filled(hash: bigint): void {
    this.filled_hashes.push(hash);
    this.onFilled(hash);
  }

  dropped(hash: bigint): void {
    this.dropped_hashes.push(hash);
    this.memory.delete(hash);
  }
}

export const planeOn = (net: Net, clock: Clock, random: Random, times: PeerTimes = peerTimes) =>
  new BlockPlane({ net, clock, random, times });
