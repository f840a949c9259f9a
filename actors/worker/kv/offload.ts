/**
 * Blocks that the engine has cached, copied to the keeper's memory in batches, beside everything
 * else:
 *
 *   stored ─▶ queue ─ 10 ms or 64 blocks ─▶ reserve ─▶ slots ─▶ engine copies ─▶ filled
 *
 * One batch is on its way at a time, so that decoding loses little to copies and the keeper's
 * mailbox is never full of this. A block that is not cached any more by then is left out. Blocks of
 * a hand-off, for which another worker waits, do not wait for a batch to fill, and a few hand-offs
 * are on their way at once, a batch of each: an engine that copies between its steps would
 * otherwise let one prompt go in each step.
 */
import type { KvStored } from "../../../llm/blocks/kv-event.ts";
import type { BlockMove, BlockPort, EngineRefusal } from "../../engine/engine.ts";
import { NO_PARENT, packedHashes } from "../../kv/kv.ts";
import type { KeeperLink, OpenSpace } from "./keeper-link.ts";

export type Block = { readonly hash: bigint; readonly parent: bigint };

/** `hand_off`: the one that all of them are part of; "": none. */
type Batch = { readonly hand_off: string; readonly blocks: readonly Block[] };

export type OffloadHost = {
  readonly port: BlockPort;
  readonly link: KeeperLink;
  readonly nextHandle: () => number;
  readonly counted: (blocks: number) => void;
  /** The engine did not take a move of so many blocks. */
  readonly refused: (blocks: number, refusal: EngineRefusal) => void;
  /** Asks for a call of `flush` after the time. */
  readonly later: (delay_ms: number) => void;
  /** The hand-off that a block is part of: it goes out at once, before all others. */
  readonly handOffOf: (hash: bigint) => string | undefined;
  /** A batch is out, or not to be had. */
  readonly batchEnded: () => void;
};

const BATCH_MOST = 64;
const FLUSH_MS = 10;
/** Blocks that wait; more are not offered, and computed again if need be. */
const QUEUE_MOST = 65_536;
/** Others give way to what somebody waits for. */
const HAND_OFF_PRIORITY = 1;
/** Hand-offs with a batch on its way. */
const HAND_OFFS_MOST = 4;

export class Offload {
  readonly #host: OffloadHost;
  #queue: Block[] = [];
  /** By hand-off. */
  readonly #urgent = new Map<string, Block[]>();
  #moving: {
    readonly handle: number;
    readonly space: OpenSpace;
    readonly hashes: bigint[];
    readonly hand_off: string;
  }[] = [];
  /** Batches that the keeper was asked for. */
  readonly #asking = new Set<Batch>();
  #timed = false;
  offloaded = 0;
  left_out = 0;

  constructor(host: OffloadHost) {
    this.#host = host;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** The engine has cached these blocks. */
  stored({ parent_hash = NO_PARENT, sequence_hashes }: KvStored): void {
    let parent = parent_hash;
    let urgent = false;
    for (const hash of sequence_hashes) {
      const hand_off = this.#host.handOffOf(hash);
      if (hand_off !== undefined) {
        this.#urgentOf(hand_off).push({ hash, parent });
        urgent = true;
        parent = hash;
        continue;
      }
      if (this.#queue.length >= QUEUE_MOST) {
        this.left_out += 1;
        return;
      }
      this.#queue.push({ hash, parent });
      parent = hash;
    }
    if (urgent || this.#queue.length >= BATCH_MOST) this.flush();
    else this.#flushLater();
  }

  /** Blocks of a hand-off that were cached before it began. */
  offer(hand_off: string, blocks: readonly Block[]): void {
    this.#urgentOf(hand_off).push(...blocks);
    this.flush();
  }

  /** True: blocks of the hand-off are not out yet. */
  pending(hand_off: string): boolean {
    return this.#urgent.has(hand_off) || this.#isOnItsWay(hand_off);
  }

  #isOnItsWay(hand_off: string): boolean {
    for (const batch of this.#asking) if (batch.hand_off === hand_off) return true;
    return this.#moving.some((move) => move.hand_off === hand_off);
  }

  #urgentOf(hand_off: string): Block[] {
    let blocks = this.#urgent.get(hand_off);
    if (blocks === undefined) {
      blocks = [];
      this.#urgent.set(hand_off, blocks);
    }
    return blocks;
  }

  /** Of each hand-off one at a time, so that its blocks arrive in their order. */
  #nextBatch(): Batch | undefined {
    const most = Math.min(BATCH_MOST, this.#host.port.most);
    const onTheirWay = this.#asking.size + this.#moving.length;
    if (onTheirWay >= HAND_OFFS_MOST) return undefined;
    for (const [hand_off, waiting] of this.#urgent) {
      if (this.#isOnItsWay(hand_off)) continue;
      const blocks = waiting.splice(0, most);
      if (waiting.length === 0) this.#urgent.delete(hand_off);
      return { hand_off, blocks };
    }
    if (onTheirWay > 0 || this.#queue.length === 0) return undefined;
    return { hand_off: "", blocks: this.#queue.splice(0, most) };
  }

  /** The next batches, as many as may be on their way. */
  flush(): void {
    const { link, port } = this.#host;
    const { space } = link;
    if (this.#queue.length === 0 && this.#urgent.size === 0) return;
    if (space === undefined) {
      link.open();
      return;
    }
    const bytes = port.bytes();
    if (bytes === 0) {
      this.#flushLater();
      return;
    }
    if (bytes !== space.block_bytes) {
      // It was opened before the engine knew how large its blocks are, and they are others.
      link.close();
      return;
    }
    for (let batch = this.#nextBatch(); batch !== undefined; batch = this.#nextBatch()) {
      this.#reserve(space, batch, bytes);
      if (link.space !== space) return;
    }
  }

  #reserve(space: OpenSpace, batch: Batch, bytes: number): void {
    const { link, batchEnded } = this.#host;
    const { blocks, hand_off } = batch;
    const hashes = packedHashes(blocks.map(({ hash }) => hash));
    const parents = packedHashes(blocks.map(({ parent }) => parent));
    this.#asking.add(batch);
    const priority = hand_off === "" ? 0 : HAND_OFF_PRIORITY;
    const offer = { space: space.number, hashes, parents, priority, hand_off };
    link.ask(
      { kind: "reserve_kv", ...offer },
      ({ slots }) => {
        this.#asking.delete(batch);
        this.#copy(space, batch, slots, bytes);
      },
      () => {
        this.#asking.delete(batch);
        batchEnded();
      },
    );
  }

  onTimer(): void {
    this.#timed = false;
    this.flush();
  }

  /** False: the move is not one of these. */
  moved(handle: number, moves: readonly BlockMove[]): boolean {
    const at = this.#moving.findIndex((each) => each.handle === handle);
    const [move] = at < 0 ? [] : this.#moving.splice(at, 1);
    if (move === undefined) return false;
    const { link } = this.#host;
    const { hashes, space } = move;
    const filled = hashes.filter((_, i) => moves[i] === "moved");
    this.offloaded += filled.length;
    this.#host.counted(filled.length);
    if (link.space === space) {
      const dropped = hashes.filter((_, i) => moves[i] !== "moved");
      this.#tell(space, filled, dropped);
    }
    link.unuse();
    this.flush();
    this.#host.batchEnded();
    return true;
  }

  /** The space is closed: nobody waits for blocks of this worker's hand-offs any more. */
  closed(): void {
    this.#urgent.clear();
  }

  /** The space is another one: everything that is cached is offered. */
  restart(cached: Iterable<KvStored>): void {
    this.#queue = [];
    for (const run of cached) this.stored(run);
  }

  #copy(space: OpenSpace, batch: Batch, slots: readonly number[], bytes: number): void {
    const { link, port, nextHandle, batchEnded } = this.#host;
    const { hand_off } = batch;
    const taken = batch.blocks.flatMap(({ hash }, i) => {
      const slot = slots[i] ?? -1;
      return slot < 0 ? [] : [{ hash, address: space.addressOf(slot) }];
    });
    if (taken.length === 0) {
      this.flush();
      batchEnded();
      return;
    }
    const handle = nextHandle();
    const hashes = taken.map(({ hash }) => hash);
    const refusal = port.out(handle, taken, bytes);
    if (refusal !== undefined) {
      this.#host.refused(hashes.length, refusal);
      this.#tell(space, [], hashes);
      this.#flushLater();
      batchEnded();
      return;
    }
    link.use();
    this.#moving.push({ handle, space, hashes, hand_off });
  }

  #tell(space: OpenSpace, filled: readonly bigint[], dropped: readonly bigint[]): void {
    const hashes = packedHashes(filled);
    const message = { kind: "kv_filled", space: space.number, hashes } as const;
    this.#host.link.tell({ ...message, dropped: packedHashes(dropped) });
  }

  #flushLater(): void {
    if (this.#timed) return;
    this.#timed = true;
    this.#host.later(FLUSH_MS);
  }
}
