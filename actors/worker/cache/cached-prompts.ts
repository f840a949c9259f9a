/**
 * The prompts in a worker's cache, put together from the last runs of blocks that it stored: each
 * run says which block it follows. For people, where no router knows what prompts share. Pure.
 */
import { type HashPairs, pairsOf } from "../../../llm/blocks/block-table.ts";
import { hottest, NODES_MAX, prefixTree } from "../../../llm/blocks/prefix-tree.ts";

/** Blocks that were stored together, and the one before them; undefined: they begin a prompt. */
export type StoredRun = { readonly parent: bigint | undefined; readonly hashes: BigUint64Array };

const RUNS_MAX = 512;
const BLOCKS_MAX = 512;

/**
 * @param runs oldest first
 * @param isCached of a run's last block, so that what has given way is left out
 * @returns rows of at most 512 blocks from a prompt's first one on, one for each run
 */
export function cachedPrompts(
  runs: readonly StoredRun[],
  isCached: (hash: bigint) => boolean,
): HashPairs[] {
  const last = runs.slice(-RUNS_MAX);
  const places = new Map<bigint, { readonly run: StoredRun; readonly at: number }>();
  for (const run of last)
    for (const [at, hash] of run.hashes.entries()) places.set(hash, { run, at });
  return last.flatMap((run) => {
    const end = run.hashes.at(-1);
    if (end === undefined || !isCached(end)) return [];
    const parts = [run.hashes];
    let { parent } = run;
    let blocks = run.hashes.length;
    while (parent !== undefined) {
      const place = places.get(parent);
      // Its beginning was stored too long ago, or it is longer than a page shows.
      if (place === undefined || blocks > BLOCKS_MAX) return [];
      const before = place.run.hashes.subarray(0, place.at + 1);
      parts.unshift(before);
      blocks += before.length;
      parent = place.run.parent;
    }
    const row = new BigUint64Array(blocks);
    let at = 0;
    for (const part of parts) {
      row.set(part, at);
      at += part.length;
    }
    return [pairsOf(row.slice(0, BLOCKS_MAX))];
  });
}

/** The form in which routers say it; a hit is a run of blocks that was stored behind the prefix. */
export function cachedPrefixes(model: string, worker: string, prompts: readonly HashPairs[]) {
  const { length } = prompts;
  const nodes = hottest(prefixTree(prompts), NODES_MAX).map(({ node: _, ...row }) => ({
    ...row,
    workers: [worker],
  }));
  return { models: [{ model, prompts: length, seen: length, nodes }] };
}
