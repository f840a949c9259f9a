/** The hottest prefixes as lines of a tree; pure. */
import type { PrefixNode } from "./kv-types.ts";

export type PrefixLine = {
  readonly node: PrefixNode;
  readonly depth: number;
  readonly children: number;
  /** Blocks of it and of all that it follows. */
  readonly blocks: number;
};

/** Depth first, the hottest first among siblings; what is below a closed one is left out. */
export function prefixLines(
  nodes: readonly PrefixNode[],
  closed: ReadonlySet<string>,
): readonly PrefixLine[] {
  const known = new Set(nodes.map(({ hash }) => hash));
  const below = new Map<string | null, PrefixNode[]>();
  for (const node of nodes) {
    // What stands under a node that is not among the hottest begins a tree of its own.
    const parent = node.parent !== null && known.has(node.parent) ? node.parent : null;
    const siblings = below.get(parent);
    if (siblings === undefined) below.set(parent, [node]);
    else siblings.push(node);
  }
  for (const siblings of below.values()) {
    siblings.sort((a, b) => b.hits - a.hits || (a.hash < b.hash ? -1 : 1));
  }
  const lines: PrefixLine[] = [];
  const seen = new Set<string>();
  const visit = (node: PrefixNode, depth: number, before: number): void => {
    // A circle can only come of a wrong answer; it must not hang the page.
    if (seen.has(node.hash)) return;
    seen.add(node.hash);
    const children = below.get(node.hash) ?? [];
    const blocks = before + node.blocks;
    lines.push({ node, depth, children: children.length, blocks });
    if (closed.has(node.hash)) return;
    for (const child of children) visit(child, depth + 1, blocks);
  };
  for (const root of below.get(null) ?? []) visit(root, 0, 0);
  return lines;
}

export const hottest = (nodes: readonly PrefixNode[]): number =>
  nodes.reduce((most, { hits }) => Math.max(most, hits), 0);
