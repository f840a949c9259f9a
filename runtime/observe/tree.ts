/** The live tree as records: what `/api/tree` shows of one process. */

import type { CellState, Earlier } from "../kernel/cell-state.ts";
import type { StopOrder } from "../kernel/child-stop.ts";
import { describeExit } from "../kernel/exit-reason.ts";

/** Small plain JSON data for the inspector. */
export type Snapshot = Readonly<Record<string, unknown>>;

export type NodeKind = "supervisor" | "actor" | "process";

export type TreeNode = {
  /** Unique in the cluster: node and path. */
  readonly id: string;
  readonly path: string;
  readonly kind: NodeKind;
  readonly role: string;
  /** Of a process that runs; else 0. */
  readonly pid: number;
  readonly state: string;
  readonly restarts: number;
  /** Messages waiting. */
  readonly mailbox: number;
  /** A lower bound. */
  readonly oldest_ms: number;
  readonly handled: number;
  readonly last_crash?: string | undefined;
  readonly children: readonly string[];
};

/** The part of a cell and of its actor that the tree shows. */
export interface Shown {
  readonly id: string;
  readonly path: string;
  readonly name: string;
  readonly parent: object | undefined;
  readonly role: string | undefined;
  readonly state: CellState;
  readonly earlier: Earlier;
  readonly mailbox_count: number;
  readonly handled: number;
  readonly children:
    | { readonly size: number; keys(): Iterable<string>; get(name: string): Shown | undefined }
    | undefined;
  readonly actor:
    | {
        nodeKind(): NodeKind;
        nodeState(): string | undefined;
        nodeTrouble(): string | undefined;
        nodePid(): number | undefined;
        stopOrder(): StopOrder;
      }
    | undefined;
  oldestAge_ms(now_ms: number): number;
}

/** Depth first, children in start order; `root` itself is left out. */
export function treeOf(root: Shown, now_ms: number): TreeNode[] {
  const nodes: TreeNode[] = [];
  const open = childrenOf(root).reverse();
  for (let cell = open.pop(); cell !== undefined; cell = open.pop()) {
    const children = childrenOf(cell);
    const names = children.map((child) => child.id);
    nodes.push(treeNode(cell, cell.id, cell.path, names, now_ms));
    open.push(...children.reverse());
  }
  return nodes;
}

/** Paths of the actors of these roles, which are neither supervisors nor processes. */
export function pathsIn(root: Shown, roles: readonly string[]): string[] {
  const paths: string[] = [];
  const open: Shown[] = [root];
  for (let cell = open.pop(); cell !== undefined; cell = open.pop()) {
    const isActor = cell.actor?.nodeKind() === "actor";
    if (isActor && roles.includes(cell.role ?? cell.name)) paths.push(cell.path);
    const { children } = cell;
    for (const name of children?.keys() ?? []) {
      const child = children?.get(name);
      if (child !== undefined) open.push(child);
    }
  }
  return paths;
}

/** One row. `id` and `path` are the cell's own, which builds them anew at each read. */
export function treeNode(
  cell: Shown,
  id: string,
  path: string,
  children: readonly string[],
  now_ms: number,
): TreeNode {
  const { last_crash: before, restarts } = cell.earlier;
  const last_crash =
    cell.actor?.nodeTrouble() ?? (before === undefined ? undefined : describeExit(before));
  return {
    id,
    path,
    kind: cell.actor?.nodeKind() ?? "actor",
    role: cell.role ?? cell.name,
    pid: cell.actor?.nodePid() ?? 0,
    state: (cell.state === "running" ? cell.actor?.nodeState() : undefined) ?? cell.state,
    restarts,
    mailbox: cell.mailbox_count,
    oldest_ms: Math.round(cell.oldestAge_ms(now_ms)),
    handled: cell.handled,
    last_crash,
    children,
  };
}

/** In start order. */
export function childrenOf(cell: Shown): Shown[] {
  const { children } = cell;
  if (children === undefined) return [];
  const order = cell.actor?.stopOrder() ?? "together";
  // A restarted child is the youngest of the map, but keeps its place in its supervisor's order.
  const names = order === "together" ? children.keys() : [...order].reverse();
  const found: Shown[] = [];
  for (const name of names) {
    const child = children.get(name);
    if (child !== undefined) found.push(child);
  }
  return found;
}
