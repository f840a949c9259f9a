/**
 * This process as a node: it listens, dials, knows its peers, and makes references that work
 * wherever the actor is.
 */
import { FRAME_LIMIT_BYTES, PROTOCOL_VERSION } from "../../proto/index.ts";
import type { Clock, Listener } from "../capabilities.ts";
import type { CodecTable } from "../codec.ts";
import { type ExitReason, noconnection, noproc } from "../kernel/exit-reason.ts";
import type { Address, Message } from "../kernel/message.ts";
import type { Meta, Ref } from "../kernel/ref.ts";
import { type ActorSystem, System } from "../kernel/system.ts";
import { addressesOf, type Transport, wayTo } from "../transport/transport.ts";
import { Connection, type ConnectionHost } from "./connection.ts";
import type { Identity, RejectCode } from "./handshake.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Peer, PeerLimits, PeerStats } from "./peer.ts";
import { type PeerSource, RemoteRef } from "./remote-ref.ts";
import { addressOf, incarnationBytes, WELL_KNOWN, type WireRef } from "./wire.ts";

export type RemoteOptions = {
  readonly transports: readonly Transport[];
  /**
   * One address, or several with spaces between them, the one to prefer first. Undefined: this node
   * is reached only over the connections it makes.
   */
  readonly listen?: string;
  readonly codecs: CodecTable;
  /** The higher epoch of two starts of one node is the live one. 0: no epochs are given out. */
  readonly lease_epoch?: number;
  /** A peer hears from us at least this often. 500. */
  readonly heartbeat_ms?: number;
  /** A peer that was silent for this long is reported as silent. Two heartbeats. */
  readonly doubt_after_ms?: number;
  /** A peer that was silent for this long counts as dead. 5,000. */
  readonly suspect_after_ms?: number;
  /** For the link and its handshake together. 2,000. */
  readonly connect_timeout_ms?: number;
  /** Bytes that may wait for one peer before tells are refused. 8 MiB. */
  readonly queue_limit_bytes?: number;
  /** For tests of the limit and of version mismatches. */
  readonly frame_limit_bytes?: number;
  readonly protocol_version?: number;
};

type PeerInfo = {
  readonly node: string;
  readonly state: Peer["state"];
  readonly identity: Identity | undefined;
  readonly queued_bytes: number;
  readonly waiting_asks: number;
  readonly stats: Readonly<PeerStats>;
};

type PeerEvent =
  | { readonly kind: "up"; readonly identity: Identity }
  /** Told at each heartbeat while the peer is silent. */
  | { readonly kind: "silent"; readonly identity: Identity; readonly silent_ms: number }
  | { readonly kind: "lost"; readonly identity: Identity; readonly why: string };

/** After a failed dial, messages to that address fail at once for this long. */
const REDIAL_AFTER_MS = 100;

export class RemoteNode implements ConnectionHost, PeerSource {
  readonly system: System;
  readonly identity: Identity;
  readonly codecs: CodecTable;
  readonly limits: PeerLimits;

  readonly #transports: readonly Transport[];
  readonly #connect_timeout_ms: number;
  readonly #clock: Clock;
  readonly #all = new Set<Connection>();
  /** The connection to each node, up or being dialled. */
  readonly #byNode = new Map<string, Connection>();
  readonly #failed = new Map<string, number>();
  readonly #listeners = new Set<(event: PeerEvent) => void>();
  readonly #doors: Listener[] = [];
  readonly #heartbeat: Heartbeat;
  #closed = false;

  constructor(system: System, options: RemoteOptions) {
    this.system = system;
    this.codecs = options.codecs;
    this.#transports = options.transports;
    this.#connect_timeout_ms = options.connect_timeout_ms ?? 2_000;
    this.#clock = system.capabilities.clock;
    this.limits = {
      frame_limit_bytes: options.frame_limit_bytes ?? FRAME_LIMIT_BYTES,
      queue_limit_bytes: options.queue_limit_bytes ?? 8 * 1024 * 1024,
    };
    this.identity = {
      protocol_version: options.protocol_version ?? PROTOCOL_VERSION,
      node: system.node,
      incarnation: system.incarnation,
      lease_epoch: options.lease_epoch ?? 0,
      address: options.listen ?? "",
    };
    const heartbeat_ms = options.heartbeat_ms ?? 500;
    const times = {
      heartbeat_ms,
      doubt_after_ms: options.doubt_after_ms ?? 2 * heartbeat_ms,
      suspect_after_ms: options.suspect_after_ms ?? 5_000,
    };
    this.#heartbeat = new Heartbeat(this.#clock, times, this.#all, (identity, silent_ms) => {
      for (const listener of this.#listeners) listener({ kind: "silent", identity, silent_ms });
    });
  }

  /** Where this node listens; empty when nowhere. */
  get address(): string {
    return this.identity.address;
  }

  async listen(): Promise<void> {
    for (const each of addressesOf(this.address)) {
      const { transport, address } = wayTo(each, this.#transports);
      const door = await transport.listen(address, (link) => {
        const connection = this.#add(new Connection(this));
        return connection.open(link);
      });
      this.#doors.push(door);
    }
  }

  /**
   * Resolves when the node at `address` answered. Rejects with TransportError (nobody there) or
   * HandshakeError (`version`, `superseded`, `wrong_node`, `garbage`, `no_hello`).
   */
  async connect(address: string): Promise<Identity> {
    for (const { peer } of this.#all) {
      if (peer.state === "up" && peer.identity?.address === address) return peer.identity;
    }
    const connection = this.#dialling(address) ?? this.#dial(address);
    await connection.ready();
    return connection.peer.identity as Identity;
  }

  /**
   * Tells the connected nodes that this one may be silent for up to `quiet_ms` (two minutes at
   * most), because a long synchronous step follows. 0 ends this. If the process ends meanwhile, the
   * end of its connection shows it.
   */
  quiet(quiet_ms: number): void {
    for (const { peer } of this.#all) if (peer.state === "up") peer.quiet(quiet_ms);
  }

  /** The reference to an actor of any node. A use of it shows whether the actor still lives. */
  ref<M extends Message>(wire: WireRef): Ref<M> {
    const address = addressOf(wire);
    if (address.node !== this.system.node) return new RemoteRef(this, address, wire.address);
    return localActor(this.system, address) ?? new RemoteRef(this, address, "");
  }

  peers(): readonly PeerInfo[] {
    return [...this.#all].map(({ peer, node }) => ({
      node: node ?? "",
      state: peer.state,
      identity: peer.identity,
      queued_bytes: peer.queued_bytes,
      waiting_asks: peer.pending.asks,
      stats: peer.stats,
    }));
  }

  /** True: the link to that node is interrupted: messages wait, and its silence means nothing. */
  isAway(node: string): boolean {
    return this.#byNode.get(node)?.away ?? false;
  }

  /** Returns a function that removes the listener. */
  onPeer(listener: (event: PeerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The node's silence never closes its connection; only the link's own end does. */
  neverSuspect(node: string): void {
    this.#heartbeat.exempt(node);
  }

  /** Leaves: queued messages still go out, then every peer sees the end. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#heartbeat.stop();
    for (const door of this.#doors) door.close();
    for (const connection of [...this.#all]) connection.close("this node left");
  }

  // ---- for references ------------------------------------------------------------------------

  peerFor(ref: RemoteRef): Peer | undefined {
    const { node } = ref.address;
    const known = this.#byNode.get(node);
    if (known !== undefined && known.peer.state !== "closed") return known.peer;
    const { node_address } = ref;
    if (this.#closed || node_address === "" || node === this.system.node) return undefined;
    if ((this.#failed.get(node_address) ?? 0) > this.#clock.now_ms()) return undefined;
    const dialling = this.#dialling(node_address);
    if (dialling !== undefined) return dialling.peer;
    return this.#dial(node_address, node).peer;
  }

  undelivered(ref: RemoteRef, message: Message, meta: Meta | undefined): void {
    if (ref.address.node !== this.system.node) {
      meta?.port?.fail("down", `node "${ref.address.node}" cannot be reached`);
    }
    this.system.dead_letters.add(ref, message.kind, meta, "stopped");
  }

  absence(ref: RemoteRef): ExitReason {
    return ref.address.node === this.system.node ? noproc : noconnection;
  }

  soon(run: () => void): void {
    this.#clock.defer(run);
  }

  // ---- for connections -----------------------------------------------------------------------

  readonly ended = (address: Address): RemoteRef => new RemoteRef(this, address, "");

  refuse(
    connection: Connection,
    theirs: Identity,
  ): { code: RejectCode; message: string } | undefined {
    for (const other of this.#all) {
      const known = other.peer.identity;
      if (other === connection || known?.node !== theirs.node) continue;
      if (known.incarnation === theirs.incarnation || other.peer.state === "closed") continue;
      if (theirs.lease_epoch >= known.lease_epoch) continue;
      const message =
        `node "${theirs.node}" of lease epoch ${theirs.lease_epoch} was replaced by one of ` +
        `epoch ${known.lease_epoch}`;
      return { code: "superseded", message };
    }
    return undefined;
  }

  duplicateOf(connection: Connection, theirs: Identity): Connection | undefined {
    for (const other of this.#all) {
      if (other === connection) continue;
      const { state, identity } = other.peer;
      if (state === "up" && identity?.incarnation === theirs.incarnation) return other;
      if (state !== "connecting" || other.dialled === undefined) continue;
      if (other.expected === theirs.node || other.dialled === theirs.address) return other;
    }
    return undefined;
  }

  isLate(connection: Connection): boolean {
    return this.#heartbeat.isLate(connection);
  }

  merged(connection: Connection): void {
    this.#all.delete(connection);
  }

  connected(connection: Connection): void {
    const identity = connection.peer.identity as Identity;
    for (const other of [...this.#all]) {
      const known = other.peer.identity;
      if (known?.node !== identity.node || known.incarnation === identity.incarnation) continue;
      other.close(`node "${identity.node}" started anew`);
    }
    this.#byNode.set(identity.node, connection);
    this.#failed.delete(identity.address);
    for (const listener of this.#listeners) listener({ kind: "up", identity });
  }

  lost(connection: Connection, why: string): void {
    this.#all.delete(connection);
    const { node } = connection;
    if (node === undefined) return;
    if (this.#byNode.get(node) === connection) this.#byNode.delete(node);
    const { identity } = connection.peer;
    if (identity === undefined) return;
    for (const listener of this.#listeners) listener({ kind: "lost", identity, why });
  }

  // ---- inside --------------------------------------------------------------------------------

  #add(connection: Connection): Connection {
    this.#all.add(connection);
    const late = this.#clock.after(this.#connect_timeout_ms, () => {
      if (connection.peer.state !== "connecting") return;
      connection.close(`no handshake within ${this.#connect_timeout_ms} ms`);
    });
    const settle = (): void => this.#clock.cancel(late);
    connection.ready().then(settle, settle);
    return connection;
  }

  #dialling(address: string): Connection | undefined {
    for (const connection of this.#all) {
      const { dialled, peer } = connection;
      if (dialled === address && peer.state === "connecting") return connection;
    }
    return undefined;
  }

  #dial(address: string, expected?: string): Connection {
    const connection = this.#add(new Connection(this, address, expected));
    if (expected !== undefined) this.#byNode.set(expected, connection);
    const timeout_ms = this.#connect_timeout_ms;
    const give_up = (error: Error): void => {
      if (connection.peer.state !== "connecting") return;
      if (this.#failed.size > 1_000) this.#failed.clear();
      this.#failed.set(address, this.#clock.now_ms() + REDIAL_AFTER_MS);
      connection.close(error.message, error);
    };
    try {
      const way = wayTo(address, this.#transports);
      way.transport
        .connect(way.address, (link) => connection.open(link), timeout_ms)
        .then((link) => connection.greet(link), give_up);
    } catch (error) {
      this.#clock.defer(() => give_up(error as Error));
    }
    return connection;
  }
}

const nodes = new WeakMap<ActorSystem, RemoteNode>();
/** Systems that stand for another one before an actor, and the node that it sees there. */
const stands = new WeakMap<ActorSystem, () => RemoteNode | undefined>();

/** For a recorder: what actors do with that system's node goes through `node`. */
export function standFor(system: ActorSystem, node: () => RemoteNode | undefined): void {
  stands.set(system, node);
}

/** Throws TransportError when `listen` is taken or no address. */
export async function joinNode(system: ActorSystem, options: RemoteOptions): Promise<RemoteNode> {
  if (!(system instanceof System)) throw new TypeError("joinNode needs a system of createSystem");
  const node = new RemoteNode(system, options);
  try {
    await node.listen();
  } catch (error) {
    node.close();
    throw error;
  }
  nodes.set(system, node);
  return node;
}

/** The node of a system, when it joined. */
export function nodeOf(system: ActorSystem): RemoteNode | undefined {
  return nodes.get(system) ?? stands.get(system)?.();
}

/** See RemoteNode.isAway; false for actors of this process. */
export function isAway(system: ActorSystem, ref: Ref): boolean {
  return nodeOf(system)?.isAway(ref.address.node) ?? false;
}

/** The reference in a message. Local actors are found also if the system joined no node. */
export function refOf<M extends Message>(system: ActorSystem, wire: WireRef): Ref<M> {
  const node = nodeOf(system);
  if (node !== undefined) return node.ref(wire);
  const local = wire.node === system.node ? localActor(system, addressOf(wire)) : undefined;
  if (local !== undefined) return local;
  throw new TypeError(
    `${wire.node}${wire.path} is not an actor of this process, and this process joined no others`,
  );
}

function localActor(system: ActorSystem, address: Address): Ref<Message> | undefined {
  const { path, incarnation } = address;
  return incarnation === WELL_KNOWN ? system.lookup(path) : system.resolveLocal(path, incarnation);
}

/** The wire form of a reference, as the actors of `system` hand it out. */
export function wireOf(system: ActorSystem, ref: Ref): WireRef {
  const { node, path, incarnation } = ref.address;
  const { node_address } = ref as Ref & { readonly node_address?: string };
  const reached = node_address ?? nodeOf(system)?.address;
  return { node, path, incarnation: incarnationBytes(incarnation), address: reached ?? "" };
}
