/**
 * A process's side of the registry: it keeps the keys of local actors registered, and knows the
 * entries under followed prefixes. When the registry is lost, the last known set stays. When it is
 * back, the keys are registered again, and entries of others are kept for one lease, so that an
 * empty new registry does not look like a dead cluster.
 */
import { Actor, type Down, type Snapshot } from "../kernel/actor.ts";
import type { Ask } from "../kernel/message.ts";
import { formatAddress, type Ref, type ReplyPort } from "../kernel/ref.ts";
import { refOf, wireOf } from "../remote/node.ts";
import type { WireRef } from "../remote/wire.ts";
import type {
  Registered,
  RegistryChange,
  RegistrySnapshot,
  RenewedMany,
} from "../wire-messages.ts";
import { DEFAULT_LEASE_MS, type RegistryEntry, type RegistryMessage } from "./registry.ts";
import { RegistryView, type ViewMessage } from "./registry-view.ts";

type RegistryClientOptions = {
  /** Reference to the registry by name, resolved anew at each attempt. */
  readonly registry: WireRef;
  /** Prefix of every key, so that clusters may share a registry. */
  readonly namespace: string;
  /** 10,000. */
  readonly lease_ms?: number;
};

/** Keeps `key` registered until `owner` ends or drops it. The reply comes when it is held. */
type Hold = Ask<Held> & {
  readonly kind: "hold";
  readonly key: string;
  readonly value: Uint8Array;
  readonly owner: Ref;
};
export type Held = { readonly key: string; readonly epoch: number };
type Drop = { readonly kind: "drop"; readonly key: string };
/** The follower gets the whole set now, and then each change, until it ends. */
type Follow = {
  readonly kind: "follow";
  readonly prefix: string;
  readonly follower: Ref<ViewMessage>;
};
type Tick = { readonly kind: "tick" };

export type RegistryClientMessage = Hold | Drop | Follow | RegistryChange | Tick;

type Holding = {
  readonly key: string;
  readonly value: Uint8Array;
  readonly owner: Ref;
  readonly monitor: number;
  readonly waiting: ReplyPort[];
  held: boolean;
};

/** Time between two attempts while the registry is lost. */
const RETRY_MS = 250;
/** Most asks to the registry under way at once, for a process with many keys. */
const REGISTERS_AT_ONCE = 64;

export class RegistryClient extends Actor<RegistryClientMessage> {
  readonly #options: RegistryClientOptions;
  readonly #lease_ms: number;
  /** By full key, as in the registry. */
  readonly #holdings = new Map<string, Holding>();
  readonly #views = new Map<string, RegistryView>();
  #registry: Ref<RegistryMessage> | undefined = undefined;
  #registryMonitor = 0;
  #live = false;
  #wasLost = false;
  #syncing = false;
  #again = false;

  constructor(options: RegistryClientOptions) {
    super();
    this.#options = options;
    this.#lease_ms = options.lease_ms ?? DEFAULT_LEASE_MS;
  }

  override init(): void {
    this.#sync();
    this.#arm();
  }

  override receive(message: RegistryClientMessage): void {
    switch (message.kind) {
      case "hold":
        this.#hold(message);
        return;
      case "drop":
        this.#drop(this.#full(message.key));
        return;
      case "follow":
        this.#follow(message);
        return;
      case "registry_change":
        this.#change(message);
        return;
      case "tick":
        for (const view of this.#views.values()) view.expire(this.ctx.clock.now_ms());
        this.#sync();
        this.#arm();
        return;
    }
  }

  override down({ monitor }: Down): void {
    if (monitor === this.#registryMonitor) {
      this.#lost();
      return;
    }
    for (const { key, monitor: its } of this.#holdings.values()) {
      if (its === monitor) this.#drop(key);
    }
    for (const view of this.#views.values()) view.followerEnded(monitor);
  }

  override inspect(): Snapshot {
    return {
      live: this.#live,
      held: [...this.#holdings.values()].filter(({ held }) => held).map(({ key }) => key),
      following: [...this.#views.values()].map(({ prefix, size }) => ({ prefix, keys: size })),
    };
  }

  #hold({ key, value, owner }: Hold): void {
    const full = this.#full(key);
    const before = this.#holdings.get(full);
    if (before !== undefined) this.ctx.demonitor(before.monitor);
    const waiting = [...(before?.waiting ?? []), this.ctx.replyLater()];
    const monitor = this.ctx.monitor(owner);
    this.#holdings.set(full, { key: full, value, owner, monitor, waiting, held: false });
    this.#sync();
  }

  #drop(key: string): void {
    const holding = this.#holdings.get(key);
    if (holding === undefined) return;
    this.#holdings.delete(key);
    this.ctx.demonitor(holding.monitor);
    for (const port of holding.waiting) port.fail("down", "its owner ended or dropped the key");
    const owner = wireOf(this.ctx.system, holding.owner);
    this.#registry?.tell({ kind: "deregister", key, owner });
  }

  #follow({ prefix, follower }: Follow): void {
    const full = this.#full(prefix);
    let view = this.#views.get(full);
    if (view === undefined) {
      view = new RegistryView(full, this.#full("").length);
      this.#views.set(full, view);
    }
    view.follow(follower, this.ctx.monitor(follower as Ref));
    this.#sync();
  }

  #change(change: RegistryChange): void {
    const view = this.#views.get(change.prefix);
    if (view === undefined || view.change(change)) return;
    this.#sync();
  }

  #full(key: string): string {
    return `${this.#options.namespace}/${key}`;
  }

  #arm(): void {
    const period_ms = this.#live ? this.#lease_ms / 3 : Math.min(RETRY_MS, this.#lease_ms / 3);
    this.ctx.after(period_ms, { kind: "tick" });
  }

  #lost(): void {
    this.#registry = undefined;
    this.#registryMonitor = 0;
    this.#setLive(false);
    for (const holding of this.#holdings.values()) holding.held = false;
    for (const view of this.#views.values()) view.watched = false;
  }

  #setLive(live: boolean): void {
    if (this.#live === live) return;
    this.#live = live;
    if (!live) this.ctx.log.log("warn", "the registry is lost; the last known set stays");
    else if (this.#wasLost) this.ctx.log.log("info", "the registry is back");
    this.#wasLost ||= !live;
    for (const view of this.#views.values()) view.setLive(live);
  }

  /** One round of renewing, registering and watching at a time; it never blocks the mailbox. */
  #sync(): void {
    if (this.#syncing) {
      this.#again = true;
      return;
    }
    this.#syncing = true;
    this.#round().then(
      () => this.#synced(true),
      (error: unknown) => {
        this.ctx.log.log("debug", "the registry did not answer", { error: String(error) });
        this.#synced(false);
      },
    );
  }

  #synced(live: boolean): void {
    this.#syncing = false;
    this.#setLive(live);
    const again = this.#again && live;
    this.#again = false;
    if (again) this.#sync();
  }

  async #round(): Promise<void> {
    const registry = this.#find();
    const deadline_ms = Math.max(RETRY_MS, this.#lease_ms / 3);
    const ask = { deadline_ms };
    await this.#keep(registry, deadline_ms);
    for (const view of this.#views.values()) {
      if (view.watched) continue;
      const watcher = wireOf(this.ctx.system, this.ctx.self);
      const { prefix } = view;
      const watch = view.newWatch();
      const snapshot: RegistrySnapshot = await this.ctx.ask(
        registry,
        { kind: "watch", prefix, watcher, watch },
        ask,
      );
      view.snapshot(snapshot, this.ctx.clock.now_ms() + this.#lease_ms);
    }
  }

  /** Renews keys that are held and registers the others, some at a time. */
  async #keep(registry: Ref<RegistryMessage>, deadline_ms: number): Promise<void> {
    const owners = [...this.#byOwner()];
    if (owners.length === 0) return;
    const wanted = owners.map(([, holdings]) => holdings);
    const renewed: RenewedMany = await this.ctx.ask(
      registry,
      {
        kind: "renew_many",
        owners: wanted.map(([first]) => wireOf(this.ctx.system, (first as Holding).owner)),
        keys: wanted.map((holdings) => holdings.filter(({ held }) => held).length),
      },
      { deadline_ms },
    );
    for (const [i, at] of renewed.unlike.entries()) {
      const known = new Set(renewed.renewed[i]?.keys);
      for (const holding of wanted[at] ?? []) holding.held &&= known.has(holding.key);
    }
    const missing = owners.flatMap(([id, holdings]) =>
      holdings.filter(({ held }) => !held).map((holding) => ({ id, holding })),
    );
    for (let from = 0; from < missing.length; from += REGISTERS_AT_ONCE) {
      const some = missing
        .slice(from, from + REGISTERS_AT_ONCE)
        .filter(({ holding }) => this.#holdings.get(holding.key) === holding);
      await Promise.all(
        some.map(({ id, holding }) => this.#register(registry, holding, id, deadline_ms)),
      );
    }
  }

  async #register(
    registry: Ref<RegistryMessage>,
    holding: Holding,
    id: string,
    deadline_ms: number,
  ): Promise<void> {
    const { key, value } = holding;
    const owner = wireOf(this.ctx.system, holding.owner);
    const lease_ms = this.#lease_ms;
    const registered: Registered = await this.ctx.ask(
      registry,
      { kind: "register", key, value, owner, lease_ms },
      { deadline_ms },
    );
    holding.held = registered.held;
    if (registered.held) {
      const { epoch } = registered;
      for (const port of holding.waiting.splice(0)) port.reply({ key, epoch } satisfies Held);
    } else {
      // Most likely an earlier life of the owner, whose end the registry has not seen yet.
      const { holder } = registered;
      this.ctx.log.log("warn", "a key is taken; tried again", { key, holder, owner: id });
    }
  }

  #find(): Ref<RegistryMessage> {
    if (this.#registry === undefined) {
      this.#registry = refOf<RegistryMessage>(this.ctx.system, this.#options.registry);
      this.#registryMonitor = this.ctx.monitor(this.#registry as Ref);
    }
    return this.#registry;
  }

  #byOwner(): Map<string, Holding[]> {
    const owners = new Map<string, Holding[]>();
    for (const holding of this.#holdings.values()) {
      const id = formatAddress(holding.owner.address);
      const its = owners.get(id);
      if (its === undefined) owners.set(id, [holding]);
      else its.push(holding);
    }
    return owners;
  }
}

export type { RegistryEntry };
