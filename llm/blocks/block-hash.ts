/**
 * The identity of a KV block: a hash of its tokens, and one of everything up to its end.
 *
 *   local[i] = xxh3_64(tokens of block i, little-endian u32; seed)
 *   sequence[0] = local[0]
 *   sequence[i] = xxh3_64(le(sequence[i-1]) ‖ le(local[i]); 1337)
 *
 * The same values as NVIDIA Dynamo's (lib/kv-router, lib/kv-hashing, lib/tokens), so that events
 * of its engines and of ours mean the same blocks. Only full blocks have a name; a tail has none.
 *
 * Rows of hashes are `BigUint64Array`s. Where no bigint may be made, see one as words: a
 * `Uint32Array` over the same memory has the low half of hash i at 2i and the high half at 2i + 1
 * (Bun runs on little-endian machines only).
 */

import { xxh3 } from "./xxh3.ts";

/** Names of the full blocks of one sequence, in order; both rows have the same length. */
export type BlockHashes = {
  readonly local_hashes: BigUint64Array;
  readonly sequence_hashes: BigUint64Array;
};

export const BLOCK_HASH_SEED = 1337n;

const U64 = (1n << 64n) - 1n;
const U32_END = 1n << 32n;
const link = new BigUint64Array(2);

/**
 * The seed of a request whose blocks must not be shared with everybody. An empty one counts
 * as none. As Dynamo's `compute_salt_hash`: 1337 + xxh3(adapter; 0) + xxh3(salt; 1), so that the
 * same text as an adapter and as a salt gives two seeds.
 */
export function blockSeed(of: {
  readonly adapter?: string | undefined;
  readonly salt?: string | undefined;
}) {
  let seed = BLOCK_HASH_SEED;
  if (of.adapter) seed += Bun.hash.xxHash3(of.adapter, 0n);
  if (of.salt) seed += Bun.hash.xxHash3(of.salt, 1n);
  return seed & U64;
}

/** Hash of exactly one block's tokens. Bun's own hash takes no seed of more than 32 bits. */
export function localHash(block: Uint32Array, seed = BLOCK_HASH_SEED): bigint {
  return seed < U32_END ? Bun.hash.xxHash3(block, seed) : xxh3(block, seed);
}

/** The name of a block from its own hash and its parent's sequence hash. Makes two bigints. */
export function chainHash(parent: bigint, local: bigint): bigint {
  link[0] = parent;
  link[1] = local;
  return Bun.hash.xxHash3(link, BLOCK_HASH_SEED);
}

/** Hashes of the full blocks of `tokens`. Throws RangeError for a block size below 1. */
export function localHashes(
  tokens: Uint32Array,
  block_size: number,
  seed = BLOCK_HASH_SEED,
): BigUint64Array {
  if (!(block_size > 0)) throw new RangeError(`a block of ${block_size} tokens is none`);
  const hashes = new BigUint64Array(Math.floor(tokens.length / block_size));
  for (let i = 0; i < hashes.length; i++) {
    const block = tokens.subarray(i * block_size, (i + 1) * block_size);
    hashes[i] = localHash(block, seed);
  }
  return hashes;
}

export function sequenceHashes(local: BigUint64Array): BigUint64Array {
  const hashes = new BigUint64Array(local.length);
  for (let i = 0; i < local.length; i++) {
    hashes[i] = i === 0 ? local[0]! : chainHash(hashes[i - 1]!, local[i]!);
  }
  return hashes;
}

/** Both rows of a prompt. */
export function blockHashes(
  tokens: Uint32Array,
  block_size: number,
  seed = BLOCK_HASH_SEED,
): BlockHashes {
  const local_hashes = localHashes(tokens, block_size, seed);
  return { local_hashes, sequence_hashes: sequenceHashes(local_hashes) };
}
