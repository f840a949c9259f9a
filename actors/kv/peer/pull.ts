/**
 * Blocks read from another machine's keeper, by name and in order, into memory that was reserved
 * for them: a block is asked for when there is room for it, so what is under way always has its
 * place. Each is checked against the checksum in its head before anybody finds it. However it ends,
 * what did not come whole is given back.
 */
import type { Clock, Net, Socket, Timer } from "../../../runtime/capabilities.ts";
import type { PeerTimes } from "./sender.ts";
import {
  creditFrame,
  type EndReason,
  endReasonOf,
  FrameReader,
  type Head,
  helloFrame,
  PeerWireError,
  type Ticket,
} from "./wire.ts";

/** Where pulled blocks go. */
export interface PullTarget {
  /** Memory of exactly one block. "held": the block is here already. */
  reserve(hash: bigint): Uint8Array | "held" | "full";
  /** It is whole, and has that checksum. */
  filled(hash: bigint, sum: bigint): void;
  /** What was reserved for it is not needed. */
  dropped(hash: bigint): void;
}

export type PullPlan = {
  readonly address: string;
  readonly ticket: Ticket;
  /** In the order they are wanted in. */
  readonly hashes: readonly bigint[];
  readonly block_bytes: number;
  /** Blocks under way at most. */
  readonly window: number;
  /** On the clock's scale. */
  readonly until_ms: number;
};

export type PullEnd =
  | EndReason
  /** There was no room for the next one. */
  | "full"
  /** Bytes and checksum of a block do not belong together. */
  | "corrupt"
  /** What came is no frame, or no block that was asked for. */
  | "misread"
  | "unreachable"
  | "silent"
  | "broken"
  | "cancelled";

export type Pulled = {
  readonly end: PullEnd;
  /** From the first on: so many of the row are here. */
  readonly blocks: number;
  readonly bytes: number;
  /** Whether the sender was heard at all. */
  readonly heard: boolean;
};

export type PullWorld = {
  readonly net: Net;
  readonly clock: Clock;
  readonly times: PeerTimes;
};

type Place = { readonly hash: bigint; readonly to: Uint8Array | "held" };

export class BlockPull {
  readonly #world: PullWorld;
  readonly #plan: PullPlan;
  readonly #target: PullTarget;
  readonly #ended: (pulled: Pulled) => void;
  readonly #reader: FrameReader;
  /** Asked for and not here, in order. */
  readonly #places: Place[] = [];
  #socket: Socket | undefined;
  #beat: Timer;
  readonly #late: Timer;
  #heard_ms: number;
  #asked = 0;
  #blocks = 0;
  #bytes = 0;
  #heard = false;
  #full = false;
  #over = false;

  /** Starts at once. @param ended called once, whatever happens */
  constructor(
    world: PullWorld,
    plan: PullPlan,
    target: PullTarget,
    ended: (pulled: Pulled) => void,
  ) {
    this.#world = world;
    this.#plan = plan;
    this.#target = target;
    this.#ended = ended;
    this.#heard_ms = world.clock.now_ms();
    this.#reader = new FrameReader({
      head: (head) => this.#bodyOf(head),
      body: (piece, at) => {
        const to = this.#places[0]?.to;
        if (to instanceof Uint8Array) to.set(piece, at);
      },
      whole: (head) => this.#take(head),
    });
    const { clock, times } = world;
    this.#beat = clock.after(times.beat_ms, () => this.#tick());
    const left_ms = Math.max(0, plan.until_ms - clock.now_ms());
    this.#late = clock.after(left_ms, () => this.#finish("late"));
    void this.#connect();
  }

  cancel(): void {
    this.#finish("cancelled");
  }

  async #connect(): Promise<void> {
    const { net, times } = this.#world;
    const handlers = {
      data: (bytes: Uint8Array) => this.#read(bytes),
      drain: () => {},
      close: () => this.#finish("broken"),
    };
    let socket: Socket;
    try {
      socket = await net.connect(this.#plan.address, handlers, times.connect_ms);
    } catch {
      this.#finish("unreachable");
      return;
    }
    if (this.#over) {
      socket.close();
      return;
    }
    this.#socket = socket;
    this.#heard_ms = this.#world.clock.now_ms();
    socket.write(helloFrame(this.#plan.ticket, this.#plan.hashes));
    this.#ask();
  }

  /** Credit for as many blocks as there is room for; in batches, as each costs a call. */
  #ask(): void {
    const { hashes, window } = this.#plan;
    if (this.#places.length > window / 2) return;
    let credit = 0;
    while (this.#places.length < window && !this.#full) {
      const hash = hashes[this.#asked];
      if (hash === undefined) break;
      const to = this.#target.reserve(hash);
      if (to === "full") {
        this.#full = true;
        break;
      }
      this.#places.push({ hash, to });
      this.#asked += 1;
      credit += 1;
    }
    if (credit > 0) this.#socket?.write(creditFrame(credit));
    else if (this.#full && this.#places.length === 0) this.#finish("full");
  }

  #read(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#heard = true;
    this.#heard_ms = this.#world.clock.now_ms();
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (!(error instanceof PeerWireError)) throw error;
      this.#finish("misread");
    }
  }

  #bodyOf({ kind, count, first }: Head): number {
    if (kind === "wait" || kind === "end") return 0;
    const next = this.#places[0];
    if (kind !== "block" || next?.hash !== first || count !== this.#plan.block_bytes) {
      throw new PeerWireError(`a "${kind}" of ${count} bytes was not asked for`);
    }
    return count;
  }

  #take(head: Head): void {
    if (head.kind === "end") this.#finish(endReasonOf(head));
    if (head.kind !== "block") return;
    const { hash, to } = this.#places[0]!;
    if (to instanceof Uint8Array && Bun.hash.xxHash3(to) !== head.second) {
      this.#finish("corrupt");
      return;
    }
    this.#places.shift();
    this.#blocks += 1;
    this.#bytes += head.count;
    // Whoever waited for this block alone gives the rest up in this call.
    if (to instanceof Uint8Array) this.#target.filled(hash, head.second);
    // At the end of the row the sender has the last word.
    if (!this.#over && this.#blocks < this.#plan.hashes.length) this.#ask();
  }

  #tick(): void {
    if (this.#over) return;
    const { clock, times } = this.#world;
    if (clock.now_ms() - this.#heard_ms >= times.silence_ms) {
      this.#finish("silent");
    } else {
      this.#socket?.write(creditFrame(0));
      this.#beat = clock.after(times.beat_ms, () => this.#tick());
    }
  }

  #finish(end: PullEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#reader.stop();
    for (const timer of [this.#beat, this.#late]) this.#world.clock.cancel(timer);
    this.#socket?.close();
    for (const { hash, to } of this.#places.splice(0)) {
      if (to instanceof Uint8Array) this.#target.dropped(hash);
    }
    this.#ended({ end, blocks: this.#blocks, bytes: this.#bytes, heard: this.#heard });
  }
}
