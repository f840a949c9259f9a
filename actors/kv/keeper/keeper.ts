/**
 * The keeper of a machine's blocks: it owns the segment, and says who may write or read which slot
 * of it. Workers copy by themselves.
 *
 *   worker ── open ──▶ space ── reserve ─▶ slots ── (copies) ── filled ──▶ found by all
 *                            ── find ────▶ slots, a lease ── (copies) ── release
 *
 * What a worker holds goes with its process, not with its connection: a frozen one that goes on
 * must not write into slots that are others' by then.
 */
import type {
  FindKv,
  KvFilled,
  KvKeeperMessage,
  KvSpace,
  OpenKvSpace,
  ReleaseKv,
  ReserveKv,
} from "../../../proto/index.ts";
import { Actor, type Down, type Snapshot } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { refOf } from "../../../runtime/remote/node.ts";
import type { HostMemory } from "../memory/host-memory.ts";
import { hashesIn } from "./packed-hashes.ts";
import { slotNumbers } from "./slot-numbers.ts";
import { type Space, Spaces } from "./spaces.ts";

export type KeeperOptions = {
  /** Models whose blocks share the memory. */
  readonly areas: number;
  /** Reserves all of it, which may take a while. Rejects with KvMemoryError. */
  readonly openMemory: () => Promise<HostMemory>;
};

/** A worker in a space. */
type Guest = {
  readonly number: number;
  readonly key: string;
  readonly name: string;
  readonly pid: number;
  readonly space: Space;
  readonly ref: Ref<Message>;
  readonly monitor: number;
};

type Own = { readonly kind: "look_for_gone" };

/** Time between two looks for the process of a worker that is not heard of any more. */
const LOOK_MS = 200;

export class BlockKeeper extends Actor<KvKeeperMessage | Own> {
  readonly #options: KeeperOptions;
  #memory: HostMemory | undefined;
  #spaces!: Spaces;
  readonly #guests = new Map<number, Guest>();
  /** Not heard of any more; their processes may live. */
  readonly #lost = new Set<Guest>();
  #next = 0;
  #looking = false;

  constructor(options: KeeperOptions) {
    super();
    this.#options = options;
  }

  override async init(): Promise<void> {
    this.#memory = await this.#options.openMemory();
    this.#spaces = new Spaces(this.#memory.bytes, this.#options.areas);
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
      case "release_kv":
        this.#release(message);
        break;
      case "kv_writing":
      case "kv_written":
      case "peer_find_kv":
      case "peer_offer_kv":
        break;
      case "look_for_gone":
        this.#looking = false;
        this.#lookForGone();
    }
  }

  /** A worker is not heard of any more. */
  override down({ monitor }: Down): void {
    for (const guest of this.#guests.values()) {
      if (guest.monitor === monitor) this.#lost.add(guest);
    }
    this.#lookForGone();
  }

  override release(): void {
    this.#memory?.close();
    this.#memory = undefined;
  }

  override inspect(): Snapshot {
    return {
      segment: this.#memory?.segment ?? "",
      bytes: this.#memory?.bytes ?? 0,
      guests: this.#guests.size,
      lost: this.#lost.size,
      spaces: this.#spaces?.all.map(({ identity, room, slots, slot_bytes, guests }) => ({
        ...{ model: identity.model, slots, slot_bytes, guests },
        ...room.stats(),
        unaccounted: room.unaccounted(),
      })),
    };
  }

  #open({ worker, identity, name, pid }: OpenKvSpace): void {
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
    const ref = refOf<Message>(this.ctx.system, worker);
    const monitor = this.ctx.monitor(ref);
    this.#guests.set(number, { ...{ number, key: `${number}`, name, pid, space, ref, monitor } });
    space.guests += 1;
    const { segment, bytes: segment_bytes } = this.#memory;
    const { slots, slot_bytes, base } = space;
    const { block_bytes } = space.identity;
    const place = { segment, segment_bytes, slots, slot_bytes, base, block_bytes };
    this.ctx.reply({ kind: "kv_space", space: number, ...place });
  }

  #reserve({ space, hashes, parents, priority }: ReserveKv): void {
    const guest = this.#guests.get(space);
    if (guest === undefined) {
      this.ctx.refuse(STRANGER);
      return;
    }
    const before = hashesIn(parents);
    const offers = Array.from(hashesIn(hashes), (hash, i) => {
      return { hash, parent: before[i] ?? 0n, priority };
    });
    const slots = slotNumbers(guest.space.room.reserve(guest.key, offers));
    this.ctx.reply({ kind: "kv_slots", slots });
  }

  #filled({ space, hashes, dropped }: KvFilled): void {
    const guest = this.#guests.get(space);
    if (guest === undefined) return;
    const { room } = guest.space;
    // No checksum: a slot of this memory is as good as the keeper that says what is in it.
    for (const hash of hashesIn(hashes)) room.filled(guest.key, hash, 0n);
    for (const hash of hashesIn(dropped)) room.dropped(guest.key, hash);
  }

  #find({ space, hashes, from }: FindKv): void {
    const guest = this.#guests.get(space);
    if (guest === undefined) {
      this.ctx.refuse(STRANGER);
      return;
    }
    const { lease, slots } = guest.space.room.find(guest.key, hashesIn(hashes), from);
    this.ctx.reply({ kind: "kv_found", lease, slots: [...slots], coming: false });
  }

  #release({ space, lease }: ReleaseKv): void {
    const guest = this.#guests.get(space);
    guest?.space.room.release(guest.key, lease);
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

  #leave(guest: Guest): void {
    this.ctx.demonitor(guest.monitor);
    this.#lost.delete(guest);
    this.#guests.delete(guest.number);
    guest.space.guests -= 1;
    guest.space.room.gone(guest.key);
  }
}

const STRANGER = "there is no such space: open one";
const NO_SPACE: KvSpace = {
  ...{ kind: "kv_space", space: 0, segment: "", slots: 0, slot_bytes: 0, base: 0 },
  ...{ segment_bytes: 0, block_bytes: 0 },
};
