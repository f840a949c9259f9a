/** Which rows are shown, in which order and how deep: sorted, filtered, folded, by role. Pure. */
import type { Row, Rows } from "./row.ts";

export const sorts = ["tree", "rate", "queue", "age", "memory", "restarts"] as const;
export type Sort = (typeof sorts)[number];

export type Listed = {
  readonly row: Row;
  readonly depth: number;
  /** Children that are folded away, or that the inspector did not list. */
  readonly hidden: number;
};

export type Wanted = {
  readonly sort: Sort;
  /** Part of a path, a role or a state; "": all. */
  readonly filter: string;
  readonly folded: ReadonlySet<string>;
};

/** Largest first; of "tree" as the tree has them. */
const weights: Readonly<Record<Exclude<Sort, "tree">, (row: Row) => number>> = {
  rate: (row) => row.rate,
  queue: (row) => row.mailbox,
  age: (row) => row.oldest_ms,
  memory: (row) => row.resident_bytes,
  restarts: (row) => row.restarts,
};

/** A sort other than the tree's own lists everything flat: what is largest stands on top. */
export function listing(rows: Rows, { sort, filter, folded }: Wanted): Listed[] {
  if (sort === "tree") return inTree(rows, filter, folded);
  const weight = weights[sort];
  return [...rows.values()]
    .filter((row) => fits(row, filter))
    .sort((a, b) => weight(b) - weight(a) || (a.id < b.id ? -1 : 1))
    .map((row) => ({ row, depth: 0, hidden: row.more }));
}

function inTree(rows: Rows, filter: string, folded: ReadonlySet<string>): Listed[] {
  const children = new Set([...rows.values()].flatMap((row) => row.children));
  const shown = filter === "" ? undefined : withAncestors(rows, filter);
  const found: Listed[] = [];
  const seen = new Set<string>();
  const open = [...rows.values()]
    .filter(({ id }) => !children.has(id))
    .map((row) => ({ row, depth: 0 }))
    .reverse();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { row, depth } = next;
    if (seen.has(row.id) || shown?.has(row.id) === false) continue;
    seen.add(row.id);
    // A filter shows what it finds, folded or not.
    const isFolded = shown === undefined && folded.has(row.id);
    found.push({ row, depth, hidden: row.more + (isFolded ? row.children.length : 0) });
    if (isFolded) continue;
    const its = row.children.flatMap((id) => rows.get(id) ?? []);
    open.push(...its.map((child) => ({ row: child, depth: depth + 1 })).reverse());
  }
  return found;
}

function withAncestors(rows: Rows, filter: string): Set<string> {
  const parents = new Map<string, string>();
  for (const row of rows.values()) for (const child of row.children) parents.set(child, row.id);
  const shown = new Set<string>();
  for (const row of rows.values()) {
    if (!fits(row, filter)) continue;
    for (let id: string | undefined = row.id; id !== undefined && !shown.has(id); ) {
      shown.add(id);
      id = parents.get(id);
    }
  }
  return shown;
}

export const fits = ({ id, role, state }: Row, filter: string): boolean => {
  const wanted = filter.toLowerCase();
  return [id, role, state].some((text) => text.toLowerCase().includes(wanted));
};

export type RoleRow = {
  readonly role: string;
  readonly count: number;
  readonly mailbox: number;
  readonly oldest_ms: number;
  readonly rate: number;
  readonly restarts: number;
  readonly resident_bytes: number;
};

/** One line a role, the busiest first. */
export function byRole(rows: Rows, filter: string): RoleRow[] {
  const roles = new Map<string, RoleRow>();
  for (const row of rows.values()) {
    if (!fits(row, filter)) continue;
    const role = row.kind === "process" ? `${row.role} (process)` : row.role;
    const sum = roles.get(role);
    roles.set(role, {
      role,
      count: (sum?.count ?? 0) + 1,
      mailbox: (sum?.mailbox ?? 0) + row.mailbox,
      oldest_ms: Math.max(sum?.oldest_ms ?? 0, row.oldest_ms),
      rate: (sum?.rate ?? 0) + row.rate,
      restarts: (sum?.restarts ?? 0) + row.restarts,
      resident_bytes: (sum?.resident_bytes ?? 0) + row.resident_bytes,
    });
  }
  return [...roles.values()].sort((a, b) => b.rate - a.rate || (a.role < b.role ? -1 : 1));
}
