/**
 * What a process of one role is made of: each of its files here is loaded by processes of that role
 * alone, as what it imports costs memory and time.
 */
import type { FaultInjector } from "../../actors/fault/fault.ts";
import type { PageParts } from "../../actors/inspector/inspector.ts";
import type { MemoryDoor } from "../../actors/kv/kv.ts";
import type { Drain } from "../../proto/index.ts";
import type { ServeGrpc } from "../../runtime/grpc.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import type { OpenRedis } from "../../runtime/planes.ts";
import type { ParentLine } from "../../runtime/process/child.ts";
import type { RemoteNode } from "../../runtime/remote/node.ts";
import type { ChildSpec, SupervisorSpec } from "../../runtime/supervision/child-spec.ts";
import type { Bus } from "../../runtime/transport/bus.ts";
import type { ReadPlanes } from "../../supervisors/plane-tree.ts";
import type { Boot } from "../boot.ts";
import type { Discovery } from "../discovery.ts";

/** What a role's tree is built from, beside its boot record. */
export type RoleParts = {
  readonly system: ActorSystem;
  readonly discovery: Discovery;
  readonly line: ParentLine;
  readonly remote: Pick<RemoteNode, "quiet">;
  readonly env: Readonly<Record<string, string>>;
  /** The first children of every tree. */
  readonly names: readonly ChildSpec[];
  /** Undefined: one machine. */
  readonly planes: ReadPlanes | undefined;
  /** Undefined: one machine. */
  readonly bus: Bus | undefined;
  readonly openRedis: OpenRedis | undefined;
  readonly faults: FaultInjector | undefined;
  /** A simulation's. */
  readonly block_memory: MemoryDoor | undefined;
  /** Bytes that this process may still take; undefined: in a simulation. */
  readonly freeMemory: (() => number | undefined) | undefined;
  /** The page for browsers. */
  readonly page: (() => Promise<PageParts>) | undefined;
  /** Loads a gRPC server. */
  readonly serveGrpc: ServeGrpc | undefined;
};

export type Role<Own extends Boot> = {
  /** Rejects when the tree cannot be built: one line that says why. */
  tree(boot: Own, parts: RoleParts): Promise<SupervisorSpec>;
  /** Called when the tree stands and the process is registered: says when it is ready. */
  stands(boot: Own, parts: RoleParts): Promise<void>;
  /** Finishes or hands over what the process has begun, before its tree is stopped. */
  drain(boot: Own, system: ActorSystem): Promise<void>;
};

const DRAIN_ANSWER_MS = 1_000;

/** Resolves also when the actor is gone or late: there is nothing left to wait for then. */
export async function drainActor(
  system: ActorSystem,
  path: string,
  budget_ms: number,
): Promise<void> {
  const ref = system.lookup(path) as Ref<Drain> | undefined;
  const options = { deadline_ms: budget_ms + DRAIN_ANSWER_MS };
  await (ref &&
    system
      .ask(ref, { kind: "drain", budget_ms, nobody_follows: false }, options)
      .catch(() => undefined));
}
