/**
 * `GET /api/kv/prefixes`: the hottest prefixes out of what routers say. Each frontend's router sees
 * its own share of the requests, so of each model the one is shown that has looked at most. Pure.
 */
import { NODES_MAX } from "../../../llm/blocks/prefix-tree.ts";
import type { Said } from "../kv-page.ts";

export type PrefixNode = {
  readonly model: string;
  readonly hash: string;
  readonly parent: string | null;
  /** Of this node alone. */
  readonly blocks: number;
  /** Those that have all blocks up to the end of this node. */
  readonly workers: readonly string[];
  /** Of the prompts that were looked at, those that begin so. */
  readonly hits: number;
};

export type PrefixPage = {
  readonly nodes: readonly PrefixNode[];
  /** `prompts` were looked at, of `seen` since the router began; on which node. */
  readonly models: readonly {
    readonly model: string;
    readonly node: string;
    readonly prompts: number;
    readonly seen: number;
  }[];
};

type ModelSaid = {
  readonly model: string;
  readonly prompts: number;
  readonly seen: number;
  readonly nodes: readonly Omit<PrefixNode, "model">[];
};

export function prefixPage(said: readonly Said[]): PrefixPage {
  const best = new Map<string, ModelSaid & { readonly node: string }>();
  for (const { node, snapshot } of said) {
    for (const each of (snapshot["models"] ?? []) as readonly ModelSaid[]) {
      const known = best.get(each.model);
      if (known === undefined || known.prompts < each.prompts) {
        best.set(each.model, { ...each, node });
      }
    }
  }
  const models = [...best.values()].sort((a, b) => (a.model < b.model ? -1 : 1));
  const nodes = models.flatMap(({ model, nodes: its }) => its.map((node) => ({ model, ...node })));
  // A parent has at least its child's hits and stands before it, so that it stays in.
  const hottest = nodes.toSorted((a, b) => b.hits - a.hits).slice(0, NODES_MAX);
  const rows = models.map(({ model, node, prompts, seen }) => ({ model, node, prompts, seen }));
  return { nodes: hottest, models: rows };
}
