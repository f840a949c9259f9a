/**
 * Discovery for the processes of one cluster: a registry client, and an actor that keeps the last
 * known set, under one supervisor. When either restarts, all keys are registered again.
 *
 *     discovery (rest_for_one)
 *     ├── client      keeps our keys, follows prefixes
 *     └── directory   the last known set
 *
 * Long because each kind of key has its readers here, over one known set.
 */
import type { KeeperEntry } from "../actors/kv/kv.ts";
import type { WorkersChange } from "../actors/router/router.ts";
import {
  type ActorRef,
  type KvKeeperMessage,
  codecs as proto,
  type RouterWeights,
  type WorkerRecord,
} from "../proto/index.ts";
import { Actor, type Snapshot } from "../runtime/kernel/actor.ts";
import { AskError } from "../runtime/kernel/errors.ts";
import type { Message } from "../runtime/kernel/message.ts";
import type { Ref } from "../runtime/kernel/ref.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import type { RegistryEntry } from "../runtime/registry/registry.ts";
import { RegistryClient, type RegistryClientMessage } from "../runtime/registry/registry-client.ts";
import type { ViewMessage } from "../runtime/registry/registry-view.ts";
import { refOf } from "../runtime/remote/node.ts";
import { wellKnownRef } from "../runtime/remote/wire.ts";
import type { ChildSpec } from "../runtime/supervision/child-spec.ts";
import { supervisor } from "../runtime/supervision/supervisor.ts";
import { rootPaths } from "../supervisors/paths.ts";

/** Keys below the namespace. A key's owner is the actor to talk to. */
export const keys = {
  /** Inspector actors, one a process. */
  process: (node: string) => `processes/${node}`,
  /** HTTP doors, one a frontend. */
  door: (node: string) => `doors/${node}`,
  /** Routers, one a frontend or alone; they tell each other what they send where. */
  router: (node: string) => `routers/${node}`,
  /** Desks of routers that have a process of their own. */
  desk: (node: string) => `desks/${node}`,
  /** The one frontend that answers batches; a name that others wait for. */
  runner: (name: string) => `batch-runners/${name}`,
  /** WorkerActors; the value is a WorkerRecord. */
  worker: (worker: string) => `workers/${worker}`,
  /** Slots of processes that keep ending, as long as they do. */
  loop: (slot: string) => `crash-loops/${slot}`,
  /** Keepers of adapters, one a machine that has workers. */
  adapters: (root: string) => `adapters/${root}`,
  /** Keepers of blocks, one a machine whose workers have tiers beyond their engines. */
  kv: (root: string) => `kv/${root}`,
  /** How a worker's last process ended; a number in the value makes each end a change. */
  exit: (worker: string) => `exits/${worker}`,
  /** Pools of workers, one a machine that has some. */
  pool: (root: string) => `pools/${root}`,
  /** Planners, one a model, which decides how many workers that has; others wait for the name. */
  planner: (model: string) => `planners/${model}`,
  /** Models whose planner starts a worker, or would as somebody asks; the value: ms until then. */
  first: (model: string) => `first-workers/${model}`,
  /** What a root was told of the routers' weights; the value is a RouterWeights. */
  weights: (root: string) => `router-weights/${root}`,
} as const;

const everything = Object.values(keys).map((key) => key(""));
/** Followed by a process that needs no others: it only has to know that the registry is live. */
export const onlyLiveness = [keys.loop("")];
/** Followed by workers: keepers of blocks, beside that. */
export const keepersToo = [...onlyLiveness, keys.kv("")];
/** Followed by the keeper of blocks of one machine among several. */
export const keepersAndWorkers = [...keepersToo, keys.worker("")];
/** Followed by a root: what it starts and stops, what its inspector shows and changes. */
export const rootFollows = [
  ...[keys.process(""), keys.door(""), keys.loop(""), keys.worker(""), keys.router("")],
  ...[keys.pool(""), keys.weights(""), keys.planner("")],
];
const HOLD_DEADLINE_MS = 10_000;

export const workerRecordBytes = (record: WorkerRecord): Uint8Array =>
  proto.WorkerRecord.encode(record).finish();

type Held = { readonly key: string; readonly value: Uint8Array; readonly owner: Ref };
type Entries = ReadonlyMap<string, RegistryEntry>;
/** Called with the changed keys, before and now. The known set is the new one already. */
type Listener = (before: Entries, now: Entries) => void;

export class Discovery {
  readonly #system: ActorSystem;
  readonly #registry: ActorRef;
  readonly #namespace: string;
  /** Path of the actor that `spec` is a child of. */
  readonly #parent: string;
  readonly #held = new Map<string, Held>();
  /** The last known set, by prefix. */
  readonly #known = new Map<string, Map<string, RegistryEntry>>();
  readonly #prefixes: readonly string[];
  readonly #told = new Set<string>();
  readonly #listeners = new Map<string, Set<Listener>>();
  #live = false;

  /** `registry`: its node, and where that listens. `prefixes`: the prefixes to follow. */
  constructor(
    system: ActorSystem,
    registry: { readonly node: string; readonly address: string },
    namespace: string,
    parent: string,
    prefixes: readonly string[] = everything,
  ) {
    this.#prefixes = prefixes;
    for (const prefix of prefixes) this.#known.set(prefix, new Map());
    this.#system = system;
    this.#namespace = namespace;
    this.#parent = parent;
    // The actor at that path now, so that a restarted registry is found again.
    this.#registry = wellKnownRef(registry.node, rootPaths.registry, registry.address);
  }

  readonly spec = (): ChildSpec => ({
    id: "discovery",
    kind: "supervisor",
    start: supervisor({
      strategy: "rest_for_one",
      intensity: 5,
      period_ms: 10_000,
      children: [
        {
          id: "client",
          start: () => new RegistryClient({ registry: this.#registry, namespace: this.#namespace }),
        },
        {
          id: "directory",
          start: () =>
            new Directory(this.#client(), this.#prefixes, [...this.#held.values()], this.#take),
        },
      ],
    }),
  });

  /**
   * Resolves when the registry has the key, or when its client is being restarted, which registers
   * all held keys. Rejects with AskError when the registry cannot be reached.
   */
  async register(key: string, value: Uint8Array, owner: Ref): Promise<void> {
    const held = { key, value, owner };
    this.#held.set(key, held);
    const client = this.#lookup();
    if (client === undefined) return;
    const message = { kind: "hold", ...held } as const;
    try {
      await this.#system.ask(client, message, { deadline_ms: HOLD_DEADLINE_MS });
    } catch (thrown) {
      if (!(thrown instanceof AskError && thrown.code === "down")) throw thrown;
    }
  }

  deregister(key: string): void {
    this.#held.delete(key);
    // A client that is being restarted comes back with only the held keys.
    this.#lookup()?.tell({ kind: "drop", key });
  }

  /** Leaves the registry with everything that this process holds there. */
  close(): void {
    for (const key of [...this.#held.keys()]) this.deregister(key);
  }

  /** False: changes in the registry are not heard of now; the last known set stands. */
  get live(): boolean {
    return this.#live;
  }

  /** True: the registry has sent the set under this prefix, which may be empty. */
  knows(prefix: string): boolean {
    return this.#told.has(prefix);
  }

  owners<M extends Message>(prefix: string): Ref<M>[] {
    const entries = this.#entries(prefix);
    return entries.flatMap(({ owner }) =>
      owner === undefined ? [] : [refOf<M>(this.#system, owner)],
    );
  }

  /** The owner of one key now; undefined: there is none, or it is being restarted. */
  owner<M extends Message>(prefix: string, name: string): Ref<M> | undefined {
    const entry = this.#known.get(prefix)?.get(prefix + name);
    return entry?.owner && refOf<M>(this.#system, entry.owner);
  }

  /** Rises with each owner that a key gets; 0: nobody has it. */
  epoch(prefix: string, name: string): number {
    return this.#known.get(prefix)?.get(prefix + name)?.epoch ?? 0;
  }

  /** The keeper of a machine's blocks now; undefined: there is none, or it is being restarted. */
  kvKeeper(root: string): Ref<KvKeeperMessage> | undefined {
    return this.owner<KvKeeperMessage>(keys.kv(""), root);
  }

  /** Undefined: no planner says that a worker of the model is on its way. */
  firstWorkerMs(model: string): number | undefined {
    const entry = this.#known.get(keys.first(""))?.get(keys.first(model));
    return entry && Number(new TextDecoder().decode(entry.value));
  }

  /**
   * Calls `listener` with the keepers of blocks of all machines at once, then at each change, and
   * what the blocks of their workers are told apart by.
   */
  watchKvKeepers(listener: (keepers: readonly KeeperEntry[]) => void): () => void {
    const tell = () => {
      const workers = this.#entries(keys.worker("")).flatMap(recordOf);
      listener(
        this.#entries(keys.kv("")).flatMap(({ key, owner }) => {
          if (owner === undefined) return [];
          const own = workers.filter(({ keeper }) => keeper?.node === owner.node);
          const identities = own.flatMap(({ kv_identity }) => kv_identity ?? []);
          return [{ machine: key.slice(keys.kv("").length), ref: owner, identities }];
        }),
      );
    };
    tell();
    const ends = [keys.kv(""), keys.worker("")].map((prefix) => this.#listen(prefix, tell));
    return () => {
      for (const end of ends) end();
    };
  }

  /** Names of the keys below a prefix, in order. */
  names(prefix: string): string[] {
    const found = this.#known.get(prefix)?.keys() ?? [];
    return [...found].map((key) => key.slice(prefix.length)).sort();
  }

  /** What all workers say of themselves now. */
  workers(): WorkerRecord[] {
    return this.#entries(keys.worker("")).flatMap(recordOf);
  }

  /** `all` at once, then each change; returns what ends the watch. */
  watchWorkers(listener: (change: WorkersChange) => void): () => void {
    const prefix = keys.worker("");
    listener({ kind: "all", records: this.workers() });
    return this.#listen(prefix, (before, now) => {
      for (const change of workerChanges(before, now)) listener(change);
    });
  }

  /** Calls `listener` for each worker whose process ends, and whether by its own fault. */
  watchExits(listener: (worker: string, crash: boolean) => void): () => void {
    const prefix = keys.exit("");
    return this.#listen(prefix, (before, now) => {
      for (const [key, { value }] of now) {
        const known = before.get(key)?.value;
        if (known !== undefined && Buffer.compare(known, value) === 0) continue;
        listener(key.slice(prefix.length), new TextDecoder().decode(value).endsWith(" crash"));
      }
    });
  }

  /** What was set last of the routers' weights; undefined: nothing. */
  weights(): RouterWeights | undefined {
    const all = this.#entries(keys.weights("")).map(({ value }) =>
      proto.RouterWeights.decode(value),
    );
    return all.sort((a, b) => b.set_ms - a.set_ms)[0];
  }

  /** Calls `listener` with the weights that were set last, if any were, then at each change. */
  watchWeights(listener: (weights: RouterWeights) => void): () => void {
    const tell = () => {
      const weights = this.weights();
      if (weights !== undefined) listener(weights);
    };
    tell();
    return this.#listen(keys.weights(""), tell);
  }

  /** Calls `listener` with all routers at once, then at each change. */
  watchRouters(listener: (routers: readonly ActorRef[]) => void): () => void {
    return this.#watchOwners(keys.router(""), listener);
  }

  /** As `watchRouters`, for desks, which frontends ask instead of their own router. */
  watchDesks(listener: (desks: readonly ActorRef[]) => void): () => void {
    return this.#watchOwners(keys.desk(""), listener);
  }

  #watchOwners(prefix: string, listener: (owners: readonly ActorRef[]) => void): () => void {
    const owners = () =>
      this.#entries(prefix).flatMap(({ owner }) => (owner === undefined ? [] : [owner]));
    listener(owners());
    return this.#listen(prefix, () => listener(owners()));
  }

  #listen(prefix: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(prefix) ?? new Set();
    this.#listeners.set(prefix, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** In the order of their keys. */
  #entries(prefix: string): RegistryEntry[] {
    const entries = [...(this.#known.get(prefix)?.values() ?? [])];
    return entries.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  readonly #take = ({ prefix, whole, put, removed, live }: ViewMessage): void => {
    this.#live = live;
    // A client that has just come back knows nothing yet: until it does, the last known set stands.
    if (whole && !live && put.length === 0) return;
    const known = this.#known.get(prefix) ?? new Map<string, RegistryEntry>();
    const before = new Map<string, RegistryEntry>();
    const now = new Map(put.map((entry) => [entry.key, entry]));
    for (const key of whole ? known.keys() : [...removed, ...now.keys()]) {
      const entry = known.get(key);
      if (entry !== undefined) before.set(key, entry);
    }
    if (whole) known.clear();
    for (const key of removed) known.delete(key);
    for (const [key, entry] of now) known.set(key, entry);
    this.#known.set(prefix, known);
    if (live) this.#told.add(prefix);
    for (const listener of this.#listeners.get(prefix) ?? []) listener(before, now);
  };

  get #clientPath(): string {
    return `${this.#parent}/discovery/client`;
  }

  #lookup(): Ref<RegistryClientMessage> | undefined {
    return this.#system.lookup(this.#clientPath) as Ref<RegistryClientMessage> | undefined;
  }

  /** The client; the directory starts after it. */
  #client(): Ref<RegistryClientMessage> {
    const ref = this.#lookup();
    if (ref === undefined) throw new Error("the registry client is between two lives");
    return ref;
  }
}

/** Changes of workers between two sets; pure. A new owner of a key is a new worker, also «up». */
export function workerChanges(before: Entries, now: Entries): WorkersChange[] {
  const changes: WorkersChange[] = [];
  for (const [key, entry] of before) {
    if (!sameOwner(entry, now.get(key))) changes.push({ kind: "gone", worker: workerOf(key) });
  }
  for (const [key, entry] of now) {
    const record = recordOf(entry)[0];
    if (record === undefined || same(entry, before.get(key))) continue;
    changes.push({ kind: "up", record });
  }
  return changes;
}

/** What a worker says of itself may change in one life: its adapters. */
const same = (a: RegistryEntry, b: RegistryEntry | undefined): boolean =>
  sameOwner(a, b) && b !== undefined && Buffer.compare(a.value, b.value) === 0;

const workerOf = (key: string) => key.slice(keys.worker("").length);

function sameOwner(a: RegistryEntry, b: RegistryEntry | undefined): boolean {
  if (a.owner === undefined || b?.owner === undefined) return false;
  return Buffer.compare(a.owner.incarnation, b.owner.incarnation) === 0;
}

const recordOf = (entry: RegistryEntry): WorkerRecord[] =>
  entry.value.length === 0 ? [] : [proto.WorkerRecord.decode(entry.value)];

/** Keeps the registry's entries; a restarted one asks for everything again. */
class Directory extends Actor<ViewMessage> {
  #views = 0;

  readonly #client: Ref<RegistryClientMessage>;
  readonly #prefixes: readonly string[];
  readonly #held: readonly Held[];
  readonly #take: (view: ViewMessage) => void;

  constructor(
    client: Ref<RegistryClientMessage>,
    prefixes: readonly string[],
    held: readonly Held[],
    take: (view: ViewMessage) => void,
  ) {
    super();
    this.#client = client;
    this.#prefixes = prefixes;
    this.#held = held;
    this.#take = take;
  }

  override init(): void {
    const follower = this.ctx.self;
    for (const prefix of this.#prefixes) this.#client.tell({ kind: "follow", prefix, follower });
    for (const held of this.#held) this.#client.tell({ kind: "hold", ...held });
  }

  override receive(message: ViewMessage): void {
    this.#views += 1;
    this.#take(message);
  }

  override inspect(): Snapshot {
    return { views: this.#views };
  }
}
