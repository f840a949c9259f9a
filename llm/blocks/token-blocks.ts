/**
 * The blocks of a sequence that grows: prompt first, then token after token. Each full block is
 * hashed once, when its last token arrives. Tokens of full blocks are not kept.
 */
import { BLOCK_HASH_SEED, type BlockHashes, chainHash, localHash } from "./block-hash.ts";

const FIRST_BLOCKS = 4;

export class TokenBlocks {
  /** Tokens so far, those in the tail included. */
  length = 0;
  /** Full blocks so far. */
  count = 0;
  #local: BigUint64Array;
  #sequence: BigUint64Array;
  /** The hashes as 32-bit words: low half of block i at 2i, high half at 2i + 1. */
  local_words: Int32Array;
  sequence_words: Int32Array;
  readonly #tail: Uint32Array;

  /** `seed`: blockSeed() of the request. Throws RangeError for a size that is not positive. */
  readonly #seed: bigint;

  constructor(
    readonly block_size: number,
    seed = BLOCK_HASH_SEED,
  ) {
    this.#seed = seed;
    if (!(block_size > 0)) throw new RangeError(`a block of ${block_size} tokens is none`);
    this.#tail = new Uint32Array(block_size);
    const bytes = 8 * FIRST_BLOCKS;
    const memory = new ArrayBuffer(2 * bytes);
    this.#local = new BigUint64Array(memory, 0, FIRST_BLOCKS);
    this.#sequence = new BigUint64Array(memory, bytes, FIRST_BLOCKS);
    this.local_words = new Int32Array(memory, 0, 2 * FIRST_BLOCKS);
    this.sequence_words = new Int32Array(memory, bytes, 2 * FIRST_BLOCKS);
  }

  push(token: number): void {
    const at = this.length % this.block_size;
    this.#tail[at] = token;
    this.length++;
    if (at === this.block_size - 1) this.#complete(this.#tail);
  }

  append(tokens: Uint32Array): void {
    const size = this.block_size;
    let from = 0;
    while (from < tokens.length) {
      const at = this.length % size;
      if (at === 0 && tokens.length - from >= size) {
        this.length += size;
        this.#complete(tokens.subarray(from, from + size));
        from += size;
      } else {
        const taken = tokens.subarray(from, from + size - at);
        this.#tail.set(taken, at);
        this.length += taken.length;
        from += taken.length;
        if (this.length % size === 0) this.#complete(this.#tail);
      }
    }
  }

  /** Views of what is there now; they do not grow with the sequence. */
  hashes(): BlockHashes {
    return {
      local_hashes: this.#local.subarray(0, this.count),
      sequence_hashes: this.#sequence.subarray(0, this.count),
    };
  }

  #complete(block: Uint32Array): void {
    if (this.count === this.#local.length) this.#grow();
    const local = localHash(block, this.#seed);
    this.#local[this.count] = local;
    this.#sequence[this.count] =
      this.count === 0 ? local : chainHash(this.#sequence[this.count - 1]!, local);
    this.count++;
  }

  #grow(): void {
    const local = new BigUint64Array(this.#local.length * 2);
    const sequence = new BigUint64Array(local.length);
    local.set(this.#local);
    sequence.set(this.#sequence);
    this.#local = local;
    this.#sequence = sequence;
    this.local_words = new Int32Array(local.buffer);
    this.sequence_words = new Int32Array(sequence.buffer);
  }
}
