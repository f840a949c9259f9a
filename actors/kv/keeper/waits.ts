/**
 * Readers whose next blocks are still to come: from a worker that computes them, a disk, another
 * machine. Each of those is a source of the wait, and says when no more comes by it. A wait ends
 * with its last source, with its last block or at its deadline. Pure.
 */
import type { BlockRoom } from "./room.ts";

export type Row = {
  readonly room: BlockRoom;
  /** Whose lease it is, as the room knows it. */
  readonly guest: string;
  readonly lease: number;
  readonly hashes: BigUint64Array;
  /** Number of the first block that is not there yet. */
  readonly next: number;
  readonly until_ms: number;
};

/** More blocks of a row; `coming: false` is told once, at the end. */
export type Arrival = {
  readonly first: number;
  readonly slots: readonly number[];
  readonly coming: boolean;
};

export type Wait = Readonly<Omit<Row, "next">> & {
  next: number;
  /** By which more may come. */
  sources: number;
  over: boolean;
  /** Called when it is over, however: gives up what its sources still do. */
  readonly ended: (() => void)[];
};

export class Waits {
  readonly #all = new Set<Wait>();
  readonly #arrived: (wait: Wait, arrival: Arrival) => void;

  constructor(arrived: (wait: Wait, arrival: Arrival) => void) {
    this.#arrived = arrived;
  }

  get count(): number {
    return this.#all.size;
  }

  /** Nothing is told of it before this turn is over: see `begin`. */
  open(row: Row): Wait {
    return { ...row, sources: 0, over: false, ended: [] };
  }

  /** A source of the wait. The returned function says that no more comes by it, once. */
  source(wait: Wait): () => void {
    let open = true;
    wait.sources += 1;
    return () => {
      if (!open) return;
      open = false;
      wait.sources -= 1;
      if (this.#all.has(wait) && wait.sources === 0) this.#tell(wait);
    };
  }

  /** All sources are there. False: none of them is open, and nothing will be told. */
  begin(wait: Wait): boolean {
    if (wait.sources === 0) {
      this.#end(wait);
      return false;
    }
    this.#all.add(wait);
    return true;
  }

  /** Blocks have come. */
  advance(): void {
    for (const wait of this.#all) if (wait.room.has(wait.hashes[wait.next]!)) this.#tell(wait);
  }

  late(now_ms: number): void {
    for (const wait of this.#all) {
      if (wait.until_ms > now_ms) continue;
      wait.sources = 0;
      this.#tell(wait);
    }
  }

  /** Its reader has enough. */
  released(guest: string, lease: number): void {
    for (const wait of this.#all) {
      if (wait.guest === guest && wait.lease === lease) this.#end(wait);
    }
  }

  gone(guest: string): void {
    for (const wait of this.#all) if (wait.guest === guest) this.#end(wait);
  }

  #tell(wait: Wait): void {
    const { room, guest, lease, hashes, next: first } = wait;
    const slots = room.extend(guest, lease, hashes, first);
    wait.next += slots.length;
    const coming = wait.sources > 0 && wait.next < hashes.length;
    if (!coming) this.#end(wait);
    if (slots.length > 0 || !coming) this.#arrived(wait, { first, slots, coming });
  }

  #end(wait: Wait): void {
    if (wait.over) return;
    wait.over = true;
    this.#all.delete(wait);
    for (const end of wait.ended.splice(0)) end();
  }
}
