/**
 * Tiers below the engines of a simulated machine, G2 and G3: the keeper's own rules of slots, and
 * the links of the simulated engine for the time that copies take.
 *
 *   engine ──▶ out link ──▶ G2 ──▶ write link ──▶ G3   a pass later, beside the passes
 *   engine ◀── in link ◀── G2 ◀── read link ◀── G3     before its request is submitted
 */

import type { CacheNews } from "../../../actors/engine/mocker/cache-news.ts";
import { Link, type LinkSpeed } from "../../../actors/engine/mocker/link.ts";
import type { BlockNames } from "../../../actors/engine/mocker/sequence.ts";
import { BlockRoom, type Offer } from "../../../actors/kv/keeper/room.ts";
import {
  type HeldBlock,
  NO_PARENT,
  ResetBlock,
  Tier,
  type TierStats,
} from "../../../actors/kv/tier/tier.ts";
import type { BlockHashes } from "../../../llm/blocks/block-hash.ts";
import type { KvEvent, KvStored, KvTier } from "../../../llm/blocks/kv-event.ts";
import type { Timeline } from "./hand-offs.ts";

export type TierShape = {
  /** Of each machine. */
  readonly host_blocks: number;
  /** Of each machine; 0: it has no G3. */
  readonly disk_blocks: number;
  /** Of each machine, each way. */
  readonly disk: LinkSpeed;
};

export type TierWorld = Timeline & {
  readonly block_bytes: number;
  /** Routers hear of it for each worker of the machine. */
  readonly event: (event: KvEvent) => void;
};

export type MachineFigures = {
  readonly host: TierStats;
  readonly disk: TierStats | undefined;
  /** Slots that are in no state. */
  readonly unaccounted: number;
};

/** Blocks that were brought in, behind the `first` that the engine had. */
export type Brought = { readonly first: number; readonly host: number; readonly disk: number };

/** What the machine has of a row. */
type Found = { readonly lease: number; readonly host: number; readonly disk: readonly HeldBlock[] };

/** Blocks that one look at the disk reads. */
const READ_BATCH = 16;
const READER = "disk";

export class MachineTiers {
  readonly world: TierWorld;
  readonly #room: BlockRoom;
  readonly #disk: Tier | undefined;
  readonly #read: Link;
  readonly #write: Link;

  constructor(shape: TierShape, world: TierWorld) {
    this.world = world;
    this.#room = new BlockRoom(shape.host_blocks, (hash) => this.#gone("host", hash));
    const { disk_blocks } = shape;
    const onGone = (hash: bigint) => this.#gone("disk", hash);
    this.#disk = disk_blocks > 0 ? new Tier(disk_blocks, onGone) : undefined;
    this.#read = new Link(shape.disk);
    this.#write = new Link(shape.disk);
  }

  /** Those of the offers that the worker is to write. */
  reserve(worker: string, offers: readonly Offer[]): readonly Offer[] {
    const slots = this.#room.reserve(worker, offers);
    return offers.filter((_, i) => typeof slots[i] === "number");
  }

  written(worker: string, { hash, parent, priority }: Offer, whole: boolean): void {
    if (!whole) {
      this.#room.dropped(worker, hash);
      return;
    }
    if (!this.#room.filled(worker, hash, 0n)) return;
    this.#stored("host", hash);
    const reset = this.#disk?.reserve(hash, parent, priority);
    if (!(reset instanceof ResetBlock)) return;
    const partial = reset.fill();
    const { block_bytes, now_ms, at } = this.world;
    at(this.#write.carry(block_bytes, now_ms()), () => {
      partial.complete(0n).register().release();
      this.#stored("disk", hash);
    });
  }

  /** What lies here from `from` on; it stays until `release`. */
  find(worker: string, hashes: BigUint64Array, from: number): Found {
    const { lease, slots } = this.#room.find(worker, hashes, from);
    const disk_from = from + slots.length;
    const count = this.#disk?.match(hashes, disk_from) ?? 0;
    const disk = Array.from({ length: count }, (_, i) => this.#disk!.hold(hashes[disk_from + i]!)!);
    return { lease, host: slots.length, disk };
  }

  /** Reads blocks of one row from the disk. Host memory keeps those that it has room for. */
  read(blocks: readonly HeldBlock[], parent: bigint, done: () => void): void {
    const offers = blocks.map(({ hash }, i) => {
      return { hash, parent: blocks[i - 1]?.hash ?? parent, priority: 0 };
    });
    const kept = this.reserve(READER, offers);
    const { block_bytes, now_ms, at } = this.world;
    at(this.#read.carry(blocks.length * block_bytes, now_ms()), () => {
      for (const offer of kept) this.written(READER, offer, true);
      done();
    });
  }

  release(worker: string, { lease, disk }: Found): void {
    this.#room.release(worker, lease);
    for (const block of disk.toReversed()) block.release();
  }

  figures(): MachineFigures {
    return {
      host: this.#room.stats(),
      disk: this.#disk?.stats(),
      unaccounted: this.#room.unaccounted() + (this.#disk?.unaccounted() ?? 0),
    };
  }

  #stored(tier: KvTier, hash: bigint): void {
    this.world.event({
      ...{ kind: "stored", event_id: 0, dp_rank: 0, tier, parent_hash: undefined, start_block: 0 },
      ...{ sequence_hashes: BigUint64Array.of(hash), local_hashes: BigUint64Array.of(hash) },
    });
  }

  #gone(tier: KvTier, hash: bigint): void {
    const sequence_hashes = BigUint64Array.of(hash);
    this.world.event({ kind: "removed", event_id: 0, dp_rank: 0, tier, sequence_hashes });
  }
}

type Rank = {
  readonly news: Pick<CacheNews, "has" | "bringIn">;
  /** When the pass under way ends; Infinity: there is none. */
  readonly pass_end_ms: number;
};

/** Of one worker: out of its engine and into it. */
export type WorkerLinks = { readonly out: Link; readonly in: Link };

/** One worker's side: what it computes goes out, what its prompts need comes in. */
export class WorkerTiers {
  readonly #name: string;
  readonly #machine: MachineTiers;
  readonly #rank: Rank;
  readonly #links: WorkerLinks;
  #computed: Offer[] = [];

  constructor(name: string, machine: MachineTiers, rank: Rank, links: WorkerLinks) {
    this.#name = name;
    this.#machine = machine;
    this.#rank = rank;
    this.#links = links;
  }

  /** The engine has these blocks, or will when its pass ends. */
  stored({ parent_hash, sequence_hashes }: KvStored): void {
    let parent = parent_hash ?? NO_PARENT;
    for (const hash of sequence_hashes) {
      this.#computed.push({ hash, parent, priority: 0 });
      parent = hash;
    }
  }

  /** The engine was stepped: what its pass computes goes out when that ends. */
  stepped(): void {
    if (this.#computed.length === 0) return;
    const { world } = this.#machine;
    const offers = this.#machine.reserve(this.#name, this.#computed);
    this.#computed = [];
    if (offers.length === 0) return;
    const { news, pass_end_ms } = this.#rank;
    const ready_ms = Number.isFinite(pass_end_ms) ? pass_end_ms : world.now_ms();
    world.at(this.#links.out.carry(offers.length * world.block_bytes, ready_ms), () => {
      for (const offer of offers) this.#machine.written(this.#name, offer, news.has(offer.hash));
    });
  }

  /**
   * Brings in what the machine has of the row's `count` blocks and the engine has not, and calls
   * back when all is in. False: there is nothing to bring, and no call.
   */
  onboard(
    names: BlockNames & { hashes(): BlockHashes },
    count: number,
    done: (brought: Brought) => void,
  ): boolean {
    const machine = this.#machine;
    const { news } = this.#rank;
    const hashes = names.hashes().sequence_hashes.subarray(0, count);
    let first = 0;
    while (first < count && news.has(hashes[first]!)) first++;
    if (first === count) return false;
    const found = machine.find(this.#name, hashes, first);
    const { host, disk } = found;
    if (host + disk.length === 0) return false;
    let parts = Number(host > 0) + Math.ceil(disk.length / READ_BATCH);
    const part = () => {
      parts--;
      if (parts > 0) return;
      machine.release(this.#name, found);
      const moves = news.bringIn(names, first, first + host + disk.length);
      const moved = moves.filter((move) => move === "moved").length;
      done({ first, host: Math.min(moved, host), disk: Math.max(0, moved - host) });
    };
    if (host > 0) this.#bring(host, part);
    for (let at = 0; at < disk.length; at += READ_BATCH) {
      const batch = disk.slice(at, at + READ_BATCH);
      const before = first + host + at - 1;
      machine.read(batch, before < 0 ? NO_PARENT : hashes[before]!, () =>
        this.#bring(batch.length, part),
      );
    }
    return true;
  }

  #bring(blocks: number, done: () => void): void {
    const { block_bytes, now_ms, at } = this.#machine.world;
    at(this.#links.in.carry(blocks * block_bytes, now_ms()), done);
  }
}
