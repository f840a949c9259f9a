/**
 * The tree of a process while somebody watches it: rows with rates, from walks that are bounded in
 * rows and hold nobody up. Of many children of one parent those with most to do are shown.
 *
 *     walk:  slice (≤ 1 ms) ─ others' turns ─ slice ─ … ─ rows
 */

import type { ActorSystem } from "../kernel/context.ts";
import { childrenOf, type Shown, type TreeNode, treeNode } from "./tree.ts";
import type { TurnSum, TurnTimes } from "./turn-times.ts";

export type LiveNode = TreeNode & {
  /** Messages a second since the walk before. */
  readonly rate: number;
  /** Of a part of its turns; 0: not known. */
  readonly ms_per_message: number;
  /** Children that are not listed. */
  readonly more: number;
};

/** Of a parent with more children than this, so many are shown. */
export const CHILDREN_MAX = 100;
/** So many of the children that are not shown are looked at in one walk, others in the next. */
export const LOOKED_AT = 500;
const SLICE_MS = 1;
/** The clock is read after so many actors. */
const SLICE_ACTORS = 32;

/** What an actor was at the walk before. Rows that stay as they are are the same objects. */
type Known = {
  row: LiveNode;
  children: readonly Shown[];
  at_ms: number;
  /** The last walk that met it. */
  walk: number;
};
/** Which of a parent's many children are shown. */
type Window = { shown: readonly Shown[]; names: Iterator<string>; walk: number };
type Open = { readonly cell: Shown; readonly parent: string };

export class TreeWatch {
  readonly #system: ActorSystem;
  readonly #times: TurnTimes;
  readonly #known = new Map<Shown, Known>();
  readonly #windows = new Map<Shown, Window>();
  #walks = 0;

  /** From now on turns are timed. */
  constructor(system: ActorSystem) {
    this.#system = system;
    this.#times = system.watchTurns();
  }

  /** Whose turn it is, of those that follow. */
  get times(): TurnTimes {
    return this.#times;
  }

  stop(): void {
    this.#system.unwatchTurns();
    this.#known.clear();
    this.#windows.clear();
  }

  /** Parents come before their children. No more than `rows_max`; `pause` lets others go on. */
  async walk(rows_max: number, pause: () => Promise<void>): Promise<readonly LiveNode[]> {
    const number = ++this.#walks;
    const sums = this.#times.take();
    const walk = new Walk(this.#system, sums, this.#known, this.#windows, rows_max, number);
    const { clock } = this.#system.capabilities;
    let now_ms = clock.now_ms();
    let until_ms = now_ms + SLICE_MS;
    while (walk.some(SLICE_ACTORS, now_ms)) {
      now_ms = clock.now_ms();
      if (now_ms < until_ms) continue;
      await pause();
      now_ms = clock.now_ms();
      until_ms = now_ms + SLICE_MS;
    }
    for (const [cell, known] of this.#known) if (known.walk !== number) this.#known.delete(cell);
    for (const [cell, { walk }] of this.#windows) {
      if (walk !== number) this.#windows.delete(cell);
    }
    return walk.rows;
  }
}

/** One walk, breadth first, so that what does not fit is what lies deepest. */
class Walk {
  readonly rows: LiveNode[] = [];
  readonly #known: Map<Shown, Known>;
  readonly #windows: Map<Shown, Window>;
  readonly #sums: ReadonlyMap<object, TurnSum>;
  /** By parent; made when first asked for. */
  #busy: ReadonlyMap<object, readonly Shown[]> | undefined;
  readonly #node: string;
  readonly #rows_max: number;
  readonly #number: number;
  readonly #queue: Open[] = [];
  #at = 0;

  constructor(
    { node, top }: ActorSystem,
    sums: ReadonlyMap<object, TurnSum>,
    known: Map<Shown, Known>,
    windows: Map<Shown, Window>,
    rows_max: number,
    number: number,
  ) {
    this.#node = node;
    this.#sums = sums;
    this.#known = known;
    this.#windows = windows;
    this.#rows_max = rows_max;
    this.#number = number;
    this.#open(top, "", none);
  }

  /** False: it is done. */
  some(actors: number, now_ms: number): boolean {
    for (let left = actors; left > 0; left--) {
      const open = this.#queue[this.#at++];
      if (open === undefined) return false;
      // It may have ended since its parent was looked at.
      if (open.cell.state !== "stopped") this.#visit(open, now_ms);
    }
    return true;
  }

  #visit({ cell, parent }: Open, now_ms: number): void {
    const known = this.#known.get(cell);
    const path = known?.row.path ?? `${parent}/${cell.name}`;
    const children = this.#open(cell, path, known?.children ?? none);
    const more = (cell.children?.size ?? 0) - children.length;
    const sum = this.#sums.get(cell);
    const passed_ms = known === undefined ? 0 : now_ms - known.at_ms;
    const handled = known === undefined ? 0 : cell.handled - known.row.handled;
    const rate = passed_ms <= 0 ? 0 : rounded((handled * 1_000) / passed_ms);
    const ms_per_message =
      sum === undefined ? (known?.row.ms_per_message ?? 0) : rounded(sum.ms / sum.messages);
    if (known !== undefined && known.children === children) {
      const { row } = known;
      const same = row.rate === rate && row.ms_per_message === ms_per_message && row.more === more;
      known.walk = this.#number;
      known.at_ms = now_ms;
      if (same && isAsBefore(cell, row)) {
        this.rows.push(row);
        return;
      }
    }
    const names =
      known?.children === children
        ? known.row.children
        : children.map((child) => `${this.#node}${path}/${child.name}`);
    const id = known?.row.id ?? this.#node + path;
    const row = { ...treeNode(cell, id, path, names, now_ms), rate, ms_per_message, more };
    this.#known.set(cell, { row, children, at_ms: now_ms, walk: this.#number });
    this.rows.push(row);
  }

  /** Puts the children that are shown in the queue; the same list as before when it is. */
  #open(cell: Shown, path: string, before: readonly Shown[]): readonly Shown[] {
    const { children } = cell;
    const count = children?.size ?? 0;
    const room = this.#rows_max - this.#queue.length;
    if (children === undefined || count === 0 || room <= 0) return none;
    const most = Math.min(CHILDREN_MAX, room);
    const now = count <= most ? childrenOf(cell) : this.#busiest(cell, children, most);
    const same = now.length === before.length && now.every((child, at) => child === before[at]);
    for (const child of now) this.#queue.push({ cell: child, parent: path });
    return same ? before : now;
  }

  #busiest(cell: Shown, children: NonNullable<Shown["children"]>, most: number): Shown[] {
    const window = this.#windows.get(cell) ?? {
      ...{ shown: none, walk: 0 },
      names: children.keys()[Symbol.iterator](),
    };
    this.#busy ??= byParent(this.#sums);
    const scores = new Map<Shown, number>();
    const offer = (child: Shown | undefined, more: number) => {
      if (child === undefined || scores.has(child) || children.get(child.name) !== child) return;
      scores.set(child, child.mailbox_count + (this.#sums.get(child)?.messages ?? 0) + more);
    };
    // Who is shown stays, unless somebody else has more to do.
    for (const child of window.shown) offer(child, 0.5);
    for (const child of this.#busy.get(cell) ?? []) offer(child, 0);
    for (let left = Math.min(LOOKED_AT, children.size); left > 0; left--) {
      let next = window.names.next();
      if (next.done) {
        window.names = children.keys()[Symbol.iterator]();
        next = window.names.next();
      }
      const child = children.get(next.value);
      // Idle ones fill up what is left.
      if (scores.size < most || (child?.mailbox_count ?? 0) > 0) offer(child, 0);
    }
    const best = [...scores].sort((a, b) => b[1] - a[1]).slice(0, most);
    const shown = best.map(([child]) => child).sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#windows.set(cell, { shown, names: window.names, walk: this.#number });
    return shown;
  }
}

const none: readonly Shown[] = [];

/** What can change in one life, and is not measured. */
function isAsBefore(cell: Shown, row: LiveNode): boolean {
  const trouble = cell.actor?.nodeTrouble();
  return (
    (trouble === undefined || trouble === row.last_crash) &&
    cell.handled === row.handled &&
    cell.mailbox_count === 0 &&
    row.mailbox === 0 &&
    row.oldest_ms === 0 &&
    (cell.actor?.nodePid() ?? 0) === row.pid &&
    ((cell.state === "running" ? cell.actor?.nodeState() : undefined) ?? cell.state) === row.state
  );
}

function byParent(sums: ReadonlyMap<object, TurnSum>): Map<object, Shown[]> {
  const found = new Map<object, Shown[]>();
  for (const cell of sums.keys() as Iterable<Shown>) {
    if (cell.parent === undefined) continue;
    const siblings = found.get(cell.parent);
    if (siblings === undefined) found.set(cell.parent, [cell]);
    else siblings.push(cell);
  }
  return found;
}

/** Three digits: people read no more, and a row that looks the same is not sent again. */
const rounded = (value: number): number => (value === 0 ? 0 : Number(value.toPrecision(3)));
