/**
 * Interned actors of one connection. A path is sent once, with a slot number; messages carry the
 * number. When all slots are taken the oldest one is given anew, so actors that come and go for
 * days cost no memory on either side. Slot 0 is the node itself.
 *
 * The table begins small: most actors in it have ended, and each young collection of the garbage
 * collector looks at all of it. It doubles when too many of its slots go to actors that had one
 * and lost it.
 */
import type { Address } from "../kernel/message.ts";

export const SLOTS_FIRST = 256;
export const SLOTS_MAX = 8_192;
/** The table doubles when so much of a lap's slots went to actors that had lost theirs. */
const LOST_SHARE = 0.25;

/** A reference whose actor has a slot, or may get one. */
export interface Interned {
  readonly address: Address;
  /** Path and incarnation as one text. */
  readonly key: string;
  /** The actor's last slot and its connection; both are checked before use. */
  slot: number;
  slot_peer: object | undefined;
}

/** The sender's half of the table. */
export class InternTable {
  readonly #byKey = new Map<string, number>();
  readonly #keys: (string | undefined)[] = [undefined];
  #limit = SLOTS_FIRST;
  #next = 1;
  #lost = 0;

  /** True while `slot` still means the actor of this key. */
  holds(slot: number, key: string): boolean {
    return this.#keys[slot] === key;
  }

  /** An actor that had a slot and lost it is about to get another one. */
  lost(): void {
    this.#lost++;
  }

  /** The slot of an actor, given now if it has none; `intern` is called when the peer must learn. */
  slotOf(key: string, address: Address, intern: (slot: number, address: Address) => void): number {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#next > this.#limit) this.#lap();
    const slot = this.#next++;
    const before = this.#keys[slot];
    if (before !== undefined) this.#byKey.delete(before);
    this.#keys[slot] = key;
    this.#byKey.set(key, slot);
    intern(slot, address);
    return slot;
  }

  #lap(): void {
    if (this.#lost >= LOST_SHARE * this.#limit && this.#limit < SLOTS_MAX) this.#limit *= 2;
    else this.#next = 1;
    this.#lost = 0;
  }
}

export function keyOf(address: Address): string {
  return `${address.path}#${address.incarnation}`;
}
