/**
 * A block as it lies in a store, with the header that files of blocks have (native/kv/file.c): who
 * reads it trusts nothing that the header and its checksum do not say. Pure.
 */

/** "TRKVBLK1" */
const MAGIC = 0x314b4c42564b5254n;
export const BLOCK_HEADER_BYTES = 48;

/** Two words by which blocks of one kind are told apart from all others. */
export type BlockKind = readonly [bigint, bigint];

/** @param identity as in WorkerRecord.kv_identity: 32 digits */
export const blockKind = (identity: string): BlockKind => [
  BigInt(`0x${identity.slice(0, 16)}`),
  BigInt(`0x${identity.slice(16, 32)}`),
];

export function stored(kind: BlockKind, bytes: Uint8Array, sum: bigint): Uint8Array {
  const whole = new Uint8Array(BLOCK_HEADER_BYTES + bytes.length);
  const words = [MAGIC, kind[0], kind[1], BigInt(bytes.length), sum];
  const view = new DataView(whole.buffer);
  for (const [i, word] of words.entries()) view.setBigUint64(i * 8, word, true);
  const own = Bun.hash.xxHash3(whole.subarray(0, words.length * 8));
  view.setBigUint64(words.length * 8, own, true);
  whole.set(bytes, BLOCK_HEADER_BYTES);
  return whole;
}

/** Why what a store gave is not the block. */
export type Untrusted = "torn" | "foreign" | "corrupt";

/** The block's bytes, as a view, and their checksum. */
export function readStored(
  kind: BlockKind,
  whole: Uint8Array,
  block_bytes: number,
): { readonly bytes: Uint8Array; readonly sum: bigint } | Untrusted {
  if (whole.length < BLOCK_HEADER_BYTES) return "torn";
  const view = new DataView(whole.buffer, whole.byteOffset, whole.length);
  const word = (i: number) => view.getBigUint64(i * 8, true);
  if (word(0) !== MAGIC) return "foreign";
  if (word(5) !== Bun.hash.xxHash3(whole.subarray(0, 40))) return "torn";
  if (word(1) !== kind[0] || word(2) !== kind[1]) return "foreign";
  if (word(3) !== BigInt(block_bytes)) return "foreign";
  const bytes = whole.subarray(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + block_bytes);
  if (bytes.length !== block_bytes) return "torn";
  return Bun.hash.xxHash3(bytes) === word(4) ? { bytes, sum: word(4) } : "corrupt";
}
