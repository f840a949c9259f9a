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

/** What an actor was at the walk before. */
type Known = { readonly handled: number; readonly at_ms: number; ms_per_message: number };
/** Which of a parent's many children are shown. */
type Window = { shown: readonly Shown[]; names: Iterator<string> };
type Open = { readonly cell: Shown; readonly path: string };

export class TreeWatch {
  readonly #system: ActorSystem;
  readonly #times: TurnTimes;
  #known = new Map<Shown, Known>();
  #windows = new Map<Shown, Window>();

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
    const walk = new Walk(this.#system, this.#times.take(), this.#known, this.#windows, rows_max);
    const { clock } = this.#system.capabilities;
    let until_ms = clock.now_ms() + SLICE_MS;
    while (walk.some(SLICE_ACTORS)) {
      if (clock.now_ms() < until_ms) continue;
      await pause();
      until_ms = clock.now_ms() + SLICE_MS;
    }
    this.#known = walk.known;
    this.#windows = walk.windows;
    return walk.rows;
  }
}

/** One walk, breadth first, so that what does not fit is what lies deepest. */
class Walk {
  readonly rows: LiveNode[] = [];
  readonly known = new Map<Shown, Known>();
  readonly windows = new Map<Shown, Window>();
  readonly #before: ReadonlyMap<Shown, Known>;
  readonly #windows_before: ReadonlyMap<Shown, Window>;
  readonly #sums: ReadonlyMap<object, TurnSum>;
  readonly #busy: ReadonlyMap<object, readonly Shown[]>;
  readonly #system: ActorSystem;
  readonly #rows_max: number;
  readonly #queue: Open[] = [];
  #at = 0;

  constructor(
    system: ActorSystem,
    sums: ReadonlyMap<object, TurnSum>,
    before: ReadonlyMap<Shown, Known>,
    windows: ReadonlyMap<Shown, Window>,
    rows_max: number,
  ) {
    this.#system = system;
    this.#sums = sums;
    this.#busy = byParent(sums);
    this.#before = before;
    this.#windows_before = windows;
    this.#rows_max = rows_max;
    this.#open(system.top, "");
  }

  /** False: it is done. */
  some(actors: number): boolean {
    for (let left = actors; left > 0; left--) {
      const open = this.#queue[this.#at++];
      if (open === undefined) return false;
      // It may have ended since its parent was looked at.
      if (open.cell.state !== "stopped") this.#visit(open);
    }
    return true;
  }

  #visit({ cell, path }: Open): void {
    const now_ms = this.#system.capabilities.clock.now_ms();
    const children = this.#open(cell, path);
    const more = (cell.children?.size ?? 0) - children.length;
    const before = this.#before.get(cell);
    const sum = this.#sums.get(cell);
    const { handled } = cell;
    const ms_per_message = sum === undefined ? before?.ms_per_message : sum.ms / sum.messages;
    const known = { handled, at_ms: now_ms, ms_per_message: ms_per_message ?? 0 };
    this.known.set(cell, known);
    const passed_ms = before === undefined ? 0 : now_ms - before.at_ms;
    const rate = passed_ms <= 0 ? 0 : ((handled - before!.handled) * 1_000) / passed_ms;
    const names = children.map((child) => `${this.#system.node}${path}/${child.name}`);
    this.rows.push({
      ...treeNode(cell, this.#system.node + path, path, names, now_ms),
      rate: rounded(rate),
      ms_per_message: rounded(known.ms_per_message),
      more: Math.max(0, more),
    });
  }

  /** Puts the children that are shown in the queue. */
  #open(cell: Shown, path: string): readonly Shown[] {
    const { children } = cell;
    const count = children?.size ?? 0;
    const room = this.#rows_max - this.#queue.length;
    if (children === undefined || count === 0 || room <= 0) return [];
    const most = Math.min(CHILDREN_MAX, room);
    const shown = count <= most ? childrenOf(cell) : this.#busiest(cell, children, most);
    for (const child of shown) this.#queue.push({ cell: child, path: `${path}/${child.name}` });
    return shown;
  }

  #busiest(cell: Shown, children: NonNullable<Shown["children"]>, most: number): Shown[] {
    const before = this.#windows_before.get(cell);
    const window = before ?? { shown: [], names: children.keys()[Symbol.iterator]() };
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
      offer(children.get(next.value), 0);
    }
    const best = [...scores].sort((a, b) => b[1] - a[1]).slice(0, most);
    const shown = best.map(([child]) => child).sort((a, b) => (a.name < b.name ? -1 : 1));
    this.windows.set(cell, { shown, names: window.names });
    return shown;
  }
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
const rounded = (value: number): number => Number(value.toPrecision(3));
