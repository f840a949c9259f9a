/** One link to one node, from the first frame to the last: handshake, frames, the end. */
import type { CodecTable } from "../codec.ts";
import { CodecError } from "../codec.ts";
import type { System } from "../kernel/system.ts";
import type { Link, LinkHandlers } from "../transport/transport.ts";
import {
  HandshakeError,
  helloFrame,
  type Identity,
  type RejectCode,
  readHandshake,
  rejectedFrame,
  versionMismatch,
} from "./handshake.ts";
import { type EndedRefs, FLOOD_MESSAGES, Inbound } from "./inbound.ts";
import { Peer, type PeerLimits } from "./peer.ts";

export interface ConnectionHost {
  readonly system: System;
  readonly identity: Identity;
  readonly codecs: CodecTable;
  readonly limits: PeerLimits;
  readonly ended: EndedRefs;
  /** Undefined: the connection is accepted. */
  refuse(
    connection: Connection,
    theirs: Identity,
  ): { code: RejectCode; message: string } | undefined;
  /** Another connection of ours with the same life of the same node, up or being dialled. */
  duplicateOf(connection: Connection, theirs: Identity): Connection | undefined;
  /** True: the peer is late with its heartbeat. */
  isLate(connection: Connection): boolean;
  connected(connection: Connection): void;
  /** Called once for each connection that was not merged. */
  lost(connection: Connection, why: string): void;
  /** The connection's link goes on in another connection. */
  merged(connection: Connection): void;
}

/** How long a dial that met its duplicate waits for the duplicate's link. */
const DUPLICATE_WAIT_MS = 250;

/**
 * Between two nodes there is one connection, as signals and messages of one pair of actors must
 * not overtake each other. When both dial at the same time, the dial of the node with the smaller
 * name is kept, and the other node's waiting messages go over it.
 */
export class Connection {
  readonly peer: Peer;
  /** The address we dialled; undefined = the other side did. */
  readonly dialled: string | undefined;
  /** The node that is expected to answer; undefined = any. */
  readonly expected: string | undefined;
  /** Why the connection ended before it came up; `ready` rejects with it. */
  failure: Error | undefined = undefined;

  readonly #host: ConnectionHost;
  readonly #inbound: Inbound;
  readonly #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #link: Link | undefined = undefined;
  #mergedInto: Connection | undefined = undefined;
  /** True: the other side dialled the link. */
  #theirDial = false;
  /** True: this side does not read now, so the peer's silence means nothing. */
  paused = false;

  constructor(host: ConnectionHost, dialled?: string, expected?: string) {
    const { clock, log } = host.system.capabilities;
    this.#host = host;
    this.dialled = dialled;
    this.expected = expected;
    this.peer = new Peer(clock, log, host.codecs, host.limits);
    this.#inbound = new Inbound(host.system, this.peer, host.codecs, host.ended);
  }

  /** True: the link is interrupted for a while, so the peer's silence means nothing. */
  get away(): boolean {
    return this.#link?.away === true;
  }

  get node(): string | undefined {
    return this.peer.identity?.node ?? this.expected;
  }

  /** Resolves when the handshake is done; rejects when it fails. */
  ready(): Promise<void> {
    if (this.peer.state === "up") return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (this.peer.state === "closed") reject(this.failure ?? new Error("closed"));
      else this.#waiting.push({ resolve, reject });
    });
  }

  /** The transport has a link for us. */
  open(link: Link): LinkHandlers {
    if (this.peer.state === "connecting" && this.#link === undefined) this.#use(link);
    return {
      frame: (bytes) => (this.#mergedInto ?? this).#frame(link, bytes),
      drain: () => (this.#mergedInto ?? this).#drain(link),
      close: (reason) => (this.#mergedInto ?? this).#ended(link, reason),
    };
  }

  /** The dialling side sends the first frame, unless another link has replaced the dialled one. */
  greet(link: Link): void {
    if (this.#link === link) this.#greet();
    else link.close();
  }

  /** Idempotent. A merged connection has no link any more, so its time limit ends nothing. */
  close(why: string, failure?: Error): void {
    if (this.peer.state === "closed" || this.#mergedInto !== undefined) return;
    const neverUp = this.peer.state === "connecting";
    this.failure = failure ?? new HandshakeError("no_hello", why);
    this.peer.close(why);
    this.#inbound.close();
    if (neverUp) for (const { reject } of this.#waiting) reject(this.failure);
    this.#host.lost(this, why);
  }

  #use(link: Link): void {
    this.#link = link;
    this.peer.attach(link);
  }

  #greet(): void {
    this.peer.sendNow(helloFrame(this.#host.identity));
  }

  #drain(link: Link): void {
    if (link === this.#link) this.peer.drained();
  }

  #ended(link: Link, reason: string): void {
    if (link === this.#link) this.close(`the connection ended: ${reason}`);
  }

  #frame(link: Link, bytes: Uint8Array): void {
    const { peer } = this;
    if (link !== this.#link || peer.state === "closed") return;
    if (peer.state === "connecting") {
      this.#handshake(bytes);
      return;
    }
    peer.last_heard_ms = this.#host.system.capabilities.clock.now_ms();
    try {
      this.#inbound.frame(bytes);
      if (this.#inbound.flooded !== undefined && !this.paused) this.#pause();
    } catch (error) {
      // After a broken frame no byte can be trusted. Any other error is a bug of ours.
      if (!(error instanceof CodecError || error instanceof RangeError)) throw error;
      const fields = { peer: this.node, error: error.message };
      this.#host.system.capabilities.log.log("error", "a peer sent what is no frame", fields);
      this.close(`broken frame: ${error.message}`);
    }
  }

  /**
   * Back-pressure: while a local actor is flooded we do not read, so messages wait at the sender,
   * whose tells are refused in the end. This ends if the actor makes no progress, since it may wait
   * for this very link.
   */
  #pause(): void {
    const { clock } = this.#host.system.capabilities;
    this.paused = true;
    this.#link?.pause();
    let handled = -1;
    const look = (): void => {
      const busy = this.#inbound.flooded;
      if (busy !== undefined && busy.mailbox_count > FLOOD_MESSAGES / 2 && busy.handled > handled) {
        handled = busy.handled;
        clock.after(1, look);
        return;
      }
      this.#inbound.flooded = undefined;
      this.paused = false;
      if (this.peer.state !== "closed") this.#link?.resume();
    };
    clock.defer(look);
  }

  #handshake(bytes: Uint8Array): void {
    const said = readHandshake(bytes);
    if (said.kind === "garbage") {
      this.#fail("garbage", "the other side does not speak this protocol");
    } else if (said.kind === "hello") {
      this.#hello(said.identity);
    } else if (said.code === "duplicate") {
      this.#awaitDuplicate(said.message);
    } else {
      this.#fail(said.code === "superseded" ? "superseded" : "version", said.message);
    }
  }

  #hello(theirs: Identity): void {
    const mine = this.#host.identity;
    const mismatch = versionMismatch(mine, theirs);
    if (mismatch !== undefined) {
      this.#reject("version", mismatch);
    } else if (theirs.node === mine.node) {
      this.#fail("wrong_node", `"${mine.node}" is our own name; nodes need different ones`);
    } else if (this.expected !== undefined && theirs.node !== this.expected) {
      const said = `expected node "${this.expected}", "${theirs.node}" answered`;
      this.#fail("wrong_node", said);
    } else {
      const refusal = this.#host.refuse(this, theirs);
      if (refusal !== undefined) this.#reject(refusal.code, refusal.message);
      else if (this.dialled !== undefined) this.#welcome(theirs);
      else this.#accept(theirs);
    }
  }

  #accept(theirs: Identity): void {
    const duplicate = this.#host.duplicateOf(this, theirs);
    if (duplicate?.peer.state === "up" && duplicate.#isHalfOpen()) {
      duplicate.close("its other side is gone: the same node dials anew");
      this.#accept(theirs);
    } else if (duplicate === undefined) {
      this.#theirDial = true;
      this.#greet();
      this.#welcome(theirs);
    } else if (duplicate.peer.state === "connecting" && theirs.node < this.#host.identity.node) {
      duplicate.#adopt(this, theirs);
    } else {
      const message = `"${theirs.node}" and "${this.#host.identity.node}" are connected already`;
      this.#link?.send(rejectedFrame("duplicate", message));
      this.close(message);
    }
  }

  /**
   * The peer dials although there is a connection. A node that dialled the link does not dial again
   * while it stands, so the peer's side of it is gone. If we dialled, the two dials may have
   * crossed; the peer's side is gone then only if it is late with its heartbeat.
   */
  #isHalfOpen(): boolean {
    return this.#theirDial || this.#host.isLate(this);
  }

  /** Goes on over the link that `other` accepted, with the messages that wait here. */
  #adopt(other: Connection, theirs: Identity): void {
    const mine = this.#link;
    const link = other.#link as Link;
    other.#mergedInto = this;
    other.#link = undefined;
    this.#theirDial = true;
    this.#host.merged(other);
    this.#use(link);
    mine?.close();
    this.#greet();
    this.#welcome(theirs);
  }

  /** The peer's dial is kept instead of ours, and its link comes in a moment. */
  #awaitDuplicate(message: string): void {
    const { clock } = this.#host.system.capabilities;
    this.#link = undefined;
    clock.after(DUPLICATE_WAIT_MS, () => {
      if (this.peer.state !== "connecting") return;
      this.close(message, new HandshakeError("duplicate", message));
    });
  }

  #welcome(theirs: Identity): void {
    this.peer.up(theirs);
    this.#host.connected(this);
    for (const { resolve } of this.#waiting) resolve();
  }

  #reject(code: RejectCode, message: string): void {
    this.#link?.send(rejectedFrame(code, message));
    this.#fail(code, message);
  }

  #fail(code: HandshakeError["code"], message: string): void {
    this.#host.system.capabilities.log.log("warn", "a node could not join", {
      peer: this.node,
      code,
      error: message,
    });
    this.close(message, new HandshakeError(code, message));
  }
}
