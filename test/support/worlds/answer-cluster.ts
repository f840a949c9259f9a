/**
 * The whole way of an answer without HTTP and OS processes: a node with router and streams, and a
 * node for each worker with a fake engine, over a simulated network in virtual time. A worker that
 * ends is started again after a while.
 */
import type { Engine } from "../../../actors/engine/engine.ts";
import { FaultInjector, type FaultRule } from "../../../actors/fault/fault.ts";
import {
  type KvPolicyOptions,
  type RouterMode,
  routerOf,
  type WatchRouters,
} from "../../../actors/router/router.ts";
import {
  type AnswerHandle,
  type AnswerRequest,
  type StartAnswer,
  StreamParent,
  type StreamsOptions,
  startAnswerWith,
  streamNameOf,
} from "../../../actors/stream/stream.ts";
import { WorkerActor, type WorkerOptions } from "../../../actors/worker/worker.ts";
import { CrashLedger } from "../../../cluster/worker-crashes.ts";
import { type ActorRef, messageTable, type RouterMessage } from "../../../proto/index.ts";
import type { Capabilities, Files, Spawn } from "../../../runtime/capabilities.ts";
import { CodecTable, protoCodecs } from "../../../runtime/codec.ts";
import type { Snapshot } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { type ActorSystem, createSystem } from "../../../runtime/kernel/system.ts";
import { openRecorder, type Recorder } from "../../../runtime/observe/record/recorder.ts";
import { joinNode, type RemoteNode, refOf, wireOf } from "../../../runtime/remote/node.ts";
import { countingIds, forkRandom } from "../../../runtime/simulation/random.ts";
import type { Simulation } from "../../../runtime/simulation/simulation.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import {
  type MemoryNet,
  MemoryNetwork,
  type MemoryNetworkOptions,
  memoryTransport,
} from "../../../runtime/transport/memory.ts";
import { FakeEngine, type FakeEngineOptions } from "../engine/fake-engine.ts";
import { byteTokenizer } from "../tokens/byte-tokenizer.ts";
import { FakeRegistry, modelCard } from "./fake-registry.ts";
import type { RecordingSink } from "./recorded-answer.ts";
import { absent, MemoryLog } from "./test-system.ts";

export type ClusterOptions = {
  /** How many, w0, w1, …; or their names. */
  readonly workers: number | readonly string[];
  /** Nodes with a router and streams each. Default 1. */
  readonly fronts?: number;
  /** The router is on a node of its own, and every front asks it from afar. */
  readonly router_alone?: boolean;
  readonly policy?: KvPolicyOptions;
  readonly mode?: RouterMode;
  readonly engine?: FakeEngineOptions;
  /** Instead of the fake engine, at each start of a worker. */
  readonly openEngine?: (worker: string) => Engine;
  /** How long a worker that ended stays away. */
  readonly restart_ms?: number;
  readonly answers?: Partial<StreamsOptions>;
  readonly worker?: Partial<WorkerOptions>;
  /** The same of one of them, at each of its starts. */
  readonly workerOf?: (worker: string, system: ActorSystem) => Partial<WorkerOptions>;
  /** Before the first worker starts. */
  readonly before?: (cluster: AnswerCluster) => Promise<void>;
  readonly network?: Partial<MemoryNetworkOptions>;
  /** What goes wrong inside of the fronts. */
  readonly faults?: readonly FaultRule[];
  /** Where the fronts record, below /record. */
  readonly record?: Files;
};

type Node = {
  readonly system: ActorSystem;
  readonly net: MemoryNet;
  readonly remote: RemoteNode;
};

export type FrontNode = Node & { readonly start: StartAnswer };
export type WorkerNode = Node & { readonly engine: FakeEngine; readonly actor: Ref };

const limits = { frame_limit_bytes: 32 * 1024 * 1024, queue_limit_bytes: 8 * 1024 * 1024 };
const codecs = new CodecTable(protoCodecs(messageTable));

export class AnswerCluster {
  readonly simulation: Simulation;
  readonly log = new MemoryLog();
  readonly registry: FakeRegistry;
  /** The live ones, by name. */
  readonly workers = new Map<string, WorkerNode>();
  readonly recorders = new Map<string, Recorder>();
  /** The first of them. */
  front!: FrontNode;
  start!: StartAnswer;
  readonly fronts: FrontNode[] = [];
  readonly #routers: ActorRef[] = [];
  readonly #router_listeners = new Set<(routers: readonly ActorRef[]) => void>();
  alone: Node | undefined;
  #alone_router: ActorRef | undefined;
  restarts = 0;
  readonly #crashing = new Set<string>();
  readonly #options: ClusterOptions;
  readonly #network: MemoryNetwork;
  readonly #others: Node[] = [];
  #closing = false;

  private constructor(simulation: Simulation, options: ClusterOptions) {
    const { clock, random } = simulation;
    this.simulation = simulation;
    this.#options = options;
    this.#network = new MemoryNetwork(clock, forkRandom(random), options.network);
    this.registry = new FakeRegistry((run) => clock.after(this.#network.delay_ms(), run));
  }

  /** Resolves when every worker can be asked. */
  static async open(simulation: Simulation, options: ClusterOptions): Promise<AnswerCluster> {
    const cluster = new AnswerCluster(simulation, options);
    if (options.router_alone) {
      cluster.alone = await cluster.#join("router");
      const router = cluster.#openRouter(cluster.alone.system);
      cluster.#alone_router = wireOf(cluster.alone.system, router);
    }
    for (let i = 0; i < (options.fronts ?? 1); i++) await cluster.#openFront(i);
    cluster.front = cluster.fronts[0]!;
    cluster.start = cluster.front.start;
    await options.before?.(cluster);
    const { workers } = options;
    const names =
      typeof workers === "number" ? Array.from({ length: workers }, (_, i) => `w${i}`) : workers;
    for (const name of names) void cluster.startWorker(name);
    await simulation.run(100);
    return cluster;
  }

  async #openFront(number: number): Promise<void> {
    const node = await this.#join(number === 0 ? "front" : `front-${number}`);
    const { system } = node;
    const { answers } = this.#options;
    const router =
      this.alone === undefined
        ? this.#openRouter(system)
        : refOf<RouterMessage>(system, this.#alone_router!);
    const ledger = new CrashLedger(() => this.simulation.clock.now_ms());
    this.registry.watchExits((worker, crash) => ledger.heard(worker, crash));
    const parts = { tokenizerOf: () => byteTokenizer, isCrash: ledger.isCrash };
    const options = { router: () => router, ...parts, ...answers };
    const parent = system.spawn(() => new StreamParent(options), { name: "streams" });
    this.fronts.push({ ...node, start: startAnswerWith(parent) });
  }

  #openRouter(system: ActorSystem): Ref<RouterMessage> {
    const { watch, watchCrashes } = this.registry;
    const { mode = "least-loaded", policy } = this.#options;
    const peers = {
      watch: this.#watchRouters,
      announce: (self: Ref) => this.#announce(system, self),
    };
    // A router alone sees nobody's streams.
    const isLive = (request: string) =>
      system.lookup(`/streams/${streamNameOf(request)}`) !== undefined;
    const owners = this.#options.router_alone ? {} : { isLive };
    const options = {
      mode,
      watch,
      watchCrashes,
      peers,
      ...owners,
      ...(policy === undefined ? {} : { policy }),
    };
    return system.spawn((outside) => routerOf(options, outside), { name: "router" });
  }

  #watchRouters: WatchRouters = (listener) => {
    this.#router_listeners.add(listener);
    return () => this.#router_listeners.delete(listener);
  };

  /** The registry has forgotten all routers for a moment, as the one of that front hears it. */
  forgetRouters(front: number): void {
    const listener = [...this.#router_listeners][front]!;
    listener([]);
    listener(this.#routers);
  }

  #announce(system: ActorSystem, self: Ref): void {
    this.#routers.push(wireOf(system, self));
    for (const listener of this.#router_listeners) listener(this.#routers);
  }

  async startWorker(worker: string): Promise<void> {
    const node = await this.#join(worker);
    const engine = new FakeEngine(this.#options.engine);
    const options: WorkerOptions = {
      worker,
      role: "aggregated",
      open: async () => this.#options.openEngine?.(worker) ?? engine,
      describe: async () => ({ card: modelCard(), blobs: new Map() }),
      canary: { prompt: Uint32Array.of(1, 2, 3), max_tokens: 2, deadline_ms: 1_000 },
      registry: this.registry,
      progress: () => {},
      ...this.#options.worker,
      ...this.#options.workerOf?.(worker, node.system),
    };
    const actor = node.system.spawn(() => new WorkerActor(options), { name: "worker" });
    this.workers.set(worker, { ...node, engine, actor });
    node.system.onDown(actor, (reason) => {
      const crash = reason.kind === "crash" || this.#crashing.delete(worker);
      this.registry.exited(worker, crash);
      this.#ended(worker, node);
    });
  }

  /** As a fault in native code ends it. */
  crash(worker: string): boolean {
    this.#crashing.add(worker);
    return this.kill(worker);
  }

  /** Ends a worker's process as `kill -9` does: nothing of it is heard again. */
  kill(worker: string): boolean {
    const node = this.workers.get(worker);
    if (node === undefined) return false;
    node.net.kill();
    return node.system.control("/worker", "kill");
  }

  /**
   * Breaks every connection of a worker that goes on living. Both ends see it at once, or the
   * worker's end (`half_open`) only when it misses the heartbeats.
   */
  cut(worker: string, half_open: boolean): void {
    this.cutNode(this.workers.get(worker), half_open);
  }

  /** The same of any node. */
  cutNode(node: Node | undefined, half_open: boolean): void {
    for (const socket of [...(node?.net.sockets ?? [])]) {
      if (half_open) socket.cut("the cable was pulled");
      else socket.close();
    }
  }

  snapshot(path: string, node: Node = this.front): Snapshot {
    return node.system.snapshot(path) ?? {};
  }

  async close(): Promise<void> {
    this.#closing = true;
    const alone = this.alone === undefined ? [] : [this.alone];
    const nodes = [...alone, ...this.fronts, ...this.workers.values(), ...this.#others];
    const stopped = Promise.all(nodes.map((node) => node.system.shutdown()));
    await this.simulation.run(1_000);
    await stopped;
    for (const node of nodes) node.remote.close();
  }

  #ended(worker: string, node: Node): void {
    this.workers.delete(worker);
    node.net.kill();
    node.remote.close();
    if (this.#closing) return;
    void this.registry.deregister(worker);
    this.simulation.clock.after(this.#options.restart_ms ?? 500, () => {
      this.restarts++;
      if (!this.#closing) void this.startWorker(worker);
    });
  }

  /** A node of anything else; it is closed with the others. */
  async joinOther(name: string, changes: Partial<Capabilities> = {}): Promise<Node> {
    const node = await this.#join(name, changes);
    this.#others.push(node);
    return node;
  }

  async #join(name: string, changes: Partial<Capabilities> = {}): Promise<Node> {
    const { clock, scheduler, random } = this.simulation;
    const net = this.#network.net();
    const capabilities: Capabilities = {
      clock,
      net,
      random: forkRandom(random),
      log: this.log,
      ids: countingIds(name),
      spawn: absent<Spawn>("spawn"),
      files: absent<Files>("files"),
      store: new MemoryStore(),
      ...changes,
    };
    const { faults } = this.#options;
    const steps =
      faults !== undefined && name.startsWith("front")
        ? {
            steps: new FaultInjector(
              { node: name, clock, exit: () => {} },
              { seed: 1, rules: faults },
            ),
          }
        : {};
    const recorder = await this.#recorderOf(name, capabilities);
    const recorded = recorder === undefined ? {} : { recorder };
    const system = createSystem({ node: name, capabilities, scheduler, ...steps, ...recorded });
    const plain = [memoryTransport(net, limits)];
    const transports = recorder?.transports(plain) ?? plain;
    const remote = await joinNode(system, { transports, codecs, listen: `memory:${name}` });
    return { system, net, remote };
  }

  async #recorderOf(name: string, capabilities: Capabilities): Promise<Recorder | undefined> {
    const { record: files } = this.#options;
    if (files === undefined || !name.startsWith("front")) return undefined;
    const settings = {
      folder: "/record",
      bytes_max: 2 ** 30,
      actors: "/router,stream",
      version: "sim",
    };
    const spawn = { pid: 1 } as Spawn;
    const recorder = await openRecorder(
      settings,
      { node: name, role: "frontend" },
      { ...capabilities, files, spawn },
    );
    this.recorders.set(name, recorder);
    return recorder;
  }
}

/** Starts it; a full sink is emptied after `drain_ms` of the cluster's time. */
export function startRecorded(
  cluster: AnswerCluster,
  request: AnswerRequest,
  sink: RecordingSink,
  drain_ms = 5,
): AnswerHandle {
  const handle = cluster.start(request, sink);
  sink.onFull = () =>
    cluster.simulation.clock.after(drain_ms, () => handle.tell({ kind: "drained" }));
  return handle;
}
