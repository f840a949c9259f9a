/**
 * Records of the native prefix cache (native/troupe.h, tr_kv_poll) as KV events.
 *
 * The native side names a block by a small number, reused once the block is gone; outside it is
 * named by its content. Here is the table between the two, which is also what a dump is made of.
 */

import { BLOCK_HASH_SEED, chainHash, localHash } from "../../../llm/blocks/block-hash.ts";
import type { KvDump, KvStored } from "../../../llm/blocks/kv-event.ts";
import { TR } from "../../../native/index.ts";
import { KvEventLog } from "../kv-event-log.ts";

const FIRST = -1;
// In a stored record, behind words, kind, block, parent + 1, index.
const SALT_AT = 5;
const SERIAL_AT = 7;
const TOKENS_AT = 8;

export class LlamaKvEvents {
  readonly log: KvEventLog;
  /** How often nobody read in time and the whole cache was told again. */
  resyncs = 0;
  // By block number; a block is cached when `held` is 1.
  readonly #held: Uint8Array;
  readonly #parent: Int32Array;
  readonly #index: Uint32Array;
  readonly #serial: Uint32Array;
  readonly #block = new Map<bigint, number>();
  readonly #local: BigUint64Array;
  readonly #sequence: BigUint64Array;
  // One event is made of neighbouring records: blocks that follow each other, or removed blocks.
  #run: number[] = [];
  #removed: bigint[] = [];

  constructor(
    total_blocks: number,
    readonly block_size: number,
    log = new KvEventLog(),
  ) {
    this.log = log;
    this.#held = new Uint8Array(total_blocks);
    this.#parent = new Int32Array(total_blocks);
    this.#index = new Uint32Array(total_blocks);
    this.#serial = new Uint32Array(total_blocks);
    this.#local = new BigUint64Array(total_blocks);
    this.#sequence = new BigUint64Array(total_blocks);
  }

  /** Takes `length` words of whole records, oldest first; each is [words, kind, …]. */
  read(words: Uint32Array, length: number): void {
    for (let at = 0; at < length; at += words[at]!) {
      const kind = words[at + 1]!;
      if (kind === TR.REC_KV_STORED) this.#store(words, at);
      else if (kind === TR.REC_KV_REMOVED) this.#remove(words[at + 2]!);
      else if (kind === TR.REC_KV_RESET) this.#clear();
      else if (kind === TR.REC_KV_LOST) this.resyncs += 1;
    }
    this.#flush();
  }

  #store(words: Uint32Array, at: number): void {
    const block = words[at + 2]!;
    const parent = words[at + 3]! - 1;
    if (this.#removed.length > 0 || parent !== this.#run.at(-1)) this.#flush();
    const low = words[at + SALT_AT]!;
    const high = words[at + SALT_AT + 1]!;
    const seed = (low | high) === 0 ? BLOCK_HASH_SEED : (BigInt(high) << 32n) | BigInt(low);
    const tokens = words.subarray(at + TOKENS_AT, at + TOKENS_AT + this.block_size);
    const local = localHash(tokens, seed);
    this.#held[block] = 1;
    this.#parent[block] = parent;
    this.#index[block] = words[at + 4]!;
    this.#serial[block] = words[at + SERIAL_AT]!;
    this.#local[block] = local;
    this.#sequence[block] = parent === FIRST ? local : chainHash(this.#sequence[parent]!, local);
    this.#block.set(this.#sequence[block]!, block);
    this.#run.push(block);
  }

  #remove(block: number): void {
    if (this.#run.length > 0) this.#flush();
    this.#held[block] = 0;
    this.#block.delete(this.#sequence[block]!);
    this.#removed.push(this.#sequence[block]!);
  }

  #clear(): void {
    this.#flush();
    this.#held.fill(0);
    this.#block.clear();
    this.log.append({ kind: "cleared", ...this.#origin(this.log.nextId()) });
  }

  #flush(): void {
    const { log } = this;
    if (this.#run.length > 0) log.append(this.#stored(this.#run, log.nextId()));
    if (this.#removed.length > 0) {
      const sequence_hashes = BigUint64Array.from(this.#removed);
      log.append({ kind: "removed", ...this.#origin(log.nextId()), sequence_hashes });
    }
    this.#run = [];
    this.#removed = [];
  }

  #origin(event_id: number) {
    return { event_id, dp_rank: 0, tier: "device" } as const;
  }

  /** `run`: one block or more, each the parent of the next. */
  #stored(run: readonly number[], event_id: number): KvStored {
    const first = run[0]!;
    const parent = this.#parent[first]!;
    return {
      kind: "stored",
      ...this.#origin(event_id),
      parent_hash: parent === FIRST ? undefined : this.#sequence[parent]!,
      start_block: this.#index[first]!,
      sequence_hashes: BigUint64Array.from(run, (block) => this.#sequence[block]!),
      local_hashes: BigUint64Array.from(run, (block) => this.#local[block]!),
    };
  }

  /** By which the native side knows a block; undefined: it is not cached. */
  place(sequence_hash: bigint): { readonly block: number; readonly serial: number } | undefined {
    const block = this.#block.get(sequence_hash);
    return block === undefined ? undefined : { block, serial: this.#serial[block]! };
  }

  /** The blocks cached as of the last `read`. */
  dump(): KvDump {
    const blocks: number[] = [];
    for (let block = 0; block < this.#held.length; block++) {
      if (this.#held[block]) blocks.push(block);
    }
    blocks.sort((a, b) => this.#index[a]! - this.#index[b]!);
    const runs: number[][] = [];
    const run_ending_at = new Map<number, number[]>();
    for (const block of blocks) {
      const parent = this.#parent[block]!;
      let run = run_ending_at.get(parent);
      if (run === undefined) {
        run = [];
        runs.push(run);
      } else {
        run_ending_at.delete(parent);
      }
      run.push(block);
      run_ending_at.set(block, run);
    }
    const { last_event_id } = this.log;
    return { last_event_id, blocks: runs.map((run) => this.#stored(run, last_event_id)) };
  }
}
