/**
 * Blocks of a request that a trace describes by hash ids (one a block of its own size, say 512
 * tokens) and lengths: the names are made up from the ids, so nobody invents tokens. Two requests
 * share a name exactly when their ids agree up to there. Integer mixing in two independent 32-bit
 * lanes instead of XXH3: no bigint is made, and the names never meet those of real tokens.
 */
import type { BlockHashes } from "./block-hash.ts";

const LANE_A = 0x9e3779b1;
const LANE_B = 0x85ebca77;

export class TraceBlocks {
  /** Blocks named so far. */
  count = 0;
  local_words: Int32Array;
  sequence_words: Int32Array;

  /**
   * `hash_ids`: u32, as a trace's reader numbers them. `block_size` must divide `trace_block_size`. `own` tells this request's own blocks (those after
   * its prompt) from everybody else's: any u32, one a request. Throws RangeError for sizes that do
   * not fit or too few ids.
   */
  readonly #own: number;

  constructor(
    hash_ids: readonly number[],
    trace_block_size: number,
    input_length: number,
    block_size: number,
    own: number,
  ) {
    this.#own = own;
    const parts = trace_block_size / block_size;
    if (!Number.isInteger(parts) || parts < 1) {
      throw new RangeError(`blocks of ${block_size} do not divide those of ${trace_block_size}`);
    }
    const full = Math.floor(input_length / block_size);
    if (hash_ids.length * parts < full) {
      throw new RangeError(`${hash_ids.length} hash ids are too few for ${input_length} tokens`);
    }
    this.local_words = new Int32Array(2 * (full + 2));
    this.sequence_words = new Int32Array(2 * (full + 2));
    for (let i = 0; i < full; i++) this.#name(hash_ids[Math.floor(i / parts)]!, i % parts);
  }

  /** Names blocks of the answer until there are `count`. */
  nameTo(count: number): void {
    if (2 * count > this.local_words.length) this.#grow(count);
    while (this.count < count) this.#name(this.#own ^ 0x5bd1e995, 0x80000000 + this.count);
  }

  hashes(): BlockHashes {
    return {
      local_hashes: new BigUint64Array(this.local_words.buffer, 0, this.count),
      sequence_hashes: new BigUint64Array(this.sequence_words.buffer, 0, this.count),
    };
  }

  #name(id: number, part: number): void {
    const at = 2 * this.count;
    const { local_words: local, sequence_words: sequence } = this;
    local[at] = mix(Math.imul(id, LANE_A) ^ mix(part));
    local[at + 1] = mix(Math.imul(id, LANE_B) + mix(part ^ LANE_A));
    const parent_a = at === 0 ? 0x2545f491 : sequence[at - 2]!;
    const parent_b = at === 0 ? 0x4f6cdd1d : sequence[at - 1]!;
    sequence[at] = mix(Math.imul(parent_a, LANE_A) + local[at]!);
    sequence[at + 1] = mix(Math.imul(parent_b, LANE_B) ^ local[at + 1]!);
    this.count++;
  }

  #grow(count: number): void {
    const words = 2 * Math.max(count, this.local_words.length);
    const local = new Int32Array(words);
    const sequence = new Int32Array(words);
    local.set(this.local_words);
    sequence.set(this.sequence_words);
    this.local_words = local;
    this.sequence_words = sequence;
  }
}

/** The finalizer of MurmurHash3 (32 bits): a bijection in which each bit moves half of them. */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
