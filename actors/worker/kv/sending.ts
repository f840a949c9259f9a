/**
 * Hand-offs that this worker computes the prompts of: whose blocks go out before all others, and
 * when no more of them come.
 *
 *   begin ─▶ "blocks come" ─▶ … ─▶ its request has ended, and all its blocks are out ─▶ "no more"
 */
import type { Generate } from "../../../proto/index.ts";
import { parentIn } from "../../kv/kv.ts";
import type { Block } from "./offload.ts";
import { rowOf } from "./prompt-row.ts";

type Sent = { readonly id: string; readonly hashes: BigUint64Array };

export type SendingHost = {
  readonly block_size: () => number;
  /** How many of these blocks are in the engine, from the first on without a gap. */
  readonly cachedRow: (hashes: BigUint64Array) => number;
  /** False: there is no keeper just now. */
  readonly tell: (what: "kv_writing" | "kv_written", id: string, blocks: number) => boolean;
  /** Blocks that go out before all others. */
  readonly offer: (id: string, blocks: readonly Block[]) => void;
  /** True: some of them are not out yet. */
  readonly pending: (id: string) => boolean;
  /** True: the worker still has the request of this name. */
  readonly isHere: (request: string) => boolean;
};

export class Sending {
  readonly #host: SendingHost;
  readonly #all = new Map<string, Sent>();
  /** The hand-off that a block is part of; of several the last one that began. */
  readonly #by_block = new Map<bigint, string>();

  constructor(host: SendingHost) {
    this.#host = host;
  }

  get count(): number {
    return this.#all.size;
  }

  /** False: nobody can have the blocks of this request. */
  begin(generate: Generate): boolean {
    const { block_size, cachedRow, tell, offer } = this.#host;
    const id = generate.hand_off?.id ?? "";
    const { hashes } = rowOf(generate, block_size(), "whole");
    if (!tell("kv_writing", id, hashes.length)) return false;
    this.#all.set(id, { id, hashes });
    for (const hash of hashes) this.#by_block.set(hash, id);
    const cached = cachedRow(hashes);
    const blocks = Array.from(hashes.subarray(0, cached), (hash, i) => {
      return { hash, parent: parentIn(hashes, i) };
    });
    if (cached > 0) offer(id, blocks);
    return true;
  }

  handOffOf(hash: bigint): string | undefined {
    return this.#by_block.size === 0 ? undefined : this.#by_block.get(hash);
  }

  /** After each pass, and whenever a request or a copy may have ended. */
  look(): void {
    if (this.#all.size === 0) return;
    const { isHere, pending, tell } = this.#host;
    for (const sent of this.#all.values()) {
      const { id, hashes } = sent;
      if (isHere(id) || pending(id)) continue;
      this.#forget(sent);
      tell("kv_written", id, hashes.length);
    }
  }

  /** The keeper's space is closed: it knows of none of them any more. */
  closed(): void {
    this.#all.clear();
    this.#by_block.clear();
  }

  #forget({ id, hashes }: Sent): void {
    this.#all.delete(id);
    for (const hash of hashes) if (this.#by_block.get(hash) === id) this.#by_block.delete(hash);
  }
}
