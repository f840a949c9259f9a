/** An actor of another node: the same interface as a local one, over a connection. */
import type { ExitReason } from "../kernel/exit-reason.ts";
import type { Address, Message } from "../kernel/message.ts";
import { ambient, type Meta, type Ref, TellMeta, type Watcher } from "../kernel/ref.ts";
import { type Interned, keyOf } from "./intern-table.ts";
import type { Peer } from "./peer.ts";

/** Finds or opens the connection to a node. Undefined: there is none, and none can be had now. */
export interface PeerSource {
  peerFor(ref: RemoteRef): Peer | undefined;
  /** Called for a message without a connection. */
  undelivered(ref: RemoteRef, message: Message, meta: Meta | undefined): void;
  /** The exit reason that watchers are told then. */
  absence(ref: RemoteRef): ExitReason;
  soon(run: () => void): void;
}

export class RemoteRef implements Ref<Message>, Interned {
  readonly local = false;
  readonly address: Address;
  readonly key: string;
  /** Address of the actor's node; empty: only a connection that the node made reaches it. */
  readonly node_address: string;
  slot = 0;
  slot_peer: object | undefined = undefined;

  readonly #source: PeerSource;
  #peer: Peer | undefined = undefined;

  constructor(source: PeerSource, address: Address, node_address: string) {
    this.#source = source;
    this.address = address;
    this.key = keyOf(address);
    this.node_address = node_address;
  }

  tell(message: Message): boolean {
    const { trace } = ambient;
    return this.deliver(message, trace === undefined ? undefined : new TellMeta(trace));
  }

  deliver(message: Message, meta: Meta | undefined): boolean {
    const peer = this.#up();
    if (peer !== undefined) return peer.send(this, message, meta);
    this.#source.undelivered(this, message, meta);
    return false;
  }

  watch(watcher: Watcher): void {
    const peer = this.#up();
    if (peer === undefined) this.#source.soon(() => watcher.ended(this.#source.absence(this)));
    else peer.watch(this, watcher);
  }

  unwatch(watcher: Watcher): void {
    this.#peer?.unwatch(this, watcher);
  }

  #up(): Peer | undefined {
    const peer = this.#peer;
    if (peer !== undefined && peer.state !== "closed") return peer;
    this.#peer = this.#source.peerFor(this);
    return this.#peer;
  }
}
