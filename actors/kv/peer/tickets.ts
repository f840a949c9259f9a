/** Who may read which blocks over the wire: tickets that are good once, for a while. Pure. */
import type { Random } from "../../../runtime/capabilities.ts";
import type { OpenedTicket, Reading } from "./sender.ts";
import type { Ticket } from "./wire.ts";

/** Not opened yet. Each holds blocks, so they are few. */
const TICKETS_MOST = 1024;

const nameOf = ({ first, second }: Ticket) => `${first} ${second}`;

export class Tickets {
  readonly #random: Random;
  /** In the order they were made in. */
  readonly #made = new Map<string, OpenedTicket & { readonly unopened_until_ms: number }>();

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#made.size;
  }

  /**
   * Undefined: as many as there may be wait already. Owns the reading from then on.
   * @param open_until_ms it is to be opened until then
   * @param until_ms once opened, it may be read until then
   */
  make(reading: Reading, open_until_ms: number, until_ms: number): Ticket | undefined {
    if (this.#made.size >= TICKETS_MOST) {
      reading.close();
      return undefined;
    }
    const ticket = { first: this.#random.u64(), second: this.#random.u64() };
    this.#made.set(nameOf(ticket), { reading, until_ms, unopened_until_ms: open_until_ms });
    return ticket;
  }

  /** Good for one connection: the opener owns the reading. */
  open(ticket: Ticket, now_ms: number): OpenedTicket | undefined {
    this.expire(now_ms);
    const name = nameOf(ticket);
    const made = this.#made.get(name);
    this.#made.delete(name);
    return made;
  }

  /** Closes what nobody has opened in time. */
  expire(now_ms: number): void {
    for (const [name, { reading, unopened_until_ms }] of this.#made) {
      if (unopened_until_ms > now_ms) continue;
      this.#made.delete(name);
      reading.close();
    }
  }

  clear(): void {
    this.expire(Number.POSITIVE_INFINITY);
  }
}
