/**
 * Blocks that the engine has cached, copied to the keeper's memory in batches, beside everything
 * else:
 *
 *   stored ─▶ queue ─ 10 ms or 64 blocks ─▶ reserve ─▶ slots ─▶ engine copies ─▶ filled
 *
 * One batch is on its way at a time, so that decoding loses little to copies and the keeper's
 * mailbox is never full of this. A block that is not cached any more by then is left out.
 */
import type { KvStored } from "../../../llm/blocks/kv-event.ts";
import type { BlockMove, BlockPort } from "../../engine/engine.ts";
import { packedHashes } from "../../kv/kv.ts";
import type { KeeperLink, OpenSpace } from "./keeper-link.ts";

type Block = { readonly hash: bigint; readonly parent: bigint };

export type OffloadHost = {
  readonly port: BlockPort;
  readonly link: KeeperLink;
  readonly nextHandle: () => number;
  /** Asks for a call of `flush` after the time. */
  readonly later: (delay_ms: number) => void;
};

const BATCH_MOST = 64;
const FLUSH_MS = 10;
/** Blocks that wait; more are not offered, and computed again if need be. */
const QUEUE_MOST = 65_536;
const NO_PARENT = 0n;

export class Offload {
  readonly #host: OffloadHost;
  #queue: Block[] = [];
  #moving: { readonly handle: number; readonly space: OpenSpace; readonly hashes: bigint[] }[] = [];
  #asking = false;
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
    for (const hash of sequence_hashes) {
      if (this.#queue.length >= QUEUE_MOST) {
        this.left_out += 1;
        return;
      }
      this.#queue.push({ hash, parent });
      parent = hash;
    }
    if (this.#queue.length >= BATCH_MOST) this.flush();
    else this.#flushLater();
  }

  /** The next batch, if there is one and none is on its way. */
  flush(): void {
    const { link, port } = this.#host;
    const { space } = link;
    if (this.#asking || this.#moving.length > 0 || this.#queue.length === 0) return;
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
    const batch = this.#queue.splice(0, Math.min(BATCH_MOST, port.most));
    const hashes = packedHashes(batch.map(({ hash }) => hash));
    const parents = packedHashes(batch.map(({ parent }) => parent));
    this.#asking = true;
    const offer = { space: space.number, hashes, parents, priority: 0, hand_off: "" };
    link.ask(
      { kind: "reserve_kv", ...offer },
      ({ slots }) => {
        this.#asking = false;
        this.#copy(space, batch, slots, bytes);
      },
      () => {
        this.#asking = false;
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
    if (link.space === space) {
      const dropped = hashes.filter((_, i) => moves[i] !== "moved");
      this.#tell(space, filled, dropped);
    }
    link.unuse();
    this.flush();
    return true;
  }

  /** The space is another one: everything that is cached is offered. */
  restart(cached: Iterable<KvStored>): void {
    this.#queue = [];
    for (const run of cached) this.stored(run);
  }

  #copy(space: OpenSpace, batch: readonly Block[], slots: readonly number[], bytes: number): void {
    const { link, port, nextHandle } = this.#host;
    const taken = batch.flatMap(({ hash }, i) => {
      const slot = slots[i] ?? -1;
      return slot < 0 ? [] : [{ hash, address: space.addressOf(slot) }];
    });
    if (taken.length === 0) {
      this.flush();
      return;
    }
    const handle = nextHandle();
    const hashes = taken.map(({ hash }) => hash);
    const refusal = port.out(handle, taken, bytes);
    if (refusal !== undefined) {
      this.#tell(space, [], hashes);
      this.#flushLater();
      return;
    }
    link.use();
    this.#moving.push({ handle, space, hashes });
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
