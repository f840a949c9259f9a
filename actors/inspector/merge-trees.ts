/** The trees of all processes as one: below each process node hangs what lives in that process. */
import type { Tree, TreeNode } from "../../proto/index.ts";

/**
 * @param own the root process's tree
 * @param others those of its child processes, in any order; one that no process node stands for
 *   (it just ended) is left out
 */
export function mergeTrees(own: Tree, others: readonly Tree[]): TreeNode[] {
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
