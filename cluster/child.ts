/** A child process from boot to end: joins its node, starts its tree, says that it is ready. */

import { FaultActor, type FaultInjector, faultyWorld } from "../actors/fault/fault.ts";
import type { DoorState, FrontendMessage } from "../actors/frontend/frontend.ts";
import type { Drain, Progress } from "../proto/index.ts";
import type { Capabilities } from "../runtime/capabilities.ts";
import type { ServeGrpc } from "../runtime/grpc.ts";
import type { Ref } from "../runtime/kernel/ref.ts";
import { type ActorSystem, createSystem } from "../runtime/kernel/system.ts";
import type { OpenBus } from "../runtime/planes.ts";
import { joinParent, type ParentLine } from "../runtime/process/child.ts";
import { epochOf } from "../runtime/process/lease-epoch.ts";
import { joinNode } from "../runtime/remote/node.ts";
import type { SupervisorSpec } from "../runtime/supervision/child-spec.ts";
import { supervisor } from "../runtime/supervision/supervisor.ts";
import type { Bus } from "../runtime/transport/bus.ts";
import { frontendTree } from "../supervisors/frontend-tree.ts";
import { FAULT_NAME, frontendPaths, routerPaths, workerPaths } from "../supervisors/paths.ts";
import { planeSpecs, planeStates } from "../supervisors/plane-tree.ts";
import { routerTree } from "../supervisors/router-tree.ts";
import { workerTree } from "../supervisors/worker-tree.ts";
import { type Boot, type FrontendBoot, SERVING_STAGE, type WorkerBoot } from "./boot.ts";
import { codecs } from "./codecs.ts";
import { Discovery, keys, onlyLiveness } from "./discovery.ts";
import { feedWorkers, frontendWorld } from "./frontend-world.ts";
import { eachStanding, keepRegistered, standing } from "./keep-registered.ts";
import { wiresOf } from "./machine.ts";
import { routerOptions } from "./router-options.ts";
import { whenWarm } from "./warm-router.ts";
import { workerWorld } from "./worker-world.ts";

export type ChildWorld = {
  readonly capabilities: Capabilities;
  readonly env: Readonly<Record<string, string>>;
  /** Leaves at once. */
  readonly exit: (code: number, why: string) => void;
  /** With several machines: opens NATS. */
  readonly openBus?: OpenBus;
  /** Loads a gRPC server, for a frontend that has one. */
  readonly serveGrpc?: ServeGrpc;
  /** A simulation's: all of its processes share one order of turns. */
  readonly createSystem?: typeof createSystem;
  /** Called when the root wants this process to stop. */
  readonly onStop: (stop: () => void) => void;
};

const pathsOf = { worker: workerPaths, frontend: frontendPaths, router: routerPaths } as const;

/** Time that a child may be silent while it starts. */
const LOADING_MS = 120_000;
/** Time for the tree to stop, after the drain. */
const TREE_BUDGET_MS = 3_000;

/** Throws when the tree cannot start; the caller says why and exits. */
export async function runChild(boot: Boot, world: ChildWorld): Promise<void> {
  const { env, exit } = world;
  const node = env["TROUPE_NODE"] ?? boot.role;
  const { capabilities, steps } = faultyWorld(node, world.capabilities, env, exit);
  const system = (world.createSystem ?? createSystem)({
    node,
    capabilities,
    ...(steps === undefined ? {} : { steps }),
  });
  if (steps !== undefined) system.spawn(() => new FaultActor(steps), { name: FAULT_NAME });
  const { pid } = capabilities.spawn;
  const bus = boot.planes && (await world.openBus?.(boot.planes, node));
  const { nats: _nats, ...wires } = wiresOf(
    capabilities,
    { run_folder: boot.run_folder, socket: socketName(node, pid), name: `${node}.${pid}` },
    bus && { bus, namespace: boot.namespace },
  );
  const remote = await joinNode(system, { ...wires, codecs, lease_epoch: epochOf(env) });
  const line = await joinParent(remote, env, (why) => exit(1, why));
  const paths = pathsOf[boot.role];
  const registry = { node: boot.root_node, address: boot.registry_address };
  const follows = boot.role === "worker" ? onlyLiveness : undefined;
  const discovery = new Discovery(system, registry, boot.namespace, paths.top, follows);
  // A large vocabulary is read in one piece, which on a starved machine takes many seconds.
  remote.quiet(LOADING_MS);
  const spec = await treeOf(boot, system, discovery, line, world, bus, steps);
  const top = await system.spawnReady(supervisor(spec), { name: boot.role, role: boot.role });
  remote.quiet(boot.role === "frontend" ? LOADING_MS : 0);
  let stopping = false;
  system.onDown(top, () => {
    if (!stopping) exit(1, `the ${boot.role}'s tree ended`);
  });
  world.onStop(() => {
    if (stopping) return;
    stopping = true;
    void drainOf(boot, system)
      .then(() => system.shutdown(TREE_BUDGET_MS))
      .then(() => exit(0, "stopped"));
  });
  await keepRegistered(system, discovery, keys.process(node), paths.inspector);
  if (boot.role === "worker") return line.ready();
  if (boot.role === "router") {
    await whenWarm(system, discovery);
    await keepRegistered(system, discovery, keys.desk(node), routerPaths.main);
    return line.ready();
  }
  let unfeed = () => {};
  eachStanding(system, frontendPaths.main, () => {
    unfeed();
    unfeed = feedWorkers(system, discovery);
  });
  await new Promise<void>((listens) => whenDoor(system, ({ port }) => port !== 0, listens));
  line.ready(standing(system, frontendPaths.main));
  whenDoor(system, isServing, () => {
    remote.quiet(0);
    const serving = { kind: "progress", stage: SERVING_STAGE, fraction: 1, detail: "" } as const;
    (line.ref as Ref<Progress>).tell(serving);
  });
}

/** Without the machine's name, which may be long: a socket's path must be short. */
const socketName = (node: string, pid: number) => `${node.split(".").at(-1)}-${pid}.sock`;

function drainOf(boot: Boot, system: ActorSystem): Promise<void> {
  if (boot.role === "worker") return drainWorkers(boot, system);
  // Frontends ask their own routers from the moment that a desk is gone.
  return boot.role === "router" ? Promise.resolve() : drainDoor(boot, system);
}

/** Drains the workers: new work goes elsewhere, and long answers move there. */
async function drainWorkers(boot: WorkerBoot, system: ActorSystem): Promise<void> {
  const paths = boot.workers.map((worker) => `${workerPaths.top}/${worker}`);
  await Promise.all(paths.map((path) => drain(system, path, boot.drain_timeout_ms)));
}

/** Drains the door: it refuses new requests, and streams end or learn where to go on. */
function drainDoor(boot: FrontendBoot, system: ActorSystem): Promise<void> {
  return drain(system, frontendPaths.main, boot.drain_timeout_ms);
}

/** Resolves also when the actor is gone or late: there is nothing left to wait for then. */
async function drain(system: ActorSystem, path: string, budget_ms: number): Promise<void> {
  const ref = system.lookup(path) as Ref<Drain> | undefined;
  const options = { deadline_ms: budget_ms + DRAIN_ANSWER_MS };
  await (ref &&
    system
      .ask(ref, { kind: "drain", budget_ms, nobody_follows: false }, options)
      .catch(() => undefined));
}

const DRAIN_ANSWER_MS = 1_000;
const LOOK_PERIOD_MS = 10;

/** The door knows a model once it has fetched its tokenizer from a worker. */
const isServing = ({ health }: DoorState): boolean => health === "ready";

function whenDoor(system: ActorSystem, is: (door: DoorState) => boolean, then: () => void): void {
  const look = async () => {
    const door = standing(system, frontendPaths.main) as Ref<FrontendMessage>;
    const state = await system.ask(door, { kind: "get_door" }, { deadline_ms: 1_000 });
    if (!is(state)) throw new Error("not yet");
    then();
  };
  const again = () => {
    system.capabilities.clock.after(LOOK_PERIOD_MS, () => void look().catch(again));
  };
  again();
}

async function treeOf(
  boot: Boot,
  system: ActorSystem,
  discovery: Discovery,
  line: ParentLine,
  { env, serveGrpc }: ChildWorld,
  bus: Bus | undefined,
  steps: FaultInjector | undefined,
): Promise<SupervisorSpec> {
  const names = [discovery.spec(), ...planeSpecs(bus, discovery)];
  switch (boot.role) {
    case "worker":
      return workerTree(
        await workerWorld(boot, system, discovery, line, env, steps),
        names,
        boot.drain_timeout_ms,
      );
    case "router":
      return routerTree(routerOptions(boot, system, discovery, routerPaths.router), system, names);
    case "frontend":
      return frontendTree(
        frontendWorld(boot, system, discovery, planeStates(bus, discovery), serveGrpc),
        names,
      );
  }
}
