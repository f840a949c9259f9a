/**
 * Hand-offs: a worker computes blocks for another one, which waits for them.
 *
 *   expected ── the writer begins ──▶ writing ── it is done, or gone ──▶ over ─▶ forgotten
 *
 * Its blocks stay from when they are filled until its reader has ended, or a while after it is
 * over. Both sides may come first. Pure: times are handed in.
 */
import type { BlockRoom } from "./room.ts";

type HandOff = {
  readonly id: string;
  state: "expected" | "writing" | "over";
  /** As rooms know it. */
  writer: string;
  /** What is kept for it. */
  kept: { readonly room: BlockRoom; readonly lease: number } | undefined;
  /** A reader has had what it wanted. */
  read: boolean;
  readonly listeners: Set<() => void>;
  /** When it is over, or forgotten, if nothing happens. */
  until_ms: number;
};

/** So long a writer may take to begin, once somebody waits for it. */
const BEGIN_MS = 2_000;
/** So long it may write. */
const WRITE_MS = 600_000;
/** So long its blocks are kept for a reader that has not come. */
const KEEP_MS = 10_000;
/** More at a time are over when they begin. */
const MOST = 4_096;

/** In a room: what is kept for a hand-off. */
const keeperOf = (id: string) => `hand-off ${id}`;

export class HandOffs {
  readonly #all = new Map<string, HandOff>();

  get count(): number {
    return this.#all.size;
  }

  /** The writer begins. */
  writing(id: string, writer: string, now_ms: number): void {
    const known = this.#of(id, now_ms);
    if (known === undefined || known.state === "over") return;
    known.state = "writing";
    known.writer = writer;
    known.until_ms = now_ms + WRITE_MS;
  }

  written(id: string, now_ms: number): void {
    const known = this.#of(id, now_ms);
    if (known !== undefined) this.#over(known, now_ms);
  }

  /** A worker is gone, and with it what it wrote. */
  gone(writer: string, now_ms: number): void {
    for (const known of this.#all.values()) {
      if (known.state === "writing" && known.writer === writer) this.#over(known, now_ms);
    }
  }

  isWriting(id: string): boolean {
    return this.#all.get(id)?.state === "writing";
  }

  /** A block of it is there: it stays. */
  keep(id: string, room: BlockRoom, hash: bigint, now_ms: number): void {
    const known = this.#of(id, now_ms);
    if (known === undefined) return;
    known.kept ??= { room, lease: room.find(keeperOf(id), [], 0, true).lease };
    room.extend(keeperOf(id), known.kept.lease, [hash], 0);
  }

  /**
   * Somebody waits for its blocks: `over` is called when no more come, which may be before this
   * returns. The returned function ends the wait, and what is kept with it.
   */
  expect(id: string, now_ms: number, over: () => void): () => void {
    const known = this.#of(id, now_ms);
    if (known === undefined || known.state === "over") over();
    else known.listeners.add(over);
    return () => {
      if (known === undefined) return;
      known.listeners.delete(over);
      known.read = true;
      if (known.state === "over" && known.listeners.size === 0) this.#letGo(known);
    };
  }

  /** What took too long is over, and what is over is forgotten after a while. */
  late(now_ms: number): void {
    for (const known of this.#all.values()) {
      if (known.until_ms > now_ms) continue;
      if (known.state !== "over") this.#over(known, now_ms);
      else {
        this.#letGo(known);
        this.#all.delete(known.id);
      }
    }
  }

  #of(id: string, now_ms: number): HandOff | undefined {
    const known = this.#all.get(id);
    if (known !== undefined || this.#all.size >= MOST) return known;
    const made: HandOff = {
      ...{ id, state: "expected", writer: "", kept: undefined, read: false },
      ...{ listeners: new Set(), until_ms: now_ms + BEGIN_MS },
    };
    this.#all.set(id, made);
    return made;
  }

  #over(known: HandOff, now_ms: number): void {
    if (known.state === "over") return;
    known.state = "over";
    known.until_ms = now_ms + KEEP_MS;
    const listeners = [...known.listeners];
    known.listeners.clear();
    for (const over of listeners) over();
    if (known.read && known.listeners.size === 0) this.#letGo(known);
  }

  #letGo(known: HandOff): void {
    known.kept?.room.gone(keeperOf(known.id));
    known.kept = undefined;
  }
}
