/**
 * The keeper of a machine's blocks: it owns the segment, and says who may write or read which slot
 * of it. Workers copy by themselves.
 *
 *   worker ── open ──▶ space ── reserve ─▶ slots ── (copies) ── filled ──▶ found by all
 *                            ── find ────▶ slots, a lease ── (copies) ── release
 *
 * What a worker holds goes with its process, not with its connection: a frozen one that goes on
 * must not write into slots that are others' by then.
 *
 * Long because every message of a worker and of another machine's keeper comes here.
 */
import type {
  FindKv,
  KvArrived,
  KvFilled,
  KvKeeperMessage,
  KvSpace,
  KvTierNews,
  KvWriting,
  KvWritten,
  OpenKvSpace,
  PeerFoundKv,
  PrefetchKv,
  ReleaseKv,
  ReserveKv,
} from "../../../proto/index.ts";
import { Actor, type Down, type Snapshot } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { refOf } from "../../../runtime/remote/node.ts";
import { type DiskOptions, DiskSpaces } from "../disk/disk-spaces.ts";
import type { HostMemory } from "../memory/host-memory.ts";
import { NO_PARENT } from "../tier/tier.ts";
import { HandOffs } from "./hand-offs.ts";
import { identityText } from "./identity-text.ts";
import { KeeperMetrics } from "./keeper-metrics.ts";
import { type NeighbourOptions, Neighbours } from "./neighbours.ts";
import { hashesIn, packedHashes } from "./packed-hashes.ts";
import { Prefetches } from "./prefetches.ts";
import { slotNumbers } from "./slot-numbers.ts";
import { SpaceDisks } from "./space-disks.ts";
import { mapsOf } from "./space-maps.ts";
import { type Space, Spaces } from "./spaces.ts";
import type { TierChanges } from "./tier-news.ts";
import { type Arrival, type Wait, Waits } from "./waits.ts";

export type KeeperOptions = {
  /** Models whose blocks share the memory. */
  readonly areas: number;
  /** Reserves all of it, which may take a while. Rejects with KvMemoryError. */
  readonly openMemory: () => Promise<HostMemory>;
  /** Undefined: there is one machine. */
  readonly neighbours?: NeighbourOptions;
  /** Undefined: blocks are in memory alone. */
  readonly disk: DiskOptions | undefined;
};

/** A worker in a space. */
type Guest = {
  readonly number: number;
  readonly key: string;
  readonly name: string;
  readonly pid: number;
  readonly space: Space;
  readonly ref: Ref<KvArrived | KvTierNews>;
  readonly monitor: number;
  /** Blocks that it writes for hand-offs. */
  readonly handed: Map<bigint, string>;
  /** Number of the next news of tiers; -1: it does not follow them. */
  news: number;
};

type Own = { readonly kind: "look_for_gone" | "look_for_late" | "tell_tiers" };

/** Time between two looks for the process of a worker that is not heard of any more. */
const LOOK_MS = 200;
/** And between two for what takes too long. */
const LATE_MS = 50;
/** News of tiers are gathered for so long. */
const NEWS_MS = 20;
/** The longest that anybody may wait for blocks. */
const WAIT_MOST_MS = 600_000;

/** A folder that takes longer, or is another cluster's, is not waited for: workers wait for 1 s. */
const LISTED_WAIT_MS = 700;

export class BlockKeeper extends Actor<KvKeeperMessage | Own> {
  readonly #options: KeeperOptions;
  #memory: HostMemory | undefined;
  #spaces!: Spaces;
  #disks: SpaceDisks | undefined;
  #metrics!: KeeperMetrics;
  readonly #guests = new Map<number, Guest>();
  /** Not heard of any more; their processes may live. */
  readonly #lost = new Set<Guest>();
  readonly #hand_offs = new HandOffs();
  #neighbours: Neighbours | undefined;
  readonly #waits: Waits;
  readonly #prefetches = new Prefetches();
  #next = 0;
  #looking = false;
  #timed = false;

  constructor(options: KeeperOptions) {
    super();
    this.#options = options;
    this.#waits = new Waits((wait, arrival) => this.#arrived(wait, arrival));
  }

  override async init(): Promise<void> {
    this.#memory = await this.#options.openMemory();
    const { areas, disk, neighbours } = this.#options;
    this.#spaces = new Spaces(this.#memory.bytes, areas);
    this.#metrics = new KeeperMetrics(this.ctx.system.metrics, () => this.#spaces.all);
    this.#disks = disk && this.#disksIn(disk, this.#memory);
    if (neighbours !== undefined) this.#neighbours = this.#meet(neighbours, this.#memory);
    // Numbers of a keeper's earlier life mean nothing in this one.
    this.#next = this.ctx.random.u32() >>> 1;
  }

  override receive(message: KvKeeperMessage | Own): void {
    switch (message.kind) {
      case "open_kv_space":
        this.#open(message);
        break;
      case "reserve_kv":
        this.#reserve(message);
        break;
      case "kv_filled":
        this.#filled(message);
        break;
      case "find_kv":
        this.#find(message);
        break;
      case "prefetch_kv":
        this.#prefetch(message);
        break;
      case "release_kv":
        this.#release(message);
        break;
      case "kv_writing":
        this.#writing(message);
        break;
      case "kv_written":
        this.#written(message);
        break;
      case "peer_find_kv":
        this.ctx.reply(this.#neighbours?.found(message) ?? NOT_HERE);
        this.#lookLater();
        break;
      case "peer_offer_kv":
        this.#neighbours?.offered(message);
        break;
      case "look_for_gone":
        this.#looking = false;
        this.#lookForGone();
        break;
      case "look_for_late":
        this.#timed = false;
        this.#lookForLate();
        break;
      case "tell_tiers":
        for (const space of this.#spaces.all) this.#tellTiers(space);
    }
  }

  /** A worker is not heard of any more. */
  override down({ monitor }: Down): void {
    for (const guest of this.#guests.values()) {
      if (guest.monitor === monitor) this.#lost.add(guest);
    }
    this.#lookForGone();
  }

  override async terminate(): Promise<void> {
    await this.#disks?.close();
  }

  override release(): void {
    void this.#disks?.close();
    this.#neighbours?.close();
    this.#memory?.close();
    this.#memory = undefined;
  }

  /** `about`: a space's identity. */
  override detail(name: string, about: string): Snapshot | undefined {
    if (name !== "kv_map" || this.#spaces === undefined) return undefined;
    const space = this.#spaces.all.find(({ identity }) => identityText(identity) === about);
    return space && { tiers: mapsOf(space) };
  }

  override inspect(): Snapshot {
    return {
      segment: this.#memory?.segment ?? "",
      bytes: this.#memory?.bytes ?? 0,
      guests: this.#guests.size,
      lost: this.#lost.size,
      waits: this.#waits.count,
      prefetches: this.#prefetches.inspect(),
      hand_offs: this.#hand_offs.count,
      ...(this.#neighbours === undefined ? {} : { neighbours: this.#neighbours.inspect() }),
      spaces: this.#spaces?.all.map(({ identity, room, slots, slot_bytes, guests, disk }) => ({
        ...{ identity: identityText(identity), model: identity.model, slots, slot_bytes, guests },
        ...room.stats(),
        unaccounted: room.unaccounted(),
        ...(disk === undefined
          ? {}
          : { disk: { ...disk.stats(), unaccounted: disk.unaccounted() } }),
      })),
    };
  }

  #open({ worker, identity, name, pid, follows }: OpenKvSpace): void {
    if (worker === undefined || identity === undefined) {
      this.ctx.refuse("a space is opened by a worker, for blocks of an identity");
      return;
    }
    // It opens one when it uses nothing of the one before.
    for (const guest of this.#guests.values()) {
      if (guest.name === name && guest.pid === pid) this.#leave(guest);
    }
    const space = this.#spaces.open(identity);
    if (space === undefined || this.#memory === undefined) {
      this.ctx.reply(NO_SPACE);
      return;
    }
    const number = ++this.#next;
    const ref = refOf<KvArrived | KvTierNews>(this.ctx.system, worker);
    const monitor = this.ctx.monitor(ref);
    this.#guests.set(number, {
      ...{ number, key: `${number}`, name, pid, space, ref, monitor },
      handed: new Map(),
      news: -1,
    });
    space.guests += 1;
    this.#answerOpen(number, space, this.#memory, follows);
  }

  /** Its place is told once the disk is listed: the first question finds what lies there. */
  #answerOpen(number: number, space: Space, memory: HostMemory, follows: boolean): void {
    const { segment, bytes: segment_bytes } = memory;
    const { slots, slot_bytes, base } = space;
    const { block_bytes } = space.identity;
    const place = { segment, segment_bytes, slots, slot_bytes, base, block_bytes };
    const port = this.ctx.replyLater();
    const tell = () => {
      if (!port.reply({ kind: "kv_space", space: number, ...place })) return;
      const guest = this.#guests.get(number);
      if (guest === undefined || this.#memory === undefined) return;
      if (follows) guest.news = 0;
      this.#follow(space);
      if (follows) this.#tellTiers(space, guest);
    };
    if (this.#disks === undefined) {
      tell();
      return;
    }
    this.#disks.open(space).then(tell, tell);
    this.ctx.clock.after(LISTED_WAIT_MS, tell);
  }

  #reserve({ space, hashes, parents, priority, hand_off }: ReserveKv): void {
    const guest = this.#guests.get(space);
    if (guest === undefined) {
      this.ctx.refuse(STRANGER);
      return;
    }
    const before = hashesIn(parents);
    const offers = Array.from(hashesIn(hashes), (hash, i) => {
      return { hash, parent: before[i] ?? NO_PARENT, priority };
    });
    const { room } = guest.space;
    const slots = slotNumbers(room.reserve(guest.key, offers));
    if (hand_off !== "") {
      for (const [i, { hash }] of offers.entries()) {
        if (slots[i]! >= 0) guest.handed.set(hash, hand_off);
        else this.#hand_offs.keep(hand_off, room, hash, this.ctx.clock.now_ms());
      }
      this.#lookLater();
    }
    this.ctx.reply({ kind: "kv_slots", slots });
  }

  #filled({ space, hashes, dropped }: KvFilled): void {
    const guest = this.#guests.get(space);
    if (guest === undefined) return;
    const { room } = guest.space;
    // No checksum: a slot of this memory is as good as the keeper that says what is in it.
    for (const hash of hashesIn(hashes)) {
      room.filled(guest.key, hash, 0n);
      const id = guest.handed.get(hash);
      if (id !== undefined) this.#hand_offs.keep(id, room, hash, this.ctx.clock.now_ms());
      guest.handed.delete(hash);
    }
    guest.space.disk?.keep(hashesIn(hashes));
    for (const hash of hashesIn(dropped)) {
      room.dropped(guest.key, hash);
      guest.handed.delete(hash);
    }
    this.#neighbours?.registered(guest.space, hashesIn(hashes));
    this.#came(guest.space);
  }

  #came(space: Space): void {
    this.#waits.advance();
    this.#prefetches.came(space);
    this.#neighbours?.came(space);
  }

  #disksIn(options: DiskOptions, { files }: HostMemory): SpaceDisks {
    const { log, capabilities, clock } = this.ctx;
    return new SpaceDisks({
      disks: new DiskSpaces(options, this.#options.areas, capabilities),
      ...{ files, metrics: this.#metrics, log, clock },
      came: (space) => this.#came(space),
    });
  }

  #meet(options: NeighbourOptions, memory: HostMemory): Neighbours {
    return new Neighbours(options, {
      ...{ ctx: this.ctx, memory, spaces: this.#spaces },
      came: (space, hash) => {
        space.disk?.keep([hash]);
        this.#came(space);
      },
      expect: (id, over) => this.#hand_offs.expect(id, this.ctx.clock.now_ms(), over),
    });
  }

  #find(message: FindKv): void {
    const { space, hashes: packed, from, writer, wait_ms, from_keeper } = message;
    const guest = this.#guests.get(space);
    if (guest === undefined) {
      this.ctx.refuse(STRANGER);
      return;
    }
    const { room, disk } = guest.space;
    const hashes = hashesIn(packed);
    const neighbours = wait_ms > 0 ? this.#neighbours : undefined;
    const { lease, slots } = room.find(guest.key, hashes, from, true);
    this.#prefetches.read(guest.space, hashes);
    const next = from + slots.length;
    neighbours?.reused(guest.space, hashes, from, slots.length);
    const now_ms = this.ctx.clock.now_ms();
    let coming = false;
    let disk_until = next;
    if (lease !== 0 && next < hashes.length) {
      const until_ms = now_ms + Math.min(wait_ms, WAIT_MOST_MS);
      const wait = this.#waits.open({ room, guest: guest.key, lease, hashes, next, until_ms });
      if (writer !== "" && from_keeper === undefined) {
        wait.ended.push(this.#hand_offs.expect(writer, now_ms, this.#waits.source(wait)));
      }
      const read = this.#waits.source(wait);
      const behind = disk?.bring(hashes, next, read) ?? next;
      if (behind === next) read();
      disk_until = behind;
      if (writer === "" || from_keeper !== undefined) {
        const ended = this.#waits.source(wait);
        const wanted = { space: guest.space, hashes, from: behind, until_ms };
        const cancel = neighbours?.bring(wanted, writer, from_keeper, ended);
        if (cancel === undefined) ended();
        else wait.ended.push(cancel);
      }
      coming = this.#waits.begin(wait);
      this.#lookLater();
    } else if (writer !== "") this.#hand_offs.expect(writer, now_ms, () => {})();
    const isEmpty = slots.length === 0 && !coming;
    if (isEmpty) room.release(guest.key, lease);
    const here = { lease: isEmpty ? 0 : lease, slots: [...slots] };
    this.ctx.reply({ kind: "kv_found", ...here, coming, disk_until });
  }

  /** Nobody is answered: whoever reads these blocks asks for them when its request starts. */
  #prefetch({ space: number, hashes: packed, from }: PrefetchKv): void {
    const space = this.#guests.get(number)?.space;
    if (space === undefined) return;
    const hashes = hashesIn(packed);
    this.#prefetches.begin(space, hashes, from, this.ctx.clock.now_ms(), this.#neighbours);
    this.#lookLater();
  }

  #release({ space, lease }: ReleaseKv): void {
    const guest = this.#guests.get(space);
    if (guest === undefined) return;
    this.#waits.released(guest.key, lease);
    guest.space.room.release(guest.key, lease);
  }

  #writing({ space, id }: KvWriting): void {
    const guest = this.#guests.get(space);
    if (guest === undefined || id === "") return;
    this.#hand_offs.writing(id, guest.key, this.ctx.clock.now_ms());
    this.#lookLater();
  }

  #written({ space, id }: KvWritten): void {
    if (!this.#guests.has(space) || id === "") return;
    this.#hand_offs.written(id, this.ctx.clock.now_ms());
    this.#lookLater();
  }

  #arrived({ guest: key, lease }: Wait, { first, slots, coming }: Arrival): void {
    const guest = this.#guests.get(Number(key));
    guest?.ref.tell({ kind: "kv_arrived", lease, first, slots: [...slots], coming });
  }

  #lookLater(): void {
    const awaited = this.#waits.count + this.#hand_offs.count + this.#prefetches.count;
    if (this.#timed || awaited === 0) return;
    this.#timed = true;
    this.ctx.after(LATE_MS, { kind: "look_for_late" });
  }

  #lookForLate(): void {
    const now_ms = this.ctx.clock.now_ms();
    this.#hand_offs.late(now_ms);
    this.#waits.late(now_ms);
    this.#prefetches.late(now_ms);
    this.#lookLater();
  }

  #lookForGone(): void {
    const { isAlive } = this.ctx.capabilities.spawn;
    for (const guest of this.#lost) {
      if (guest.pid === 0 || !isAlive(guest.pid)) this.#leave(guest);
    }
    if (this.#lost.size === 0 || this.#looking) return;
    this.#looking = true;
    this.ctx.after(LOOK_MS, { kind: "look_for_gone" });
  }

  /** To all that follow the space, or everything to one that begins to. */
  #tellTiers({ room, disk, news }: Space, only?: Guest): void {
    const changes = news.take(room, disk);
    for (const guest of this.#guests.values()) {
      if (guest.space.news !== news || guest.news < 0) continue;
      if (guest !== only && changes !== undefined) this.#tellNews(guest, changes, false);
    }
    if (only === undefined) return;
    let anew = true;
    for (const part of news.all()) {
      this.#tellNews(only, part, anew);
      anew = false;
    }
  }

  #tellNews(guest: Guest, { host, host_gone, disk, disk_gone }: TierChanges, anew: boolean): void {
    guest.ref.tell({
      ...{ kind: "kv_tier_news", space: guest.number, number: guest.news, anew },
      ...{ host: packedHashes(host), host_gone: packedHashes(host_gone) },
      ...{ disk: packedHashes(disk), disk_gone: packedHashes(disk_gone) },
    });
    guest.news += 1;
  }

  /** Whether anybody follows the space. */
  #follow(space: Space): void {
    const guests = [...this.#guests.values()];
    const follows = guests.some((guest) => guest.space === space && guest.news >= 0);
    space.news.onDirty = () => void this.ctx.after(NEWS_MS, { kind: "tell_tiers" });
    space.news.follow(follows, space.room, space.disk);
  }

  #leave(guest: Guest): void {
    this.ctx.demonitor(guest.monitor);
    this.#lost.delete(guest);
    this.#guests.delete(guest.number);
    guest.space.guests -= 1;
    this.#follow(guest.space);
    this.#waits.gone(guest.key);
    guest.space.room.gone(guest.key);
    this.#hand_offs.gone(guest.key, this.ctx.clock.now_ms());
  }
}

const STRANGER = "there is no such space: open one";
const NOT_HERE: PeerFoundKv = {
  ...{ kind: "peer_found_kv", have: [], address: "", ticket: new Uint8Array() },
};
const NO_SPACE: KvSpace = {
  ...{ kind: "kv_space", space: 0, segment: "", slots: 0, slot_bytes: 0, base: 0 },
  ...{ segment_bytes: 0, block_bytes: 0 },
};
