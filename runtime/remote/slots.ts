/**
 * Interned actors of one connection. A path is sent once, with a slot number; messages carry the
 * number. There are as many slots as `slotsMax`: the oldest one is given anew when all are taken,
 * so actors that come and go for days cost no memory on either side. Slot 0 is the node itself.
 */
import type { Address } from "../message.ts";

export const slotsMax = 8_192;

/** The sender's half. */
export class OutSlots {
  readonly #byKey = new Map<string, number>();
  readonly #keys: (string | undefined)[] = [undefined];
  #next = 1;

  /** True while `slot` still means the actor of this key. */
  holds(slot: number, key: string): boolean {
    return this.#keys[slot] === key;
  }

  /** The slot of an actor, given now if it has none; `intern` is called when the peer must learn. */
  slotOf(key: string, address: Address, intern: (slot: number, address: Address) => void): number {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const slot = this.#next;
    this.#next = slot === slotsMax ? 1 : slot + 1;
    const before = this.#keys[slot];
    if (before !== undefined) this.#byKey.delete(before);
    this.#keys[slot] = key;
    this.#byKey.set(key, slot);
    intern(slot, address);
    return slot;
  }
}

export function keyOf(address: Address): string {
  return `${address.path}#${address.incarnation}`;
}
