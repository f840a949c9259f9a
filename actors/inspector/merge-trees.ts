/** Merges the trees of all processes: each process node gets the actors of its process. */
import type { Tree, TreeNode } from "../../proto/index.ts";

/**
 * @param own the root process's tree
 * @param others those of its child processes and, with several machines, of other roots and theirs,
 *   in any order; one that no process node stands for (it just ended) is left out
 * @returns the own machine's nodes first
 */
export function mergeTrees(own: Tree, others: readonly Tree[]): TreeNode[] {
  const roots = [own, ...others.filter((tree) => tree.nodes.some(isRoot))];
  return roots.flatMap((root) => {
    // A pid means something on its own machine only, whose name the names of its nodes begin with.
    const isIts = ({ node }: Tree) => node.startsWith(`${root.node}.`);
    const its = roots.length === 1 ? others : others.filter(isIts);
    return mergeMachine(root, its);
  });
}

const isRoot = ({ path }: TreeNode) => path === "/cluster";

function mergeMachine(own: Tree, others: readonly Tree[]): TreeNode[] {
  const byPid = new Map(others.map((tree) => [tree.pid, tree]));
  const merged: TreeNode[] = [];
  for (const node of own.nodes) {
    const child = node.kind === "process" && node.pid > 0 ? byPid.get(node.pid) : undefined;
    const tops = child === undefined ? [] : topsOf(child);
    merged.push({ ...hosted(own, node), children: [...node.children, ...tops] });
    if (child !== undefined) merged.push(...child.nodes.map((item) => hosted(child, item)));
  }
  return merged;
}

/** Every actor lives in a process: a process node has its own pid, the others their host's. */
const hosted = (tree: Tree, node: TreeNode): TreeNode =>
  node.kind === "process" ? node : { ...node, pid: tree.pid };

function topsOf(tree: Tree): readonly string[] {
  const children = new Set(tree.nodes.flatMap((node) => node.children));
  return tree.nodes.map((node) => node.id).filter((id) => !children.has(id));
}
