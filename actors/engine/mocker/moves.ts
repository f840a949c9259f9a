/**
 * Cached blocks of a simulated rank out to memory and in again. A move takes the time of the links
 * and nothing of the passes. A block out begins with the end of the pass under way, which may be
 * computing it. In memory a block is its own name, so that a wrong or torn one is noticed; where no
 * memory is given, nothing is written or read.
 */
import { type BlockHashes, blockSeed } from "../../../llm/blocks/block-hash.ts";
import { TokenBlocks } from "../../../llm/blocks/token-blocks.ts";
import type { BlockMemory, BlockMove, BlockPort, BlocksIn, BlockTarget } from "../block-port.ts";
import type { EngineRefusal } from "../engine-refusal.ts";
import type { CacheNews } from "./cache-news.ts";
import { Link } from "./link.ts";
import { linkSpeeds, type MockerOptions } from "./options.ts";
import type { BlockNames } from "./sequence.ts";

type Host = {
  readonly rank: {
    readonly news: Pick<CacheNews, "has" | "bringIn">;
    /** When the pass under way ends; Infinity: there is none. */
    readonly pass_end_ms: number;
  };
  readonly memory: BlockMemory | undefined;
  /** There is something to step for. */
  wake(): void;
  refusal(): EngineRefusal | undefined;
};

type Move = {
  readonly handle: number;
  readonly bytes: number;
  /** When it is done; NaN: it has not begun. */
  due_ms: number;
} & ({ readonly out: readonly BlockTarget[]; had: readonly boolean[] } | { readonly in: Row });

type Row = {
  readonly names: BlockNames & { hashes(): BlockHashes };
  readonly first: number;
  readonly addresses: readonly number[];
};

/** In memory: its name, eight times. */
const BLOCK_BYTES = 64;
/** Under way at once. */
const MOVES_MOST = 16;
const NEVER = Number.POSITIVE_INFINITY;

export class MockerMoves implements BlockPort {
  readonly most = 256;
  readonly #options: MockerOptions;
  readonly #host: Host;
  readonly #out: Link;
  readonly #in: Link;
  #moves: Move[] = [];
  #moved: (readonly [handle: number, blocks: readonly BlockMove[]])[] = [];
  #listener: (handle: number, blocks: readonly BlockMove[]) => void = () => {};

  constructor(options: MockerOptions, host: Host) {
    this.#options = options;
    this.#host = host;
    const speeds = linkSpeeds(options);
    this.#out = new Link(speeds.out);
    this.#in = new Link(speeds.in);
  }

  bytes(): number {
    return BLOCK_BYTES;
  }

  out(handle: number, blocks: readonly BlockTarget[], bytes: number): EngineRefusal | undefined {
    const refusal = this.#refusal(blocks.length);
    if (refusal !== undefined) return refusal;
    this.#add({ handle, bytes, due_ms: Number.NaN, out: blocks, had: [] });
    return undefined;
  }

  in(handle: number, into: BlocksIn, bytes: number): EngineRefusal | undefined {
    const { tokens, first, addresses } = into;
    const refusal = this.#refusal(addresses.length);
    if (refusal !== undefined) return refusal;
    const { block_size, num_gpu_blocks, max_model_len } = this.#options;
    const end = first + addresses.length;
    const context = max_model_len ?? num_gpu_blocks * block_size;
    if (end * block_size > context) {
      const message = `${end} blocks of ${block_size} tokens are more than the context of ${context}`;
      return { code: "context_overflow", message };
    }
    if (end * block_size > tokens.length) {
      const message = `${tokens.length} tokens are fewer than ${end} blocks of ${block_size}`;
      return { code: "bad_request", message };
    }
    const names = new TokenBlocks(block_size, blockSeed(into));
    names.append(tokens.subarray(0, end * block_size));
    this.#add({ handle, bytes, due_ms: Number.NaN, in: { names, first, addresses } });
    return undefined;
  }

  onMoved(listener: (handle: number, blocks: readonly BlockMove[]) => void): void {
    this.#listener = listener;
  }

  /** Begins what was asked for and ends what is due. Returns when something is due again. */
  step(now_ms: number): number {
    if (this.#moves.length === 0) return NEVER;
    const bytes = this.#options.block_size * this.#options.kv_bytes_per_token;
    let next_ms = NEVER;
    const open: Move[] = [];
    for (const move of this.#moves) {
      if (Number.isNaN(move.due_ms)) this.#begin(move, bytes, now_ms);
      if (move.due_ms <= now_ms) this.#moved.push([move.handle, this.#done(move)]);
      else {
        open.push(move);
        next_ms = Math.min(next_ms, move.due_ms);
      }
    }
    this.#moves = open;
    return next_ms;
  }

  #begin(move: Move, block_bytes: number, now_ms: number): void {
    if ("in" in move) {
      move.due_ms = this.#in.carry(move.in.addresses.length * block_bytes, now_ms);
      return;
    }
    const { news, pass_end_ms } = this.#host.rank;
    move.had = move.out.map(({ hash }) => news.has(hash));
    const ready_ms = pass_end_ms === NEVER ? now_ms : Math.max(now_ms, pass_end_ms);
    move.due_ms = this.#out.carry(move.out.length * block_bytes, ready_ms);
  }

  /** True: the listener has to be told something. */
  get has_news(): boolean {
    return this.#moved.length > 0;
  }

  /** Tells the listener what was moved. */
  tell(): void {
    for (const [handle, blocks] of this.#moved.splice(0)) this.#listener(handle, blocks);
  }

  close(): void {
    this.#moves = [];
    this.#moved = [];
  }

  #refusal(blocks: number): EngineRefusal | undefined {
    const refusal = this.#host.refusal();
    if (refusal !== undefined) return refusal;
    if (blocks < 1 || blocks > this.most) {
      return { code: "bad_request", message: `a move has 1 to ${this.most} blocks, not ${blocks}` };
    }
    if (this.#moves.length < MOVES_MOST) return undefined;
    return { code: "queue_full", message: `${MOVES_MOST} moves are under way: try again later` };
  }

  #add(move: Move): void {
    this.#moves.push(move);
    this.#host.wake();
  }

  #done(move: Move): readonly BlockMove[] {
    const count = "in" in move ? move.in.addresses.length : move.out.length;
    if (move.bytes !== BLOCK_BYTES) return new Array<BlockMove>(count).fill("odd");
    return "in" in move ? this.#broughtIn(move.in) : this.#takenOut(move.out, move.had);
  }

  #takenOut(blocks: readonly BlockTarget[], had: readonly boolean[]): readonly BlockMove[] {
    const { rank, memory } = this.#host;
    return blocks.map(({ hash, address }, i) => {
      if (!had[i] || !rank.news.has(hash)) return "gone";
      if (memory !== undefined) wordsAt(memory, address).fill(hash);
      return "moved";
    });
  }

  #broughtIn({ names, first, addresses }: Row): readonly BlockMove[] {
    const { rank, memory } = this.#host;
    const hashes = names.hashes().sequence_hashes;
    const isOdd = (address: number, i: number) =>
      memory !== undefined && wordsAt(memory, address).some((word) => word !== hashes[first + i]);
    const odd_from = addresses.findIndex(isOdd);
    const good = odd_from < 0 ? addresses.length : odd_from;
    const moves = good === 0 ? [] : rank.news.bringIn(names, first, first + good);
    return addresses.map((_, i) => moves[i] ?? "odd");
  }
}

function wordsAt(memory: BlockMemory, address: number): BigUint64Array {
  const { buffer, byteOffset } = memory(address, BLOCK_BYTES);
  return new BigUint64Array(buffer, byteOffset, BLOCK_BYTES / 8);
}
