/**
 * What a keeper of blocks does with those of other machines:
 *
 *   find     ──▶ who owns the next blocks? ── ask ──▶ owner ── ticket ──▶ pulled into our slots
 *   hand-off ──▶ the machine that computes them ── ask, ticket ──▶ pulled as they are computed
 *   reused   ──▶ offered to the owner (offers.ts)
 *
 * A miss is normal. An owner that does not answer is left in peace for a while. Part of the keeper:
 * calls are turns of that actor, and events of sockets come between them.
 */
import type {
  KvKeeperMessage,
  PeerFindKv,
  PeerFoundKv,
  PeerOfferKv,
} from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { hashesIn, packedHashes } from "../keeper/packed-hashes.ts";
import type { PeerMember } from "./members.ts";
import { Misses } from "./misses.ts";
import { Offers } from "./offers.ts";
import { type PeerBase, pullShape } from "./peer-base.ts";
import type { PullEnd } from "./pull.ts";
import { type PeerSpace, parentsOf, RoomReading, RoomTarget } from "./space.ts";
import { BLOCKS_MOST, ticketBytes, ticketIn } from "./wire.ts";

/** Blocks that somebody wants, from number `from` on. */
export type WantedRow = {
  readonly space: PeerSpace;
  readonly hashes: ArrayLike<bigint>;
  readonly from: number;
  /** On the clock's scale. */
  readonly until_ms: number;
};

/** A keeper answers from memory: a late answer is of no use. */
const ASK_MS = 300;
/** So long nobody asks a member that did not answer. */
const REST_MS = 5_000;
/** So long a block that its owner did not have is not asked for. */
const MISS_MS = 2_000;
/** A member that was not heard of for so long when its reader gave up is out of reach. */
const PATIENCE_MS = 200;
/** Blocks of a row that owners are asked for. */
const ROW_MOST = 2_048;

type Errand = {
  readonly row: WantedRow;
  readonly ended: () => void;
  readonly pulls: Set<() => void>;
  over: boolean;
};

type Asked = { readonly ref: PeerMember["ref"]; hashes: bigint[] };

export class Peers {
  readonly offers: Offers;
  readonly #base: PeerBase;
  readonly #misses = new Misses(MISS_MS);
  /** By the keeper's node: until when. */
  readonly #resting_ms = new Map<string, number>();
  readonly #errands = new Set<Errand>();
  readonly #counts = { asked: 0, unanswered: 0, missed_blocks: 0 };

  constructor(base: PeerBase) {
    this.#base = base;
    this.offers = new Offers(base);
  }

  /**
   * Brings what the owners have of the row, without a gap. Undefined: nobody has to be asked. Else
   * `ended` is called once, when no more comes; the returned function gives it up.
   */
  bring(row: WantedRow, ended: () => void): (() => void) | undefined {
    const asked = this.#askable(row);
    if (asked.length === 0) return undefined;
    const errand = this.#errand(row, ended);
    const found = new Map<Asked, PeerFoundKv>();
    let left = asked.length;
    for (const each of asked) {
      this.#ask(each, "", row, (answer) => {
        if (answer !== undefined) found.set(each, answer);
        left -= 1;
        if (left === 0) this.#pullFound(errand, found);
      });
    }
    return () => this.#finish(errand);
  }

  /** As `bring`, but as a hand-off computes the row, on the machine of that keeper. */
  bringFrom(
    row: WantedRow,
    keeper: Ref<KvKeeperMessage>,
    id: string,
    ended: () => void,
  ): (() => void) | undefined {
    if (this.#rests(keeper)) return undefined;
    const errand = this.#errand(row, ended);
    const hashes = restOf(row, BLOCKS_MOST);
    this.#ask({ ref: keeper, hashes }, id, row, (answer) => {
      if (answer !== undefined) this.#pull(errand, keeper, hashes, answer);
      this.#finishIfDone(errand);
    });
    return () => this.#finish(errand);
  }

  /** Another machine's keeper asks. */
  found({ identity, hashes: packed, writer, wait_ms }: PeerFindKv): PeerFoundKv {
    const { plane, address, clock, guest, space: find } = this.#base;
    const space = find(identity);
    if (space === undefined || address === "") return NOTHING;
    const hashes = Array.from(hashesIn(packed)).slice(0, BLOCKS_MOST);
    const reading = new RoomReading(space, guest(), hashes, writer);
    if (writer === "") reading.load();
    const have = hashes.flatMap((hash, i) => (writer !== "" || reading.has(hash) ? [i] : []));
    if (have.length === 0) {
      reading.close();
      return NOTHING;
    }
    const ticket = plane.ticket(reading, clock.now_ms() + wait_ms);
    if (ticket === undefined) return NOTHING;
    return { kind: "peer_found_kv", have, address, ticket: ticketBytes(ticket) };
  }

  /** Another machine's keeper has blocks that are ours to keep. */
  offered(offer: PeerOfferKv): void {
    this.offers.take(offer, (hashes) => {
      for (const hash of hashes) this.#misses.forget(hash);
    });
  }

  counts() {
    return { ...this.#counts, ...this.offers.counts() };
  }

  /** Rows under way, and offers that are read. */
  get busy(): number {
    return this.#errands.size + this.offers.reads;
  }

  close(): void {
    this.offers.close();
    for (const errand of [...this.#errands]) this.#finish(errand);
    this.#base.plane.close();
  }

  /** The row's next blocks by owner, up to the first that nobody else can have. */
  #askable(row: WantedRow): Asked[] {
    const { members, clock } = this.#base;
    const now_ms = clock.now_ms();
    const asked = new Map<string, Asked>();
    const { space } = row;
    for (const hash of restOf(row, ROW_MOST)) {
      if (space.has(hash)) continue;
      const owner = members.ownerOf(space.identity, hash);
      if (owner === undefined || this.#misses.has(hash, now_ms)) break;
      const { machine, ref } = owner;
      if (this.#rests(ref)) break;
      const each = asked.get(machine) ?? { ref, hashes: [] };
      asked.set(machine, each);
      each.hashes.push(hash);
    }
    return [...asked.values()];
  }

  #ask(
    { ref, hashes }: Asked,
    writer: string,
    { space, until_ms }: WantedRow,
    took: (answer: PeerFoundKv | undefined) => void,
  ): void {
    const { ctx, clock } = this.#base;
    const wait_ms = Math.max(0, Math.ceil(until_ms - clock.now_ms()));
    const { identity } = space;
    const message: PeerFindKv = {
      ...{ kind: "peer_find_kv", identity, hashes: packedHashes(hashes), writer, wait_ms },
    };
    this.#counts.asked += 1;
    ctx.askThen(ref, message, { deadline_ms: ASK_MS }, took, () => {
      this.#counts.unanswered += 1;
      this.#rest(ref);
      took(undefined);
    });
  }

  /** All owners have answered: reads what is there up to the first block that is not. */
  #pullFound(errand: Errand, found: ReadonlyMap<Asked, PeerFoundKv>): void {
    const now_ms = this.#base.clock.now_ms();
    const there = new Set<bigint>();
    for (const [{ hashes }, { have }] of found) {
      for (const i of have) if (hashes[i] !== undefined) there.add(hashes[i]);
      for (const hash of hashes) {
        if (there.has(hash)) continue;
        this.#misses.note(hash, now_ms);
        this.#counts.missed_blocks += 1;
      }
    }
    const row = restOf(errand.row, ROW_MOST);
    const { space } = errand.row;
    const gap = row.findIndex((hash) => !there.has(hash) && !space.has(hash));
    const readable = new Set(gap < 0 ? row : row.slice(0, gap));
    if (there.size > 0) this.#load(errand, [...readable]);
    for (const [{ hashes, ref }, answer] of found) {
      const mine = hashes.filter((hash) => readable.has(hash));
      if (mine.length > 0) this.#pull(errand, ref, mine, answer);
    }
    this.#finishIfDone(errand);
  }

  /** Blocks of ours between those of others, which are on our disk. */
  #load(errand: Errand, hashes: readonly bigint[]): void {
    const { row, pulls } = errand;
    if (errand.over) return;
    const loading = row.space.load?.(hashes, () => {
      if (loading?.coming() === false) end();
    });
    if (loading === undefined) return;
    const end = () => {
      loading.end();
      pulls.delete(end);
      this.#finishIfDone(errand);
    };
    pulls.add(end);
  }

  #pull(
    errand: Errand,
    keeper: PeerMember["ref"],
    hashes: readonly bigint[],
    { address, ticket: bytes, have }: PeerFoundKv,
  ): void {
    const ticket = ticketIn(bytes);
    if (errand.over || ticket === undefined || have.length === 0) return;
    const { row, pulls } = errand;
    const { space, until_ms } = row;
    const guest = this.#base.guest();
    const target = new RoomTarget(space, guest, parentsOf(row));
    const plan = { address, ticket, hashes, until_ms, ...pullShape(space) };
    const begun_ms = this.#base.clock.now_ms();
    const pull = this.#base.plane.pull(plan, target, ({ end, heard }) => {
      const waited_ms = this.#base.clock.now_ms() - begun_ms;
      if (OUT_OF_REACH.has(end) || (!heard && waited_ms >= PATIENCE_MS)) this.#rest(keeper);
      space.room.gone(guest);
      pulls.delete(cancel);
      this.#finishIfDone(errand);
    });
    const cancel = () => pull.cancel();
    pulls.add(cancel);
  }

  #rest({ address }: PeerMember["ref"]): void {
    const now_ms = this.#base.clock.now_ms();
    for (const [node, until_ms] of this.#resting_ms) {
      if (until_ms <= now_ms) this.#resting_ms.delete(node);
    }
    this.#resting_ms.set(address.node, now_ms + REST_MS);
  }

  /** It is left in peace for a while. */
  #rests({ address }: PeerMember["ref"]): boolean {
    return (this.#resting_ms.get(address.node) ?? 0) > this.#base.clock.now_ms();
  }

  #errand(row: WantedRow, ended: () => void): Errand {
    const errand: Errand = { row, ended, pulls: new Set(), over: false };
    this.#errands.add(errand);
    return errand;
  }

  #finishIfDone(errand: Errand): void {
    if (errand.pulls.size === 0) this.#finish(errand);
  }

  #finish(errand: Errand): void {
    if (errand.over) return;
    errand.over = true;
    this.#errands.delete(errand);
    for (const cancel of [...errand.pulls]) cancel();
    errand.ended();
  }
}

/** Ends of a pull after which the next one would only wait, too. */
const OUT_OF_REACH: ReadonlySet<PullEnd> = new Set(["unreachable", "silent", "broken"]);

const NOTHING: PeerFoundKv = {
  ...{ kind: "peer_found_kv", have: [], address: "", ticket: new Uint8Array() },
};

const restOf = ({ hashes, from }: WantedRow, most: number): bigint[] => {
  const count = Math.max(0, Math.min(most, hashes.length - from));
  return Array.from({ length: count }, (_, i) => hashes[from + i]!);
};
