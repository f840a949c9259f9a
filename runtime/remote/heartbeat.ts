/**
 * The heartbeat of a node: once a period it writes to each peer and judges each peer's silence. A
 * peer that was silent for too long counts as dead; before that it is reported as silent.
 */
import type { Clock, Timer } from "../capabilities.ts";
import type { Connection } from "./connection.ts";
import type { Identity } from "./handshake.ts";

type HeartbeatOptions = {
  /** A peer hears from us at least this often. */
  readonly heartbeat_ms: number;
  /** A peer that was silent for this long is reported. */
  readonly doubt_after_ms: number;
  /** A peer that was silent for this long counts as dead, and its connection is closed. */
  readonly suspect_after_ms: number;
};

export class Heartbeat {
  readonly #clock: Clock;
  readonly #options: HeartbeatOptions;
  readonly #connections: Iterable<Connection>;
  readonly #silent: (peer: Identity, silent_ms: number) => void;
  /** Nodes that are never suspected: only the end of the connection to them counts. */
  readonly #exempt = new Set<string>();
  #timer: Timer;
  #due_ms = 0;

  /** `connections`: read anew at each beat. `silent`: called at each beat for each silent peer. */
  constructor(
    clock: Clock,
    options: HeartbeatOptions,
    connections: Iterable<Connection>,
    silent: (peer: Identity, silent_ms: number) => void,
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#connections = connections;
    this.#silent = silent;
    this.#timer = this.#arm();
  }

  /** The connection to this node stays, however long the node is silent. */
  exempt(node: string): void {
    this.#exempt.add(node);
  }

  /** True: the peer is late with its heartbeat. */
  isLate({ peer }: Connection): boolean {
    return this.#clock.now_ms() - peer.last_heard_ms > this.#options.heartbeat_ms * 1.5;
  }

  stop(): void {
    this.#clock.cancel(this.#timer);
  }

  #arm(): Timer {
    const { heartbeat_ms } = this.#options;
    this.#due_ms = this.#clock.now_ms() + heartbeat_ms;
    return this.#clock.after(heartbeat_ms, () => {
      // First, as what follows may stop it.
      const late_ms = this.#clock.now_ms() - this.#due_ms;
      this.#timer = this.#arm();
      this.#beat(late_ms);
    });
  }

  #beat(late_ms: number): void {
    const { doubt_after_ms, suspect_after_ms } = this.#options;
    const now_ms = this.#clock.now_ms();
    // This process was stopped itself: messages of the peers still wait to be read.
    const we_slept = late_ms > suspect_after_ms / 2;
    for (const connection of [...this.#connections]) {
      const { peer } = connection;
      if (peer.state !== "up") continue;
      if (we_slept || connection.paused || connection.away) peer.last_heard_ms = now_ms;
      const silent_ms = peer.silent_ms(now_ms);
      if (silent_ms > suspect_after_ms && !this.#exempt.has(connection.node ?? "")) {
        connection.close(`nothing heard for ${Math.round(silent_ms)} ms`);
        continue;
      }
      peer.beat(now_ms);
      const { identity } = peer;
      if (silent_ms > doubt_after_ms && identity !== undefined) this.#silent(identity, silent_ms);
    }
  }
}
