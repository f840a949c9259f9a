/** A 64-bit hash as two 32-bit words. */
const one = new BigUint64Array(1);
const halves = new Uint32Array(one.buffer);

export function words(hash: bigint): readonly [low: number, high: number] {
  one[0] = hash;
  return [halves[0]!, halves[1]!];
}

/** The least power of two that is not below `entries`; at least 16. */
export const sizeOfTable = (entries: number): number =>
  2 ** Math.max(4, Math.ceil(Math.log2(Math.max(1, entries))));
