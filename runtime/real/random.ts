/** The machine's randomness, drawn in blocks: a call into the system costs more than the number. */

import type { Random } from "../capabilities.ts";

const BLOCK_WORDS = 256;

export function realRandom(): Random {
  const words = new Uint32Array(BLOCK_WORDS);
  let next = BLOCK_WORDS;
  const u32 = (): number => {
    if (next === BLOCK_WORDS) {
      crypto.getRandomValues(words);
      next = 0;
    }
    return words[next++] as number;
  };
  return {
    u32,
    u64: () => (BigInt(u32()) << 32n) | BigInt(u32()),
    unit: () => ((u32() >>> 5) * 2 ** 26 + (u32() >>> 6)) / 2 ** 53,
  };
}
