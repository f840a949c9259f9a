/**
 * Prompts as a tree of their shared beginnings. Pure.
 *
 *     a b c d          a b ─┬─ c d          A block's hash names everything up to it, so two prompts
 *     a b c e    ──▶        │   └ (2 prompts share a b c, …)     are alike up to block i exactly
 *     a b x                 └─ x            when their hashes at i are: found by halving.
 *
 * So a tree of hundreds of prompts with hundreds of blocks takes a fraction of a millisecond.
 */
import type { HashPairs } from "./block-table.ts";

/** Blocks `from` to `to` of a prompt, which all prompts below it share. */
export type PrefixNode = {
  readonly prompt: HashPairs;
  readonly from: number;
  to: number;
  /** Prompts that go through here. */
  hits: number;
  children: PrefixNode[];
};

export function prefixTree(prompts: readonly HashPairs[]): PrefixNode[] {
  const roots: PrefixNode[] = [];
  for (const prompt of prompts) add(roots, prompt);
  return roots;
}

function add(roots: PrefixNode[], prompt: HashPairs): void {
  const blocks = prompt.length >>> 1;
  let level = roots;
  let at = 0;
  while (at < blocks) {
    const node = level.find((each) => isSame(each.prompt, prompt, each.from));
    if (node === undefined) {
      level.push({ prompt, from: at, to: blocks, hits: 1, children: [] });
      return;
    }
    const shared = sharedUpTo(node, prompt, Math.min(node.to, blocks));
    if (shared < node.to) split(node, shared);
    node.hits += 1;
    at = shared;
    level = node.children;
  }
}

/** The rest of the node becomes its only child. */
function split(node: PrefixNode, at: number): void {
  const { prompt, to, hits, children } = node;
  node.children = [{ prompt, from: at, to, hits, children }];
  node.to = at;
}

/** Blocks that the two have in common, `most` at most; the node's first one is. */
function sharedUpTo(node: PrefixNode, prompt: HashPairs, most: number): number {
  let same = node.from + 1;
  let other = most + 1;
  while (other - same > 1) {
    const middle = (same + other) >>> 1;
    if (isSame(node.prompt, prompt, middle - 1)) same = middle;
    else other = middle;
  }
  return same;
}

const isSame = (a: HashPairs, b: HashPairs, block: number): boolean =>
  a[2 * block] === b[2 * block] && a[2 * block + 1] === b[2 * block + 1];

/** A page shows so many at most. */
export const NODES_MAX = 200;

/** A node as it is shown: named by its last block. */
export type PrefixRow = {
  readonly hash: string;
  readonly parent: string | null;
  /** Of this node alone, behind its parent's. */
  readonly blocks: number;
  readonly hits: number;
  readonly node: PrefixNode;
};

/** The hottest nodes; the parent of each is among them, before it. */
export function hottest(roots: readonly PrefixNode[], most: number): PrefixRow[] {
  const rows: PrefixRow[] = [];
  let open = roots.map((node) => ({ node, parent: null as string | null }));
  while (rows.length < most && open.length > 0) {
    // The hottest of those whose parents are in; of equal ones the longest.
    open = open.toSorted(
      ({ node: a }, { node: b }) => b.hits - a.hits || b.to - b.from - (a.to - a.from),
    );
    const { node, parent } = open.shift()!;
    const hash = nameOf(node.prompt, node.to - 1);
    rows.push({ hash, parent, blocks: node.to - node.from, hits: node.hits, node });
    open.push(...node.children.map((child) => ({ node: child, parent: hash })));
  }
  return rows;
}

/** The hash as other pages write it: 16 digits. */
function nameOf(hashes: HashPairs, block: number): string {
  const half = (word: number) => word.toString(16).padStart(8, "0");
  return half(hashes[2 * block + 1]!) + half(hashes[2 * block]!);
}
