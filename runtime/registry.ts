/**
 * Who has which name: keys with a value, an owner and a lease. The embedded registry is one actor;
 * everybody else talks to it through a RegistryClient (registry-client.ts), which is also what
 * another registry would stand behind.
 *
 *  - A key has one owner. It is free again when the owner ends, at once, or its lease ran out.
 *  - A new owner of a key gets a higher epoch: whoever compares them knows which one is old.
 *  - A watcher gets a snapshot, then every change, numbered, until it ends.
 */

import type { RegistryEntry } from "../proto/gen/types.ts";
import { Actor, type Down, type Snapshot } from "./actor.ts";
import type { Message } from "./message.ts";
import type { Ref } from "./ref.ts";
import { formatAddress } from "./ref.ts";
import { refOf } from "./remote/node.ts";
import { addressOf, type WireRef } from "./remote/wire.ts";
import type {
  Deregister,
  Register,
  Registered,
  RegistryChange,
  RegistrySnapshot,
  Renew,
  Renewed,
  Unwatch,
  Watch,
} from "./wire-messages.ts";

export type { RegistryEntry };

type Sweep = { readonly kind: "registry_sweep" };
export type RegistryMessage = Register | Renew | Deregister | Watch | Unwatch | Sweep;

export const defaultLease_ms = 10_000;
const leaseMin_ms = 100;
const sweep_ms = 250;
/** A registry is for names. What is larger belongs into a store, with its key here. */
export const valueBytesMax = 1024 * 1024;
export const keysMax = 100_000;

type Owner = {
  readonly ref: WireRef;
  readonly monitor: number;
  readonly keys: Set<string>;
  lease_ms: number;
  expires_ms: number;
};

type Watcher = {
  readonly ref: Ref<RegistryChange>;
  readonly monitor: number;
  readonly prefix: string;
  readonly watch: number;
  revision: number;
};

export class Registry extends Actor<RegistryMessage> {
  readonly #entries = new Map<string, RegistryEntry>();
  readonly #owners = new Map<string, Owner>();
  readonly #watchers = new Map<string, Watcher>();
  #instance = "";
  #lastEpoch = 0;

  override init(): void {
    // Seconds, so that the epochs go on rising when a registry starts anew with nothing known.
    this.#lastEpoch = Math.floor(this.ctx.clock.wall_ms() / 1_000);
    this.#instance = this.ctx.random.u64().toString(16);
    this.ctx.every(sweep_ms, { kind: "registry_sweep" });
  }

  override receive(message: RegistryMessage): void {
    switch (message.kind) {
      case "register":
        this.#register(message);
        return;
      case "renew":
        this.ctx.reply(this.#renew(message));
        return;
      case "deregister":
        this.#deregister(message);
        return;
      case "watch":
        this.ctx.reply(this.#watch(message));
        return;
      case "unwatch":
        this.#unwatch(watchId(message.prefix, message.watcher));
        return;
      case "registry_sweep":
        this.#sweep();
        return;
    }
  }

  override down({ monitor }: Down): void {
    for (const [id, owner] of this.#owners) {
      if (owner.monitor === monitor) this.#dropOwner(id, owner);
    }
    for (const [id, watcher] of this.#watchers) {
      if (watcher.monitor === monitor) this.#watchers.delete(id);
    }
  }

  override inspect(): Snapshot {
    return {
      keys: [...this.#entries.keys()].sort(),
      owners: this.#owners.size,
      watchers: this.#watchers.size,
    };
  }

  #register({ key, value, owner, lease_ms }: Register): void {
    if (owner === undefined || key === "" || value.length > valueBytesMax) {
      this.ctx.refuse(`a key needs a name, an owner and at most ${valueBytesMax} bytes of value`);
      return;
    }
    const known = this.#entries.get(key);
    if (known === undefined && this.#entries.size >= keysMax) {
      this.ctx.refuse(`the registry holds its ${keysMax} keys`);
      return;
    }
    const id = ownerId(owner);
    if (known?.owner !== undefined && ownerId(known.owner) !== id) {
      const holder = formatAddress(addressOf(known.owner));
      this.ctx.reply({ kind: "registered", held: false, epoch: known.epoch, holder } as Registered);
      return;
    }
    const holder = this.#ownerOf(id, owner);
    holder.keys.add(key);
    holder.lease_ms = Math.max(leaseMin_ms, lease_ms === 0 ? defaultLease_ms : lease_ms);
    holder.expires_ms = this.ctx.clock.now_ms() + holder.lease_ms;
    const epoch = known?.epoch ?? ++this.#lastEpoch;
    // A copy: the value that came is a view of the frame that brought it.
    const entry = { key, value: value.slice(), owner, epoch };
    this.#entries.set(key, entry);
    this.#tellChange([entry], []);
    this.ctx.reply({ kind: "registered", held: true, epoch, holder: "" } as Registered);
  }

  #renew({ owner }: Renew): Renewed {
    const known = owner === undefined ? undefined : this.#owners.get(ownerId(owner));
    if (known === undefined) return { kind: "renewed", keys: [] };
    known.expires_ms = this.ctx.clock.now_ms() + known.lease_ms;
    return { kind: "renewed", keys: [...known.keys] };
  }

  #deregister({ key, owner }: Deregister): void {
    if (owner === undefined) return;
    const id = ownerId(owner);
    const holder = this.#owners.get(id);
    if (holder === undefined || !holder.keys.delete(key)) return;
    this.#entries.delete(key);
    if (holder.keys.size === 0) this.#forget(id, holder);
    this.#tellChange([], [key]);
  }

  #watch({ prefix, watcher, watch }: Watch): RegistrySnapshot {
    const entries = [...this.#entries.values()].filter(({ key }) => key.startsWith(prefix));
    if (watcher !== undefined) {
      const id = watchId(prefix, watcher);
      this.#unwatch(id);
      const ref = refOf<RegistryChange>(this.ctx.system, watcher);
      const monitor = this.ctx.monitor(ref as Ref);
      this.#watchers.set(id, { ref, monitor, prefix, watch, revision: 0 });
    }
    const instance = this.#instance;
    return { kind: "registry_snapshot", prefix, revision: 0, entries, instance, watch };
  }

  #unwatch(id: string): void {
    const watcher = this.#watchers.get(id);
    if (watcher === undefined) return;
    this.#watchers.delete(id);
    this.ctx.demonitor(watcher.monitor);
  }

  #ownerOf(id: string, ref: WireRef): Owner {
    const known = this.#owners.get(id);
    if (known !== undefined) return known;
    const monitor = this.ctx.monitor(refOf<Message>(this.ctx.system, ref) as Ref);
    const owner = { ref, monitor, keys: new Set<string>(), lease_ms: 0, expires_ms: 0 };
    this.#owners.set(id, owner);
    return owner;
  }

  #sweep(): void {
    const now_ms = this.ctx.clock.now_ms();
    for (const [id, owner] of this.#owners) {
      if (owner.expires_ms > now_ms) continue;
      const who = formatAddress(addressOf(owner.ref));
      this.ctx.log.log("warn", "a lease ran out", { owner: who, keys: [...owner.keys] });
      this.#dropOwner(id, owner);
    }
  }

  #dropOwner(id: string, owner: Owner): void {
    const removed = [...owner.keys];
    for (const key of removed) this.#entries.delete(key);
    this.#forget(id, owner);
    if (removed.length > 0) this.#tellChange([], removed);
  }

  #forget(id: string, owner: Owner): void {
    this.#owners.delete(id);
    this.ctx.demonitor(owner.monitor);
  }

  /** A change that a watcher's mailbox refuses leaves a gap in its numbers: it watches again. */
  #tellChange(put: readonly RegistryEntry[], removed: readonly string[]): void {
    for (const watcher of this.#watchers.values()) {
      const { prefix } = watcher;
      const its_put = put.filter(({ key }) => key.startsWith(prefix));
      const its_removed = removed.filter((key) => key.startsWith(prefix));
      if (its_put.length === 0 && its_removed.length === 0) continue;
      watcher.revision++;
      const { revision, watch } = watcher;
      const change = { prefix, revision, watch, put: its_put, removed: its_removed };
      watcher.ref.tell({ kind: "registry_change", ...change });
    }
  }
}

function ownerId(owner: WireRef): string {
  return formatAddress(addressOf(owner));
}

function watchId(prefix: string, watcher: WireRef | undefined): string {
  return `${prefix} ${watcher === undefined ? "" : ownerId(watcher)}`;
}
