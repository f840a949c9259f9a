/**
 * The registry of names: keys with a value, an owner and a lease. It is one actor; other actors use
 * it through a RegistryClient (registry-client.ts), behind which another registry could be as
 * well.
 *
 *  - A key has one owner. It is free again when the owner ends, at once, or its lease ran out.
 *  - A new owner of a key gets a higher epoch, which shows that the other owner is old.
 *  - A watcher gets a snapshot, then every change, numbered, until it ends.
 *  - Registries of several machines may share a table (registry-shared.ts): each grants keys to its
 *    own machine's actors, and shows its watchers what the others granted.
 */

import type { RegistryEntry } from "../../proto/gen/types.ts";
import { codecs as proto } from "../../proto/index.ts";
import { Actor, type Down, type Snapshot } from "../kernel/actor.ts";
import type { ExitReason } from "../kernel/exit-reason.ts";
import type { Message } from "../kernel/message.ts";
import { formatAddress, type Ref } from "../kernel/ref.ts";
import { refOf } from "../remote/node.ts";
import { addressOf, type WireRef } from "../remote/wire.ts";
import type {
  Deregister,
  Register,
  Registered,
  RegistryChange,
  RegistrySnapshot,
  Renew,
  Renewed,
  RenewedMany,
  RenewMany,
  Unwatch,
  Watch,
} from "../wire-messages.ts";
import { SharedNames, type SharedOptions } from "./registry-shared.ts";
import type { ExchangeAnswer, TableEntry, TablePut } from "./registry-table.ts";
import { RegistryWatchers } from "./registry-watchers.ts";

export type { RegistryEntry };

type Sweep = { readonly kind: "registry_sweep" };
type Bell = { readonly kind: "registry_bell" };
type Due = { readonly kind: "registry_exchange" };
type Came = { readonly kind: "registry_answer"; readonly answer: ExchangeAnswer | Error };
export type RegistryMessage =
  | Register
  | Renew
  | RenewMany
  | Deregister
  | Watch
  | Unwatch
  | Sweep
  | Bell
  | Due
  | Came;

export const DEFAULT_LEASE_MS = 10_000;
const LEASE_MIN_MS = 100;
const SWEEP_MS = 250;
/** A registry is for names. A larger value belongs into a store, with its key here. */
const VALUE_BYTES_MAX = 1024 * 1024;
const KEYS_MAX = 100_000;

type Owner = {
  readonly ref: WireRef;
  readonly monitor: number;
  readonly keys: Set<string>;
  lease_ms: number;
  expires_ms: number;
};

/** A key that this registry is claiming from the shared table. */
type Claiming = { readonly key: string; readonly owner: string; withdrawn: boolean };

export type RegistryOptions = { readonly shared?: SharedOptions };

export class Registry extends Actor<RegistryMessage> {
  readonly #entries = new Map<string, RegistryEntry>();
  readonly #owners = new Map<string, Owner>();
  readonly #watchers = new RegistryWatchers();
  readonly #claiming = new Set<Claiming>();
  readonly #options: RegistryOptions;
  #shared: SharedNames | undefined = undefined;
  #silence: (() => void) | undefined = undefined;
  #instance = "";
  #lastEpoch = 0;
  #swept_ms = 0;

  constructor(options: RegistryOptions = {}) {
    super();
    this.#options = options;
  }

  override init(): void {
    // Seconds, so that epochs go on rising when a registry starts anew without state.
    this.#lastEpoch = Math.floor(this.ctx.clock.wall_ms() / 1_000);
    this.#instance = this.ctx.random.u64().toString(16);
    this.#swept_ms = this.ctx.clock.now_ms();
    this.ctx.every(SWEEP_MS, { kind: "registry_sweep" });
    const { shared } = this.#options;
    if (shared === undefined) return;
    const me = this.ctx.self as Ref<RegistryMessage>;
    this.#silence = shared.table.onBell(() => me.tell({ kind: "registry_bell" }));
    this.#shared = new SharedNames(shared, {
      clock: this.ctx.clock,
      log: this.ctx.log,
      due: () => me.tell({ kind: "registry_exchange" }),
      came: (answer) => me.tell({ kind: "registry_answer", answer }),
      mine: (key) => this.#mine(key),
      mineKeys: () => [...this.#owners.values()].flatMap(({ keys }) => [...keys]),
      changed: (put, removed) => this.#changedElsewhere(put, removed),
      lost: (key) => this.#lostElsewhere(key),
      settled: (key, epoch) => this.#settle(key, epoch),
      turned: () => this.#watchers.tellAway(this.#away),
    });
    this.#shared.tick();
  }

  override release(): void {
    this.#silence?.();
  }

  override async terminate(reason: ExitReason): Promise<void> {
    // After a crash the next life of this registry tells the same names again.
    if (reason.kind !== "crash") await this.#shared?.leave().catch(() => {});
  }

  override receive(message: RegistryMessage): void {
    switch (message.kind) {
      case "register":
        this.#register(message);
        return;
      case "renew":
        this.ctx.reply(this.#renew(message));
        return;
      case "renew_many":
        this.ctx.reply(this.#renewMany(message));
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
        this.#shared?.tick();
        return;
      case "registry_bell":
        this.#shared?.bell();
        return;
      case "registry_exchange":
        this.#shared?.begin();
        return;
      case "registry_answer":
        this.#shared?.answered(message.answer);
        return;
    }
  }

  override down({ monitor }: Down): void {
    for (const [id, owner] of this.#owners) {
      if (owner.monitor === monitor) this.#dropOwner(id, owner);
    }
    this.#watchers.ended(monitor);
  }

  override inspect(): Snapshot {
    return {
      keys: [...this.#entries.keys()].sort(),
      owners: this.#owners.size,
      watchers: this.#watchers.size,
      ...(this.#shared === undefined
        ? {}
        : {
            table: this.#shared.table,
            away: this.#shared.away,
            elsewhere: this.#shared.foreignCount,
          }),
    };
  }

  #register(message: Register): void {
    const { key, value, owner } = message;
    if (owner === undefined || key === "" || value.length > VALUE_BYTES_MAX) {
      this.ctx.refuse(`a key needs a name, an owner and at most ${VALUE_BYTES_MAX} bytes of value`);
      return;
    }
    const known = this.#entries.get(key);
    if (known === undefined && this.#entries.size >= KEYS_MAX) {
      this.ctx.refuse(`the registry holds its ${KEYS_MAX} keys`);
      return;
    }
    const shared = this.#shared;
    if (known !== undefined || shared === undefined || shared.away) {
      this.ctx.reply(this.#grant(message, owner, 0));
      return;
    }
    const port = this.ctx.replyLater();
    const put = {
      key,
      epoch: this.#lastEpoch + 1,
      bytes: wireEntry({ key, value, owner, epoch: 0 }),
    };
    const claiming = { key, owner: ownerId(owner), withdrawn: false };
    this.#claiming.add(claiming);
    shared.claim(put, (held, epoch) => {
      this.#claiming.delete(claiming);
      if (held && !claiming.withdrawn) port.reply(this.#grant(message, owner, epoch));
      else port.reply(this.#taken(key));
      // No owner here got the key, and no later claim of this machine is about to get it.
      const wanted = [...this.#claiming].some((each) => each.key === key && !each.withdrawn);
      if (held && !wanted && !this.#entries.has(key)) shared.drop(key);
    });
  }

  #taken(key: string): Registered {
    const known = this.#entries.get(key);
    const holder = known?.owner === undefined ? "" : formatAddress(addressOf(known.owner));
    return { kind: "registered", held: false, epoch: known?.epoch ?? 0, holder } as Registered;
  }

  /** `given`: the epoch of a shared table's answer; 0 = our own next one. */
  #grant({ key, value, lease_ms }: Register, owner: WireRef, given: number): Registered {
    const id = ownerId(owner);
    const known = this.#entries.get(key);
    if (known?.owner !== undefined && ownerId(known.owner) !== id) {
      // Two claims of this key ran at once, and the shared table has the later one: correct it.
      if (given !== 0) this.#shared?.put(key);
      return this.#taken(key);
    }
    const holder = this.#ownerOf(id, owner);
    holder.keys.add(key);
    holder.lease_ms = Math.max(LEASE_MIN_MS, lease_ms === 0 ? DEFAULT_LEASE_MS : lease_ms);
    holder.expires_ms = this.ctx.clock.now_ms() + holder.lease_ms;
    const epoch = known?.epoch ?? (given === 0 ? this.#lastEpoch + 1 : given);
    this.#lastEpoch = Math.max(this.#lastEpoch, epoch);
    // A copy: the value that came is a view of the frame that brought it.
    const entry = { key, value: value.slice(), owner, epoch };
    this.#entries.set(key, entry);
    this.#tellChange([entry], []);
    if (given === 0) this.#shared?.put(key);
    return { kind: "registered", held: true, epoch, holder: "" } as Registered;
  }

  #renew({ owner }: { readonly owner?: WireRef | undefined }): Renewed {
    const known = owner === undefined ? undefined : this.#owners.get(ownerId(owner));
    if (known === undefined) return { kind: "renewed", keys: [] };
    known.expires_ms = this.ctx.clock.now_ms() + known.lease_ms;
    return { kind: "renewed", keys: [...known.keys] };
  }

  #renewMany({ owners, keys }: RenewMany): RenewedMany {
    const unlike: number[] = [];
    const renewed: Renewed[] = [];
    for (const [at, owner] of owners.entries()) {
      const its = this.#renew({ owner });
      if (its.keys.length === keys[at]) continue;
      unlike.push(at);
      renewed.push(its);
    }
    return { kind: "renewed_many", unlike, renewed };
  }

  #deregister({ key, owner }: Deregister): void {
    if (owner === undefined) return;
    const id = ownerId(owner);
    for (const claiming of this.#claiming) {
      if (claiming.key === key && claiming.owner === id) claiming.withdrawn = true;
    }
    const holder = this.#owners.get(id);
    if (holder === undefined || !holder.keys.delete(key)) return;
    this.#remove([key]);
    if (holder.keys.size === 0) this.#forget(id, holder);
  }

  #watch({ prefix, watcher, watch }: Watch): RegistrySnapshot {
    const entries = [...this.#entries.values()].filter(({ key }) => key.startsWith(prefix));
    if (watcher !== undefined) {
      const id = watchId(prefix, watcher);
      this.#unwatch(id);
      const ref = refOf<RegistryChange>(this.ctx.system, watcher);
      const monitor = this.ctx.monitor(ref as Ref);
      this.#watchers.add(id, { ref, monitor, prefix, watch });
    }
    const snapshot = { prefix, revision: 0, entries, instance: this.#instance, watch };
    return { kind: "registry_snapshot", ...snapshot, away: this.#away };
  }

  #unwatch(id: string): void {
    const monitor = this.#watchers.remove(id);
    if (monitor !== undefined) this.ctx.demonitor(monitor);
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
    const slept_ms = now_ms - this.#swept_ms - SWEEP_MS;
    this.#swept_ms = now_ms;
    // This process was stopped itself: renewals of that time still wait to be read.
    if (slept_ms > SWEEP_MS)
      for (const owner of this.#owners.values()) owner.expires_ms += slept_ms;
    for (const [id, owner] of this.#owners) {
      if (owner.expires_ms > now_ms) continue;
      const who = formatAddress(addressOf(owner.ref));
      this.ctx.log.log("warn", "a lease ran out", { owner: who, keys: [...owner.keys] });
      this.#dropOwner(id, owner);
    }
  }

  #dropOwner(id: string, owner: Owner): void {
    this.#forget(id, owner);
    if (owner.keys.size > 0) this.#remove([...owner.keys]);
  }

  /** Removes keys granted here. */
  #remove(keys: readonly string[]): void {
    for (const key of keys) {
      this.#entries.delete(key);
      this.#shared?.drop(key);
    }
    this.#tellChange([], keys);
  }

  #forget(id: string, owner: Owner): void {
    this.#owners.delete(id);
    this.ctx.demonitor(owner.monitor);
  }

  // ---- with a shared table -------------------------------------------------------------------

  #mine(key: string): TablePut | undefined {
    const entry = this.#entries.get(key);
    if (entry?.owner === undefined || !this.#owners.has(ownerId(entry.owner))) return undefined;
    return { key, epoch: entry.epoch, bytes: wireEntry(entry) };
  }

  #changedElsewhere(entries: readonly TableEntry[], removed: readonly string[]): void {
    const put = entries.map(({ epoch, bytes }) => ({
      ...proto.RegistryEntry.decode(bytes),
      epoch,
    }));
    for (const entry of put) {
      this.#entries.set(entry.key, entry);
      this.#lastEpoch = Math.max(this.#lastEpoch, entry.epoch);
    }
    for (const key of removed) this.#entries.delete(key);
    this.#tellChange(put, removed);
  }

  /** Another machine has the key. Its owner hears of it at the next renewal, and tries again. */
  #lostElsewhere(key: string): void {
    const entry = this.#entries.get(key);
    const id = entry?.owner === undefined ? "" : ownerId(entry.owner);
    const owner = this.#owners.get(id);
    if (owner === undefined || !owner.keys.delete(key)) return;
    this.ctx.log.log("warn", "another machine has a key that was given here", { key });
    this.#entries.delete(key);
    if (owner.keys.size === 0) this.#forget(id, owner);
    this.#tellChange([], [key]);
  }

  #settle(key: string, epoch: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const settled = { ...entry, epoch };
    this.#entries.set(key, settled);
    this.#lastEpoch = Math.max(this.#lastEpoch, epoch);
    this.#tellChange([settled], []);
  }

  /** True: the shared table is not reached. False also where there is none. */
  get #away(): boolean {
    return this.#shared?.away ?? false;
  }

  #tellChange(put: readonly RegistryEntry[], removed: readonly string[]): void {
    this.#watchers.tellChange(put, removed, this.#away);
  }
}

const wireEntry = (entry: RegistryEntry): Uint8Array => proto.RegistryEntry.encode(entry).finish();

function ownerId(owner: WireRef): string {
  return formatAddress(addressOf(owner));
}

function watchId(prefix: string, watcher: WireRef | undefined): string {
  return `${prefix} ${watcher === undefined ? "" : ownerId(watcher)}`;
}
