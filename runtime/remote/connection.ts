/** One link to one node, from the first frame to the last: handshake, frames, the end. */
import type { CodecTable } from "../codec.ts";
import { CodecError } from "../codec.ts";
import type { System } from "../system.ts";
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
import { type FarRefs, Inbound } from "./inbound.ts";
import { Peer, type PeerLimits } from "./peer.ts";

export interface ConnectionHost {
  readonly system: System;
  readonly identity: Identity;
  readonly codecs: CodecTable;
  readonly limits: PeerLimits;
  readonly far: FarRefs;
  /** Undefined: welcome. */
  refuse(connection: Connection, theirs: Identity): { code: RejectCode; message: string } | undefined;
  connected(connection: Connection): void;
  /** Called once. */
  lost(connection: Connection, why: string): void;
}

export class Connection {
  readonly peer: Peer;
  readonly dialled: boolean;
  /** Why it never came up, for whoever waits for it. */
  failure: Error | undefined = undefined;

  readonly #host: ConnectionHost;
  readonly #inbound: Inbound;
  /** The node that is expected to answer; undefined = any. */
  readonly #expected: string | undefined;
  readonly #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #link: Link | undefined = undefined;

  constructor(host: ConnectionHost, dialled: boolean, expected?: string) {
    const { clock, log } = host.system.capabilities;
    this.#host = host;
    this.dialled = dialled;
    this.#expected = expected;
    this.peer = new Peer(clock, log, host.codecs, host.limits);
    this.#inbound = new Inbound(host.system, this.peer, host.codecs, host.far);
  }

  get node(): string | undefined {
    return this.peer.identity?.node ?? this.#expected;
  }

  /** Resolves when the handshake is done; rejects with the reason why it was not. */
  ready(): Promise<void> {
    if (this.peer.state === "up") return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (this.peer.state === "closed") reject(this.failure ?? new Error("closed"));
      else this.#waiting.push({ resolve, reject });
    });
  }

  /** The transport has a link for us. */
  open(link: Link): LinkHandlers {
    this.#link = link;
    this.peer.attach(link);
    return {
      frame: (bytes) => this.#frame(bytes),
      drain: () => this.peer.drained(),
      close: (reason) => this.close(`the connection ended: ${reason}`),
    };
  }

  /** The dialling side speaks first. */
  greet(): void {
    this.peer.sendNow(helloFrame(this.#host.identity));
  }

  /** Idempotent. */
  close(why: string, failure?: Error): void {
    if (this.peer.state === "closed") return;
    const neverUp = this.peer.state === "connecting";
    this.failure = failure ?? new HandshakeError("no_hello", why);
    this.peer.close(why);
    this.#inbound.close();
    if (neverUp) for (const { reject } of this.#waiting) reject(this.failure);
    this.#host.lost(this, why);
  }

  #frame(bytes: Uint8Array): void {
    const { peer } = this;
    if (peer.state === "closed") return;
    if (peer.state === "connecting") {
      this.#handshake(bytes);
      return;
    }
    peer.heard_ms = this.#host.system.capabilities.clock.now_ms();
    try {
      this.#inbound.frame(bytes);
    } catch (error) {
      // Bytes out of step: nothing after them can be trusted. Anything else is a bug of ours.
      if (!(error instanceof CodecError || error instanceof RangeError)) throw error;
      const fields = { peer: this.node, error: error.message };
      this.#host.system.capabilities.log.log("error", "a peer sent what is no frame", fields);
      this.close(`broken frame: ${error.message}`);
    }
  }

  #handshake(bytes: Uint8Array): void {
    const said = readHandshake(bytes);
    if (said.kind === "garbage") {
      this.#fail("garbage", "the other side does not speak this protocol");
    } else if (said.kind === "rejected") {
      this.#fail(said.code === "superseded" ? "superseded" : "version", said.message);
    } else {
      this.#hello(said.identity);
    }
  }

  #hello(theirs: Identity): void {
    const mine = this.#host.identity;
    const mismatch = versionMismatch(mine, theirs);
    if (mismatch !== undefined) {
      this.#reject("version", mismatch);
    } else if (theirs.node === mine.node) {
      this.#fail("wrong_node", `"${mine.node}" is our own name; nodes need different ones`);
    } else if (this.#expected !== undefined && theirs.node !== this.#expected) {
      const said = `expected node "${this.#expected}", "${theirs.node}" answered`;
      this.#fail("wrong_node", said);
    } else {
      const refusal = this.#host.refuse(this, theirs);
      if (refusal === undefined) this.#welcome(theirs);
      else this.#reject(refusal.code, refusal.message);
    }
  }

  #welcome(theirs: Identity): void {
    if (!this.dialled) this.greet();
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
