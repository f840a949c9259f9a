/** The trees of all processes as one: below each process node hangs what lives in that process. */
import type { Tree, TreeNode } from "../../proto/index.ts";

/** As TreeNode, with ids that are unique in the cluster. */
export type ClusterNode = TreeNode;

/**
 * @param own the root process's tree
 * @param others those of its child processes, in any order; one that no process node stands for
 *   (it just ended) is left out
 */
export function mergeTrees(own: Tree, others: readonly Tree[]): ClusterNode[] {
  const byPid = new Map(others.map((tree) => [tree.pid, tree]));
  const merged: ClusterNode[] = [];
  for (const node of own.nodes) {
    const child = node.kind === "process" && node.pid > 0 ? byPid.get(node.pid) : undefined;
    const tops =
      child === undefined ? [] : topsOf(child).map((top) => globalId(child.node, top.id));
    merged.push(inCluster(own, node, tops));
    if (child !== undefined) merged.push(...child.nodes.map((item) => inCluster(child, item, [])));
  }
  return merged;
}

const globalId = (node: string, id: string) => `${node}:${id}`;

function inCluster(tree: Tree, node: TreeNode, extra: readonly string[]): ClusterNode {
  return {
    ...node,
    id: globalId(tree.node, node.id),
    // Every actor lives in a process: a process node has its own pid, the others their host's.
    pid: node.pid > 0 || node.kind === "process" ? node.pid : tree.pid,
    children: [...node.children.map((child) => globalId(tree.node, child)), ...extra],
  };
}

function topsOf(tree: Tree): readonly TreeNode[] {
  const children = new Set(tree.nodes.flatMap((node) => node.children));
  return tree.nodes.filter((node) => !children.has(node.id));
}
