/** How rows of token ids and 64-bit seeds travel in messages: little endian, back to back. */

/** A copy, aligned. Throws RangeError when `bytes` is not a whole number of u32. */
export function tokensOf(bytes: Uint8Array): Uint32Array {
  if (bytes.length % 4 !== 0) throw new RangeError(`${bytes.length} bytes are no row of tokens`);
  // Half the time of a copy whose buffer is then taken: arrays this small have none until asked.
  const tokens = new Uint32Array(bytes.length / 4);
  for (let i = 0, at = 0; i < tokens.length; i++, at += 4) {
    const high = (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    tokens[i] = bytes[at]! | (bytes[at + 1]! << 8) | high;
  }
  return tokens;
}

/** The same memory seen as bytes, not a copy (Bun runs on little-endian machines only). */
export function bytesOf(tokens: Uint32Array): Uint8Array {
  return new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
}

/** Missing high bytes count as zeros, what is beyond eight is ignored. */
export function u64Of(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = Math.min(bytes.length, 8) - 1; i >= 0; i--)
    value = (value << 8n) | BigInt(bytes[i]!);
  return value;
}
