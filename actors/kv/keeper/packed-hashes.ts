/** Sequence hashes as they travel: u64, little endian, one after the other. */

export function packedHashes(hashes: Iterable<bigint>): Uint8Array {
  return new Uint8Array(BigUint64Array.from(hashes).buffer);
}

/** A copy; what is no whole hash at the end is left out. */
export function hashesIn(bytes: Uint8Array): BigUint64Array {
  const whole = bytes.slice(0, bytes.length - (bytes.length % 8));
  return new BigUint64Array(whole.buffer, whole.byteOffset, whole.length / 8);
}
