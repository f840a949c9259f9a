/**
 * A keeper's place on the plane of blocks between machines: it listens for pullers that have a
 * ticket, and pulls from others. Everything it has is bounded, counted, and gone after `close`.
 */
import type {
  Clock,
  Listener,
  Net,
  Random,
  SocketHandlers,
} from "../../../runtime/capabilities.ts";
import { BlockPull, type PullEnd, type Pulled, type PullPlan, type PullTarget } from "./pull.ts";
import { BlockSender, type PeerTimes, type Reading, type Sent } from "./sender.ts";
import { Tickets } from "./tickets.ts";
import type { Ticket } from "./wire.ts";

/** Connections that others may have here at a time. */
const SENDERS_MOST = 256;

export type PlaneWorld = {
  readonly net: Net;
  readonly clock: Clock;
  readonly random: Random;
  readonly times: PeerTimes;
  /** Of ours, that has ended. */
  readonly pulled?: (pulled: Pulled) => void;
  /** Of another machine's, that has ended. */
  readonly sent?: (sent: Sent) => void;
};

export type PlaneCounts = {
  readonly sent_blocks: number;
  readonly sent_bytes: number;
  readonly pulled_blocks: number;
  readonly pulled_bytes: number;
  /** Pulls by how they ended. */
  readonly pulls: Readonly<Partial<Record<PullEnd, number>>>;
  /** Connections of others by how they ended. */
  readonly reads: Readonly<Partial<Record<Sent["end"], number>>>;
};

const nobody: SocketHandlers = { data: () => {}, drain: () => {}, close: () => {} };

export class BlockPlane {
  readonly #world: PlaneWorld;
  readonly #tickets: Tickets;
  readonly #senders = new Set<BlockSender>();
  readonly #pulls = new Set<BlockPull>();
  readonly #counts = { sent_blocks: 0, sent_bytes: 0, pulled_blocks: 0, pulled_bytes: 0 };
  readonly #pull_ends = new Map<PullEnd, number>();
  readonly #read_ends = new Map<Sent["end"], number>();
  #listener: Listener | undefined;
  #closed = false;

  constructor(world: PlaneWorld) {
    this.#world = world;
    this.#tickets = new Tickets(world.random);
  }

  /** Rejects with TransportError. @param address `tcp:HOST:0` for any free port */
  async listen(address: string): Promise<string> {
    const listener = await this.#world.net.listen(address, (socket) => {
      if (this.#closed || this.#senders.size >= SENDERS_MOST) {
        socket.close();
        return nobody;
      }
      const { clock, times } = this.#world;
      const sender: BlockSender = new BlockSender(socket, {
        clock,
        times,
        open: (ticket) => this.#tickets.open(ticket, clock.now_ms()),
        ended: (sent) => {
          this.#senders.delete(sender);
          this.#counts.sent_blocks += sent.blocks;
          this.#counts.sent_bytes += sent.bytes;
          count(this.#read_ends, sent.end);
          this.#world.sent?.(sent);
        },
      });
      this.#senders.add(sender);
      return sender.handlers;
    });
    if (this.#closed) listener.close();
    this.#listener = listener;
    return listener.address;
  }

  /**
   * What lets another machine read these blocks over the wire, once. Undefined: too many wait.
   * @param until_ms on the clock's scale; it has to be opened within a silence, too
   */
  ticket(reading: Reading, until_ms: number): Ticket | undefined {
    const { clock, times } = this.#world;
    const now_ms = clock.now_ms();
    const open_until_ms = Math.min(until_ms, now_ms + times.silence_ms);
    this.#tickets.expire(now_ms);
    const ticket = this.#tickets.make(reading, open_until_ms, until_ms);
    if (ticket === undefined) return undefined;
    clock.after(open_until_ms - now_ms, () => this.#tickets.expire(clock.now_ms()));
    return ticket;
  }

  pull(plan: PullPlan, target: PullTarget, ended: (pulled: Pulled) => void): BlockPull {
    const pull: BlockPull = new BlockPull(this.#world, plan, target, (pulled) => {
      this.#pulls.delete(pull);
      this.#counts.pulled_blocks += pulled.blocks;
      this.#counts.pulled_bytes += pulled.bytes;
      count(this.#pull_ends, pulled.end);
      this.#world.pulled?.(pulled);
      ended(pulled);
    });
    this.#pulls.add(pull);
    return pull;
  }

  counts(): PlaneCounts {
    const [pulls, reads] = [this.#pull_ends, this.#read_ends].map(Object.fromEntries);
    return { ...this.#counts, pulls, reads };
  }

  /** Tickets, connections and pulls that live. */
  get live(): { readonly tickets: number; readonly reading: number; readonly pulling: number } {
    const [reading, pulling] = [this.#senders.size, this.#pulls.size];
    return { tickets: this.#tickets.size, reading, pulling };
  }

  close(): void {
    this.#closed = true;
    this.#listener?.close();
    this.#tickets.clear();
    for (const sender of [...this.#senders]) sender.end("closing");
    for (const pull of [...this.#pulls]) pull.cancel();
  }
}

const count = <K>(counts: Map<K, number>, key: K) => counts.set(key, (counts.get(key) ?? 0) + 1);
