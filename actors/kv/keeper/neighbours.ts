/**
 * The other machines of a keeper: its place on the plane of blocks between machines, who they are,
 * and its spaces as they see them.
 */
import type {
  ActorRef,
  KvKeeperMessage,
  PeerFindKv,
  PeerFoundKv,
  PeerOfferKv,
} from "../../../proto/index.ts";
import { errorText } from "../../../runtime/error-text.ts";
import type { Context } from "../../../runtime/kernel/context.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import { refOf } from "../../../runtime/remote/node.ts";
import { tcpAddress } from "../../../runtime/transport/tcp-address.ts";
import type { HostMemory } from "../memory/host-memory.ts";
import type { BlockStore } from "../object/block-store.ts";
import { ObjectTier } from "../object/object-tier.ts";
import { Members, type PeerMember } from "../peer/members.ts";
import type { AdmissionPolicy, Offered } from "../peer/offering.ts";
import { type WantedRow as KeptRow, Peers } from "../peer/peers.ts";
import { BlockPlane } from "../peer/plane.ts";
import { peerTimes } from "../peer/sender.ts";
import type { Expected, Loading, PeerSpace } from "../peer/space.ts";
import { NO_PARENT, parentIn } from "../tier/tier.ts";
import { identityText } from "./identity-text.ts";
import { NeighbourMetrics } from "./neighbour-metrics.ts";
import type { Space, Spaces } from "./spaces.ts";

/** A machine's keeper as the registry knows it. */
export type KeeperEntry = {
  readonly machine: string;
  readonly ref: ActorRef;
  /** What its workers' blocks are told apart by. */
  readonly identities: readonly string[];
};

export type NeighbourOptions = {
  readonly machine: string;
  readonly policy: AdmissionPolicy;
  /** Where other machines can reach this one; undefined: not known yet. */
  readonly host: () => string | undefined;
  /** Calls the listener with all keepers at once, then at each change. Returns what ends it. */
  readonly watch: (listener: (keepers: readonly KeeperEntry[]) => void) => () => void;
  /** What the machines share behind their memories. */
  readonly store?: BlockStore | undefined;
};

type Home = {
  readonly ctx: Pick<
    Context<Message>,
    "askThen" | "tell" | "clock" | "random" | "capabilities" | "system" | "log"
  >;
  readonly memory: HostMemory;
  readonly spaces: Spaces;
  /** The block has come into the space from elsewhere. */
  readonly came: (space: Space, hash: bigint) => void;
  /** Waits for a hand-off; `over` is called when no more comes by it. Returns what ends the wait. */
  readonly expect: (id: string, over: () => void) => () => void;
};

type WantedRow = {
  readonly space: Space;
  readonly hashes: ArrayLike<bigint>;
  readonly from: number;
  readonly until_ms: number;
};

/** Time between two tries to listen. */
const AGAIN_MS = 5_000;
/** And between two looks for this machine's address. */
const LOOK_MS = 200;

export class Neighbours {
  readonly #options: NeighbourOptions;
  readonly #home: Home;
  readonly #members: Members;
  readonly #plane: BlockPlane;
  readonly #seen = new Map<Space, SeenSpace>();
  readonly #store: ObjectTier | undefined;
  #unwatch: () => void = () => {};
  #peers: Peers | undefined;
  #address = "";
  #guests = 0;
  #closed = false;

  constructor(options: NeighbourOptions, home: Home) {
    this.#options = options;
    this.#home = home;
    this.#members = new Members(options.machine);
    const { clock, random, capabilities, system } = home.ctx;
    const { pulled, sent } = new NeighbourMetrics(system.metrics);
    const { net } = capabilities;
    this.#plane = new BlockPlane({ net, clock, random, times: peerTimes, pulled, sent });
    this.#store =
      options.store &&
      new ObjectTier({
        ...{ store: options.store, clock, guest: this.#guest },
        failed: (error) => {
          const why = errorText(error);
          home.ctx.log.log("warn", "the store of blocks cannot be used now", { why });
        },
      });
    this.#unwatch = options.watch((keepers) => this.#members.are(keepers.map(this.#member)));
    this.#listen();
  }

  /** There is somebody to ask. */
  get any(): boolean {
    const asks = this.#options.policy !== "disabled";
    return asks && this.#peers !== undefined && this.#members.count > 1;
  }

  /** Another machine's keeper asks. */
  found(message: PeerFindKv): PeerFoundKv | undefined {
    return this.#peers?.found(message);
  }

  offered(message: PeerOfferKv): void {
    this.#peers?.offered(message);
  }

  /**
   * Brings the row from its owners and, behind what they have, from the store; or as a hand-off
   * computes it at another keeper. Undefined: nothing comes. Else `ended` is called once, and the returned function gives it up.
   */
  bring(
    row: WantedRow,
    writer: string,
    from: ActorRef | undefined,
    ended: () => void,
  ): (() => void) | undefined {
    const peers = this.#peers;
    const wanted = { ...row, space: this.#see(row.space) };
    if (from === undefined) return this.#bringKept(wanted, ended);
    if (peers === undefined) return undefined;
    const keeper = refOf<KvKeeperMessage>(this.#home.ctx.system, from);
    return peers.bringFrom(wanted, keeper, writer, ended);
  }

  #bringKept(row: KeptRow, ended: () => void): (() => void) | undefined {
    const fromStore = () => this.#store?.bring(row, ended);
    let given_up = false;
    let cancel: (() => void) | undefined;
    const owners = this.any ? this.#peers : undefined;
    const first = owners?.bring(row, () => {
      // What it brought is passed over there.
      if (!given_up) cancel = fromStore();
      if (cancel === undefined) ended();
    });
    if (first === undefined) return fromStore();
    return () => {
      given_up = true;
      first();
      cancel?.();
    };
  }

  /** A worker found `count` blocks of the row from `from` on. */
  reused(space: Space, hashes: ArrayLike<bigint>, from: number, count: number): void {
    if (count === 0) return;
    const blocks = [...blocksOf(hashes, from, count)];
    const seen = this.#see(space);
    if (this.any) this.#peers?.offers.reused(seen, blocks);
    this.#store?.reused(seen, blocks);
  }

  /** A worker of this machine has written these. */
  registered(space: Space, hashes: ArrayLike<bigint>): void {
    if (this.#options.policy !== "eager" || !this.any) return;
    const blocks = Array.from(hashes, (hash) => {
      return { hash, parent: space.room.parentOf(hash) ?? NO_PARENT };
    });
    this.#peers?.offers.registered(this.#see(space), blocks);
  }

  came(space: Space): void {
    this.#seen.get(space)?.news();
  }

  inspect() {
    const plane = { ...this.#plane.counts(), ...this.#plane.live };
    return {
      ...{ address: this.#address, members: this.#members.count },
      ...{ ...plane, ...this.#peers?.counts() },
      ...(this.#store === undefined ? {} : { store: this.#store.counts() }),
    };
  }

  close(): void {
    this.#closed = true;
    this.#unwatch();
    this.#peers?.close();
    this.#store?.close();
    this.#plane.close();
  }

  readonly #guest = () => `neighbour ${++this.#guests}`;

  readonly #member = ({ machine, ref, identities }: KeeperEntry): PeerMember => ({
    machine,
    ref: refOf<KvKeeperMessage>(this.#home.ctx.system, ref),
    identities: new Set(identities),
  });

  /** As soon as this machine's address is known; again when it cannot. */
  #listen(): void {
    const { ctx } = this.#home;
    const host = this.#options.host();
    const later = (wait_ms: number) => void ctx.clock.after(wait_ms, () => this.#listen());
    if (this.#closed) return;
    if (host === undefined) {
      later(LOOK_MS);
      return;
    }
    this.#plane.listen(tcpAddress(host, 0)).then(
      (address) => this.#open(address),
      (error: unknown) => {
        const why = errorText(error);
        ctx.log.log("warn", "other machines cannot read blocks here", { host, why });
        later(AGAIN_MS);
      },
    );
  }

  #open(address: string): void {
    if (this.#closed) return;
    const { ctx, spaces } = this.#home;
    this.#address = address;
    ctx.log.log("info", "other machines read blocks here", { address });
    this.#peers = new Peers({
      ...{ ctx, clock: ctx.clock, plane: this.#plane, address, members: this.#members },
      policy: this.#options.policy,
      space: (identity) => {
        const space = spaces.all.find((each) => identityText(each.identity) === identity);
        return space && this.#see(space);
      },
      guest: this.#guest,
    });
  }

  #see(space: Space): PeerSpace {
    const known = this.#seen.get(space);
    if (known !== undefined) return known;
    // An area that was given to another model is nobody's any more.
    for (const old of this.#seen.keys()) {
      if (!this.#home.spaces.all.includes(old)) this.#seen.delete(old);
    }
    const seen = new SeenSpace(space, this.#home);
    this.#seen.set(space, seen);
    return seen;
  }
}

/** A space as other machines have it. */
class SeenSpace implements PeerSpace {
  readonly identity: string;
  readonly room: Space["room"];
  readonly block_bytes: number;
  readonly #space: Space;
  readonly #home: Home;
  readonly #listeners = new Set<() => void>();

  constructor(space: Space, home: Home) {
    this.identity = identityText(space.identity);
    this.room = space.room;
    this.block_bytes = space.identity.block_bytes;
    this.#space = space;
    this.#home = home;
  }

  readonly bytes = (slot: number): Uint8Array => {
    const { base, slot_bytes } = this.#space;
    return this.#home.memory.view(base + slot * slot_bytes, this.block_bytes);
  };
  readonly came = (hash: bigint) => this.#home.came(this.#space, hash);

  readonly has = (hash: bigint): boolean =>
    this.room.has(hash) || this.#space.disk?.has(hash) === true;

  readonly load = (hashes: readonly bigint[], news: () => void): Loading | undefined => {
    const { disk, room } = this.#space;
    const row = hashes.filter((hash) => !room.has(hash) && disk?.has(hash) === true);
    let coming = true;
    const over = () => {
      coming = false;
      news();
    };
    if (disk === undefined || row.length === 0 || disk.bring(row, 0, over) === 0) return undefined;
    this.#listeners.add(news);
    const end = () => void this.#listeners.delete(news);
    return { hashes: new Set(row), coming: () => coming, end };
  };

  readonly expect = (id: string, news: () => void): Expected => {
    let coming = true;
    this.#listeners.add(news);
    const end = this.#home.expect(id, () => {
      coming = false;
      news();
    });
    return {
      coming: () => coming,
      end: () => {
        this.#listeners.delete(news);
        end();
      },
    };
  };

  news(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function* blocksOf(hashes: ArrayLike<bigint>, from: number, count: number): Iterable<Offered> {
  for (let i = from; i < from + count; i += 1) {
    yield { hash: hashes[i]!, parent: parentIn(hashes, i) };
  }
}
