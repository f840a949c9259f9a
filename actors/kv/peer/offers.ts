/**
 * Blocks of ours that another machine keeps for all: it is offered them with a ticket, and reads
 * those that it wants.
 *
 *   keeper ── offer: names, ticket ──▶ owner
 *          ◀── hello, credit ──────── reads what it does not have
 */
import type { PeerOfferKv } from "../../../proto/index.ts";
import { hashesIn, packedHashes } from "../keeper/packed-hashes.ts";
import { NO_PARENT } from "../tier/tier.ts";
import type { PeerMember } from "./members.ts";
import { type Offered, Offering } from "./offering.ts";
import { type PeerBase, pullShape } from "./peer-base.ts";
import { type PeerSpace, RoomReading, RoomTarget } from "./space.ts";
import { ticketBytes, ticketIn } from "./wire.ts";

/** Blocks of one offer. */
const OFFER_BLOCKS = 64;
/** Blocks that are wanted together are offered together. */
const DELAY_MS = 50;
/** An offered block may be read for so long. */
const OFFER_MS = 10_000;
/** Offers of others that are read at a time; more are passed over. */
const READS_MOST = 4;

export class Offers {
  readonly #base: PeerBase;
  /** By identity. */
  readonly #offerings = new Map<string, Offering>();
  readonly #counts = { offers: 0, offered_blocks: 0, taken_offers: 0, passed_offers: 0 };
  #reads = 0;
  #soon = false;
  #closed = false;

  constructor(base: PeerBase) {
    this.#base = base;
  }

  /** Blocks that are kept here now. */
  registered(space: PeerSpace, blocks: Iterable<Offered>): void {
    const offering = this.#offeringOf(space);
    for (const block of blocks) offering.registered(block);
    this.#offerSoon();
  }

  /** Blocks that somebody found here. */
  reused(space: PeerSpace, blocks: Iterable<Offered>): void {
    const offering = this.#offeringOf(space);
    for (const block of blocks) offering.reused(block);
    this.#offerSoon();
  }

  /** Another machine's keeper has blocks that are ours to keep. `read`: they were looked at. */
  take(offer: PeerOfferKv, read: (hashes: readonly bigint[]) => void): void {
    const { clock, plane, guest, space: find } = this.#base;
    const space = find(offer.identity);
    const ticket = ticketIn(offer.ticket);
    const hashes = Array.from(hashesIn(offer.hashes)).slice(0, OFFER_BLOCKS);
    if (space === undefined || ticket === undefined || hashes.length === 0) return;
    if (this.#closed || this.#reads >= READS_MOST) {
      this.#counts.passed_offers += 1;
      return;
    }
    const before = hashesIn(offer.parents);
    const reader = guest();
    const parents = new Map(hashes.map((hash, i) => [hash, before[i] ?? NO_PARENT]));
    const until_ms = clock.now_ms() + OFFER_MS;
    const plan = { address: offer.address, ticket, hashes, until_ms, ...pullShape(space) };
    this.#counts.taken_offers += 1;
    this.#reads += 1;
    plane.pull(plan, new RoomTarget(space, reader, parents), () => {
      this.#reads -= 1;
      space.room.gone(reader);
      read(hashes);
    });
  }

  /** An offer that is sent is soon one that another keeper has taken, or passed over. */
  counts() {
    let waiting_blocks = 0;
    for (const { waiting } of this.#offerings.values()) waiting_blocks += waiting;
    return { ...this.#counts, waiting_blocks, offers_read: this.#reads };
  }

  /** Offers that are read now. */
  get reads(): number {
    return this.#reads;
  }

  close(): void {
    this.#closed = true;
  }

  #offeringOf({ identity }: PeerSpace): Offering {
    const known = this.#offerings.get(identity);
    if (known !== undefined) return known;
    const offering = new Offering(this.#base.policy);
    this.#offerings.set(identity, offering);
    return offering;
  }

  #offerSoon(): void {
    const waiting = [...this.#offerings.values()].some((offering) => offering.waiting > 0);
    if (!waiting || this.#soon || this.#closed) return;
    this.#soon = true;
    this.#base.clock.after(DELAY_MS, () => {
      this.#soon = false;
      if (this.#closed) return;
      for (const [identity, offering] of this.#offerings) this.#offer(identity, offering);
      this.#offerSoon();
    });
  }

  #offer(identity: string, offering: Offering): void {
    const { members, space: find } = this.#base;
    const space = find(identity);
    const blocks_of = new Map<PeerMember, Offered[]>();
    for (const block of offering.take(OFFER_BLOCKS)) {
      const owner = members.ownerOf(identity, block.hash);
      if (owner === undefined) continue;
      const blocks = blocks_of.get(owner) ?? [];
      blocks_of.set(owner, blocks);
      blocks.push(block);
    }
    if (space === undefined) return;
    for (const [owner, blocks] of blocks_of) this.#offerTo(owner, space, blocks);
  }

  #offerTo({ ref }: PeerMember, space: PeerSpace, blocks: readonly Offered[]): void {
    const { plane, clock, address, guest } = this.#base;
    if (address === "") return;
    const names = blocks.map(({ hash }) => hash);
    const reading = new RoomReading(space, guest(), names, "");
    const here = blocks.filter(({ hash }) => reading.hold(hash));
    if (here.length === 0) {
      reading.close();
      return;
    }
    const ticket = plane.ticket(reading, clock.now_ms() + OFFER_MS);
    if (ticket === undefined) return;
    this.#counts.offers += 1;
    this.#counts.offered_blocks += here.length;
    const { identity } = space;
    const offer: PeerOfferKv = {
      ...{ kind: "peer_offer_kv", identity, address, ticket: ticketBytes(ticket) },
      hashes: packedHashes(here.map(({ hash }) => hash)),
      parents: packedHashes(here.map(({ parent }) => parent)),
    };
    this.#base.ctx.tell(ref, offer);
  }
}
