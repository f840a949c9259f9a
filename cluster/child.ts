/** A child process from boot to end: joins its node, starts its tree, says that it is ready. */

import { FaultActor, faultyWorld } from "../actors/fault/fault.ts";
import { genAiMetrics } from "../actors/frontend/gen-ai-metrics.ts";
import type { PageParts } from "../actors/inspector/inspector.ts";
import type { MemoryDoor } from "../actors/kv/kv.ts";
import type { Capabilities } from "../runtime/capabilities.ts";
import type { ServeGrpc } from "../runtime/grpc.ts";
import { createSystem } from "../runtime/kernel/system.ts";
import type { OpenBus, OpenRedis } from "../runtime/planes.ts";
import { joinParent } from "../runtime/process/child.ts";
import { epochOf } from "../runtime/process/lease-epoch.ts";
import { joinNode } from "../runtime/remote/node.ts";
import { supervisor } from "../runtime/supervision/supervisor.ts";
import {
  FAULT_NAME,
  frontendPaths,
  kvPaths,
  plannerPaths,
  routerPaths,
  workerPaths,
} from "../supervisors/paths.ts";
import { planeSpecs, planeStates } from "../supervisors/plane-tree.ts";
import type { Boot } from "./boot.ts";
import { codecs } from "./codecs.ts";
import { Discovery, keepersAndWorkers, keepersToo, keys, onlyLiveness } from "./discovery.ts";
import { keepRegistered } from "./keep-registered.ts";
import { wiresOf } from "./machine.ts";
import { openRecording } from "./recording/recording.ts";
import type { Role, RoleParts } from "./roles/role.ts";

export type ChildWorld = {
  readonly capabilities: Capabilities;
  readonly env: Readonly<Record<string, string>>;
  /** Leaves at once. */
  readonly exit: (code: number, why: string) => void;
  /** With several machines: opens NATS. */
  readonly openBus?: OpenBus;
  /** And Redis, for a process that keeps something there. */
  readonly openRedis?: OpenRedis;
  /** A simulation's: its machines have memory of their own. */
  readonly block_memory?: MemoryDoor;
  /** Bytes that this process may still take; absent in a simulation. */
  readonly freeMemory?: () => number | undefined;
  /** Loads a gRPC server, for a frontend that has one. */
  readonly serveGrpc?: ServeGrpc;
  /** The page that a frontend shows to browsers. */
  readonly page?: () => Promise<PageParts>;
  /** A simulation's: all of its processes share one order of turns. */
  readonly createSystem?: typeof createSystem;
  /** Called when the root wants this process to stop. */
  readonly onStop: (stop: () => void) => void;
};

const pathsOf = {
  worker: workerPaths,
  frontend: frontendPaths,
  router: routerPaths,
  kv: kvPaths,
  planner: plannerPaths,
} as const;

/** Time that a child may be silent while it starts. */
const LOADING_MS = 120_000;
/** Time for the tree to stop, after the drain. */
const TREE_BUDGET_MS = 3_000;

/** Throws when the tree cannot start; the caller says why and exits. */
export async function runChild<Own extends Boot>(
  boot: Own,
  role: Role<Own>,
  world: ChildWorld,
): Promise<void> {
  const { env, exit } = world;
  const node = env["TROUPE_NODE"] ?? boot.role;
  const { capabilities, steps } = faultyWorld(node, world.capabilities, env, exit);
  const process = { node, role: boot.role };
  const recording = await openRecording(boot.record, process, capabilities);
  const system = (world.createSystem ?? createSystem)({
    node,
    capabilities,
    ...(steps === undefined ? {} : { steps }),
    ...recording.options,
  });
  capabilities.telemetry?.follow(system.metrics, genAiMetrics);
  if (steps !== undefined) system.spawn(() => new FaultActor(steps), { name: FAULT_NAME });
  const { pid } = capabilities.spawn;
  const bus = boot.planes && (await world.openBus?.(boot.planes, node));
  const { nats: _nats, ...wires } = wiresOf(
    capabilities,
    { run_folder: boot.run_folder, socket: socketName(node, pid), name: `${node}.${pid}` },
    bus && { bus, namespace: boot.namespace },
  );
  const transports = recording.transports(wires.transports);
  const lease_epoch = epochOf(env);
  const remote = await joinNode(system, { ...wires, transports, codecs, lease_epoch });
  const line = await joinParent(remote, env, (why) => exit(1, why));
  const paths = pathsOf[boot.role];
  const registry = { node: boot.root_node, address: boot.registry_address };
  const discovery = new Discovery(system, registry, boot.namespace, paths.top, followsOf(boot));
  // A large vocabulary is read in one piece, which on a starved machine takes many seconds.
  remote.quiet(LOADING_MS);
  const parts: RoleParts = {
    ...{ system, discovery, line, remote, env, faults: steps, serveGrpc: world.serveGrpc },
    names: [discovery.spec(), ...planeSpecs(bus, discovery)],
    planes: planeStates(bus, discovery),
    ...{ bus, openRedis: world.openRedis },
    block_memory: world.block_memory,
    freeMemory: world.freeMemory,
    page: world.page,
  };
  const spec = await role.tree(boot, parts);
  const top = await system.spawnReady(supervisor(spec), { name: boot.role, role: boot.role });
  remote.quiet(boot.role === "frontend" ? LOADING_MS : 0);
  let stopping = false;
  system.onDown(top, () => {
    if (!stopping) exit(1, `the ${boot.role}'s tree ended`);
  });
  world.onStop(() => {
    if (stopping) return;
    stopping = true;
    void role
      .drain(boot, system)
      .then(() => system.shutdown(TREE_BUDGET_MS))
      .then(() => recording.close())
      .then(() => capabilities.telemetry?.close())
      .then(() => exit(0, "stopped"));
  });
  await keepRegistered(system, discovery, keys.process(node), paths.inspector);
  await role.stands(boot, parts);
}

/** Undefined: everything. */
function followsOf(boot: Boot): readonly string[] | undefined {
  if (boot.role === "kv") return boot.planes === undefined ? onlyLiveness : keepersAndWorkers;
  if (boot.role !== "worker") return undefined;
  return boot.tiers ? keepersToo : onlyLiveness;
}

/** Without the machine's name, which may be long: a socket's path must be short. */
const socketName = (node: string, pid: number) => `${node.split(".").at(-1)}-${pid}.sock`;
