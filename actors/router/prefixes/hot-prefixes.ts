/** The hottest prefixes of a model and who has them, for the inspector. */
import type { HashPairs } from "../../../llm/blocks/block-table.ts";
import { hottest, NODES_MAX, prefixTree } from "../../../llm/blocks/prefix-tree.ts";
import type { CacheIndex } from "../index/cache-index.ts";
import { CacheMatches } from "../index/cache-matches.ts";
import type { RecentPrompts } from "./recent-prompts.ts";

/** Names of workers that have a prefix. */
const WORKERS_MAX = 32;

export type HotPrefixes = {
  readonly model: string;
  /** Prompts that were looked at, and all that came. */
  readonly prompts: number;
  readonly seen: number;
  readonly nodes: readonly {
    readonly hash: string;
    readonly parent: string | null;
    readonly blocks: number;
    readonly workers: readonly string[];
    readonly hits: number;
  }[];
};

/** @param workerOf the name of the worker with this number in the index */
export function hotPrefixes(
  model: string,
  recent: RecentPrompts,
  index: CacheIndex,
  workerOf: (slot: number) => string | undefined,
  now_ms: number,
): HotPrefixes {
  const { prompts, seen } = recent;
  const matches = new CacheMatches();
  const holders = (prompt: HashPairs, to: number): string[] => {
    // The last block's hash names the whole prefix, so that one lookup is enough.
    index.match(prompt.subarray(2 * to - 2, 2 * to), 1, matches, now_ms);
    const names = new Set<string>();
    for (let row = 0; row < matches.count && names.size < WORKERS_MAX; row += 1) {
      const name = workerOf(matches.slots[row]!);
      if (name !== undefined) names.add(name);
    }
    return [...names].sort();
  };
  const rows = hottest(prefixTree(prompts), NODES_MAX);
  return {
    model,
    ...{ prompts: prompts.length, seen },
    nodes: rows.map(({ node, ...row }) => ({ ...row, workers: holders(node.prompt, node.to) })),
  };
}
