/**
 * Which machine keeps a block for all: the one whose name, together with the block's, makes the
 * highest number (rendezvous hashing, Thaler and Ravishankar, 1998). All machines come to the same
 * one without asking; of n machines that become n + 1, one block in n + 1 gets another owner.
 */
import { words } from "../tier/hash-words.ts";

/** A machine's name as the two words that are mixed with a block's. */
export type OwnerKey = { readonly name: string; readonly low: number; readonly high: number };

export function ownerKey(name: string): OwnerKey {
  const [low, high] = words(Bun.hash.xxHash3(name));
  return { name, low, high };
}

/** Undefined: there is no machine. */
export function ownerOf(hash: bigint, machines: readonly OwnerKey[]): OwnerKey | undefined {
  const [low, high] = words(hash);
  let best: OwnerKey | undefined;
  let most = -1;
  for (const machine of machines) {
    const weight = mixed(low ^ machine.low, high ^ machine.high);
    // Names settle a draw, so that the order of the list does not matter.
    if (weight > most || (weight === most && best !== undefined && machine.name > best.name)) {
      best = machine;
      most = weight;
    }
  }
  return best;
}

/** 0 to 2^32 - 1; the last steps of MurmurHash3 (Appleby). */
function mixed(low: number, high: number): number {
  let h = Math.imul(low, 0xcc9e2d51) ^ Math.imul((high << 15) | (high >>> 17), 0x1b873593);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
