/** What a reader of KV events believes is cached, and every rule that the events broke. */

import { chainHash } from "../../../llm/blocks/block-hash.ts";
import type { KvDump, KvEvent, KvStored } from "../../../llm/blocks/kv-event.ts";

export class KvReplay {
  /** Sequence hash → that of its parent. */
  readonly held = new Map<bigint, bigint | undefined>();
  readonly faults: string[] = [];
  events = 0;
  clears = 0;

  take(event: KvEvent): void {
    if (event.event_id !== this.events) this.faults.push(`${event.event_id}, not ${this.events}`);
    this.events += 1;
    if (event.kind === "cleared") {
      this.clears += 1;
      this.held.clear();
    } else if (event.kind === "stored") this.#store(event);
    else for (const hash of event.sequence_hashes) this.#remove(hash);
  }

  #store({ parent_hash, start_block, sequence_hashes, local_hashes }: KvStored): void {
    if (sequence_hashes.length === 0) this.faults.push("nothing stored");
    if ((start_block === 0) !== (parent_hash === undefined)) {
      this.faults.push(`block ${start_block} behind ${parent_hash}`);
    }
    let parent = parent_hash;
    for (const [i, hash] of sequence_hashes.entries()) {
      const local = local_hashes[i]!;
      const named = parent === undefined ? local : chainHash(parent, local);
      if (named !== hash) this.faults.push(`${hash} is called so in place of ${named}`);
      if (parent !== undefined && !this.held.has(parent)) this.faults.push(`${hash}: no parent`);
      if (this.held.has(hash)) this.faults.push(`${hash} is stored twice`);
      this.held.set(hash, parent);
      parent = hash;
    }
  }

  #remove(hash: bigint): void {
    if (!this.held.delete(hash)) this.faults.push(`${hash} is removed and was not there`);
    for (const parent of this.held.values()) {
      if (parent === hash) this.faults.push(`${hash} is removed before its child`);
    }
  }

  /** Leading blocks of a sequence that are cached. */
  match(sequence_hashes: BigUint64Array): number {
    const end = sequence_hashes.findIndex((hash) => !this.held.has(hash));
    return end < 0 ? sequence_hashes.length : end;
  }

  /** Blocks that are nobody's parent: the ends of what is cached. */
  leaves(): readonly bigint[] {
    const parents = new Set(this.held.values());
    return [...this.held.keys()].filter((hash) => !parents.has(hash));
  }
}

/** A dump as a reader takes it that knows nothing yet. */
export function replayOf(dump: KvDump): KvReplay {
  const replay = new KvReplay();
  for (const stored of dump.blocks) replay.take({ ...stored, event_id: replay.events });
  return replay;
}
