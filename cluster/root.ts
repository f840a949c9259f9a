/**
 * The root process from settings to end: models are found, the tree starts, children join, and at
 * the end everything stops in named phases.
 */
import type { AdapterKeeperOptions } from "../actors/adapters/adapters.ts";
import { FaultActor, faultyWorld } from "../actors/fault/fault.ts";
import type { InspectorDoorOptions, PageParts } from "../actors/inspector/inspector.ts";
import { RedisUsage } from "../actors/limits/limits.ts";
import { WorkerPool } from "../actors/pool/pool.ts";
import type { Drain, InspectMessage } from "../proto/index.ts";
import type { Capabilities } from "../runtime/capabilities.ts";
import type { Ref } from "../runtime/kernel/ref.ts";
import { type ActorSystem, createSystem } from "../runtime/kernel/system.ts";
import { type OpenPlanes, planePrefix } from "../runtime/planes.ts";
import { joinNode, type RemoteNode } from "../runtime/remote/node.ts";
import type { ChildSpec } from "../runtime/supervision/child-spec.ts";
import { runShutdown } from "../runtime/supervision/shutdown.ts";
import { supervisor } from "../runtime/supervision/supervisor.ts";
import { httpOrigin } from "../runtime/url-host.ts";
import { FAULT_NAME, rootPaths } from "../supervisors/paths.ts";
import { planeSpecs, planeStates } from "../supervisors/plane-tree.ts";
import { rootTree } from "../supervisors/root-tree.ts";
import type { Boot } from "./boot.ts";
import { type BootSource, type ChildBoot, childBoots, isWorkerChild } from "./child-boots.ts";
import { codecs } from "./codecs.ts";
import { Discovery, keys, rootFollows } from "./discovery.ts";
import { actingRules, actsOf } from "./fleet/acting.ts";
import { Children } from "./fleet/children.ts";
import { Fleet } from "./fleet/fleet.ts";
import {
  adapterSpecs,
  adaptersFor,
  type Finding,
  type FoundModel,
  findModels,
} from "./found-models.ts";
import { freePort } from "./free-port.ts";
import { inspectorOptions } from "./inspector/inspector-options.ts";
import { keepRegistered } from "./keep-registered.ts";
import { limitsSpecs } from "./keys/limits-spec.ts";
import { joinCluster, type Machine, registryOf, tellEnds, wiresOf } from "./machine.ts";
import { openRecording, type Recording, recordOf } from "./recording/recording.ts";
import { checkKvFolder } from "./settings/kv-folder.ts";
import type { Settings } from "./settings/settings.ts";
import { hasWorkers, workersText } from "./settings/worker-counts.ts";
import { withHandOffMemory } from "./settings/workers/hand-off-memory.ts";

export type RootWorld = {
  readonly capabilities: Capabilities;
  readonly env: Readonly<Record<string, string>>;
  /** For this run's sockets; mode 700. */
  readonly run_folder: string;
  /** Absolute. */
  readonly cache_folder: string;
  /** Absolute: records of the API, where no Redis has them. */
  readonly data_folder: string;
  /** Unpacked files of a compiled binary; empty in the source tree. */
  readonly assets_folder: string;
  readonly bundled_model: string;
  readonly version: string;
  /** Processors that this process may use. */
  readonly cores: number;
  /** Bytes that processes of this machine may still take; absent in a simulation. */
  readonly freeMemory?: () => number | undefined;
  /** The page for browsers. */
  readonly page?: () => Promise<PageParts>;
  /** With several machines: this one's name, and how NATS and Redis are reached. */
  readonly host_name?: string;
  readonly openPlanes?: OpenPlanes;
  /** A simulation's: all of its processes share one order of turns. */
  readonly createSystem?: typeof createSystem;
  /** Leaves at once: for injected faults. */
  readonly exit: (code: number, why: string) => void;
  /** Status for a person; one line. */
  readonly status: (text: string, fraction?: number) => void;
  /** A line that a child wrote to its stderr. */
  readonly passLine: (line: string) => void;
};

export type Root = {
  readonly host: string;
  readonly port: number;
  readonly inspector_host: string;
  readonly inspector_port: number;
  /** Drawn for this start: who acts over the inspector needs it. Undefined: none, or given. */
  readonly inspector_token: string | undefined;
  /** Resolves when the tree ended by itself: nothing serves any more. */
  readonly lost: Promise<string>;
  /** Drains and stops; resolves when all is gone. */
  stop(): Promise<void>;
  /** A second signal to stop: live streams get their last event, then everything is killed. */
  abort(): Promise<void>;
};

const budgets = { cut_ms: 200, registry_ms: 2_000, tree_ms: 15_000 };
/** Rejects with SettingsError or ModelError: one line that says what to do. */
export async function startRoot(asked: Settings, given: RootWorld): Promise<Root> {
  const { capabilities, steps } = faultyWorld("root", given.capabilities, given.env, given.exit);
  const world = { ...given, capabilities };
  const { role, frontend, inspector } = asked;
  const serves = role === "all" || role === "frontend";
  const port = serves ? await freePort(capabilities, frontend, "") : 0;
  await freePort(capabilities, inspector, "inspector-");
  const works = hasWorkers(role);
  const finding = findingOf(world);
  if (works)
    await checkKvFolder({ settings: asked, cache_folder: world.cache_folder }, capabilities.files);
  const models = works ? await findModels(asked, finding) : [];
  const { settings, text, fits } = await withHandOffMemory(asked, models, capabilities.files);
  if (text !== "") capabilities.log.log(fits ? "info" : "warn", text);
  const adapters = works ? await adaptersFor(settings, models, finding) : undefined;
  const machine = await joinCluster(settings, capabilities, world);

  const process = { node: machine.root, role: "root" };
  const record = recordOf(settings, world.version);
  const recording = await openRecording(record, process, capabilities);
  const system = (world.createSystem ?? createSystem)({
    node: machine.root,
    capabilities,
    ...(steps === undefined ? {} : { steps }),
    ...recording.options,
  });
  if (steps !== undefined) system.spawn(() => new FaultActor(steps), { name: FAULT_NAME });
  const { run_folder } = world;
  const { planes } = machine;
  const { nats, ...wires } = wiresOf(
    capabilities,
    { run_folder, socket: "root.sock", name: machine.root },
    planes && { bus: planes.bus, namespace: settings.namespace },
  );
  const transports = recording.transports(wires.transports);
  const remote = await joinNode(system, { ...wires, transports, codecs });
  if (nats !== undefined) tellEnds(remote, run_folder, nats);
  const root = new RunningRoot(settings, world, system, remote, machine, recording);
  try {
    await root.start(port, models, adapters);
  } catch (error) {
    await root.dismantle();
    throw error;
  }
  return root;
}

function findingOf(world: RootWorld): Finding {
  const { clock, files, net, spawn } = world.capabilities;
  const { env, cache_folder: cache_dir, bundled_model, freeMemory, status } = world;
  const found = { clock, files, net, spawn, env, cache_dir };
  return { world: found, bundled_model, freeMemory, status };
}

type Door = Ref<Drain>;

class RunningRoot implements Root {
  readonly host: string;
  port = 0;
  inspector_host = "";
  inspector_port = 0;
  inspector_token: string | undefined;
  readonly lost: Promise<string>;
  readonly #discovery: Discovery;
  readonly #children: Children;
  readonly #serving = new Set<string>();
  #allServe: () => void = () => {};
  #stopping = false;
  /** The doors that a stop has asked; they leave the registry when they begin to drain. */
  #draining: readonly Door[] = [];
  #tellLost: (why: string) => void = () => {};

  readonly #settings: Settings;
  readonly #world: RootWorld;
  readonly #system: ActorSystem;
  readonly #remote: RemoteNode;
  readonly #machine: Machine;
  readonly #recording: Recording;

  constructor(
    settings: Settings,
    world: RootWorld,
    system: ActorSystem,
    remote: RemoteNode,
    machine: Machine,
    recording: Recording,
  ) {
    this.#recording = recording;
    this.#settings = settings;
    this.#world = world;
    this.#system = system;
    this.#remote = remote;
    this.#machine = machine;
    this.host = settings.frontend.host;
    const registry = { node: machine.root, address: remote.address };
    const { namespace } = settings;
    this.#discovery = new Discovery(system, registry, namespace, rootPaths.top, rootFollows);
    this.#children = new Children(system, this.#discovery, {
      ...{ status: world.status, passLine: world.passLine },
      serving: (node) => this.#serves(node),
    });
    this.lost = new Promise((resolve) => {
      this.#tellLost = resolve;
    });
  }

  /** Without `adapters` the machine has no workers. */
  async start(
    port: number,
    models: readonly FoundModel[],
    adapters: AdapterKeeperOptions | undefined,
  ): Promise<void> {
    this.port = port;
    const system = this.#system;
    const { root } = this.#machine;
    const source = this.#bootSource();
    const children = childBoots(source, models);
    const fleet = new Fleet(
      {
        ...{ system, discovery: this.#discovery, children: this.#children, source, models },
        cores: this.#world.cores,
      },
      children.filter(isWorkerChild),
    );
    const has = {
      kv: models.length > 0 && this.#settings.kv.host_bytes > 0,
      planner: this.#settings.planner !== undefined,
    };
    const more = [
      ...planeSpecs(this.#machine.planes?.bus, this.#discovery),
      ...this.#limits(),
      ...adapterSpecs(adapters),
      ...(models.length > 0 ? [{ id: "pool", start: () => new WorkerPool(fleet) }] : []),
    ];
    const registry = registryOf(this.#machine);
    const tree = rootTree(this.#door(fleet), this.#discovery.spec(), registry, more, has);
    const top = await system.spawnReady(supervisor(tree), { name: "cluster", role: "cluster" });
    system.onDown(top, () => {
      if (!this.#stopping) this.#tellLost("the cluster's supervisor gave up");
    });
    await keepRegistered(system, this.#discovery, keys.process(root), rootPaths.inspector);
    if (adapters !== undefined) {
      await keepRegistered(system, this.#discovery, keys.adapters(root), rootPaths.adapters);
    }
    if (models.length > 0) {
      await keepRegistered(system, this.#discovery, keys.pool(root), rootPaths.pool);
    }
    this.#children.watch(has);
    const serving = this.#everyFrontendServes();
    // Once more, as the inspector has its port only now: frontends link to it.
    await this.#startChildren(childBoots(this.#bootSource(), models));
    // Workers of other machines may come at any time, so they are not waited for.
    if (this.#settings.role !== "all") return;
    this.#world.status("waiting for the frontends to know the model");
    await serving;
  }

  /** Of the inspector. */
  #door(fleet: Fleet): InspectorDoorOptions {
    const [system, settings, machine] = [this.#system, this.#settings, this.#machine];
    const discovery = this.#discovery;
    const acting = actingRules(settings.inspector, system.capabilities.random);
    if (acting.drawn) this.inspector_token = acting.token;
    return inspectorOptions(settings, this.#world, machine.root, this.port, {
      // A port that people were told stays, also where any free one was asked for.
      port: () => this.inspector_port || settings.inspector.port,
      processes: () => this.#inspectors(),
      plans: settings.planner !== undefined,
      planes: planeStates(machine.planes?.bus, discovery) ?? (() => []),
      listening: (host: string, inspector_port: number) => {
        this.inspector_host = host;
        this.inspector_port = inspector_port;
      },
      ...{ acting, acts: actsOf({ system, discovery, settings, machine, fleet }) },
    });
  }

  #limits(): readonly ChildSpec[] {
    const { namespace, frontend } = this.#settings;
    const redis = this.#machine.planes?.redis;
    return limitsSpecs(frontend.keys.file, {
      redis: redis && new RedisUsage(redis, planePrefix(namespace)),
    });
  }

  async stop(): Promise<void> {
    this.#leave();
    const drain_ms = this.#settings.drain_timeout_ms;
    const line = `stopping: live answers have ${drain_ms / 1_000} s; a second signal ends them`;
    this.#world.capabilities.log.log("info", line);
    let drained: Promise<void> = Promise.resolve();
    await runShutdown(
      [
        {
          name: "stop_admitting",
          budget_ms: 1_000,
          // The doors refuse from the moment they get the message; its answer is the next phase.
          run: () => {
            drained = this.#drainDoors(drain_ms);
          },
        },
        { name: "finish_streams", budget_ms: drain_ms + 1_000, run: () => drained },
        {
          name: "leave_registry",
          budget_ms: budgets.registry_ms,
          run: () => this.#discovery.close(),
        },
        {
          name: "stop_tree",
          // Workers hand over answers of other machines' streams.
          budget_ms: budgets.tree_ms + drain_ms,
          run: () => this.#system.shutdown(),
        },
        { name: "drain_bus", budget_ms: budgets.registry_ms, run: () => this.#leaveBus() },
      ],
      this.#world.capabilities,
    );
  }

  async abort(): Promise<void> {
    await this.#askDoors(this.#draining, 0, budgets.cut_ms);
    for (const node of this.#system.tree()) {
      if (node.kind === "process") this.#system.control(node.path, "kill");
    }
  }

  /** After a failed start. */
  async dismantle(): Promise<void> {
    this.#leave();
    await this.#system.shutdown();
    await this.#leaveBus();
  }

  async #leaveBus(): Promise<void> {
    this.#remote.close();
    await this.#machine.planes?.close();
    await this.#recording.close();
  }

  #leave(): void {
    this.#stopping = true;
    this.#children.close();
  }

  #bootSource(): BootSource {
    const { run_folder, cache_folder, data_folder, assets_folder, version } = this.#world;
    return {
      ...{ settings: this.#settings, machine: this.#machine, port: this.port },
      ...{ run_folder, cache_folder, data_folder, assets_folder, version },
      registry_address: this.#remote.address,
      inspector_url: httpOrigin(this.inspector_host, this.inspector_port, false),
    };
  }

  async #startChildren(children: readonly ChildBoot[]): Promise<void> {
    const count = (role: Boot["role"]) => children.filter(({ boot }) => boot.role === role).length;
    const workers = workersText(this.#settings.workers, count("worker"));
    this.#world.status(`starting ${workers}, ${count("frontend")} frontend(s)`);
    await this.#children.startAll(children);
  }

  #serves(node: string): void {
    this.#serving.add(node);
    if (this.#serving.size >= this.#settings.frontends) this.#allServe();
  }

  /** Resolves when every frontend answers a request that comes now. */
  #everyFrontendServes(): Promise<void> {
    return new Promise((resolve) => {
      this.#allServe = resolve;
    });
  }

  #inspectors(): Ref<InspectMessage>[] {
    const found = this.#discovery.owners<InspectMessage>(keys.process(""));
    // The root's own tree comes first, because the others hang in it.
    return found.sort((a, b) => Number(b.local) - Number(a.local));
  }

  async #drainDoors(budget_ms: number): Promise<void> {
    // Doors of other machines serve on.
    this.#draining = this.#discovery
      .owners<Drain>(keys.door(""))
      .filter(({ address }) => address.node.startsWith(this.#machine.prefix));
    await this.#askDoors(this.#draining, budget_ms, budget_ms + 1_000);
  }

  /** A door that does not answer in time is not waited for. */
  async #askDoors(doors: readonly Door[], budget_ms: number, deadline_ms: number) {
    const drain = { kind: "drain", budget_ms, nobody_follows: true } as const;
    await Promise.allSettled(doors.map((door) => this.#system.ask(door, drain, { deadline_ms })));
  }
}
