/** The cluster's tree as it is known here: frames in, rows to draw out. Pure. */
import type { TreeFrame, TreeRow } from "./types.ts";

export type TreeFilter = {
  readonly text: string;
  /** Empty: all. */
  readonly role: string;
  readonly state: StateFilter;
};

export type StateFilter = "all" | "processes" | "busy" | "trouble";

export const noFilter: TreeFilter = { text: "", role: "", state: "all" };

export type VisibleRow = {
  readonly row: TreeRow;
  /** 1 for those that hang nowhere. */
  readonly level: number;
  readonly nth: number;
  readonly of: number;
  readonly isOpen: boolean | undefined;
  /** False: it is here because something below it was looked for. */
  readonly isMatch: boolean;
  readonly parent: string | undefined;
  /** Children that the server does not list; a row of its own says so. */
  readonly isMore?: number;
};

export type Restart = { readonly id: string; readonly restarts: number };

/** A restart flashes for so long. */
export const FLASH_MS = 4_000;
/** Points of the course of messages a second. */
const COURSE = 30;
const RECORD_EVERY_MS = 450;
const GONE_MAX = 1_000;

/** A crash that nobody need look at any more is still in the actor's page. */
const isTrouble = (row: TreeRow): boolean =>
  row.last_crash !== undefined ||
  row.restarts > 0 ||
  ["suspended", "stopped", "crashed", "crash_loop", "frozen"].includes(row.state);

const isBusy = (row: TreeRow): boolean =>
  row.mailbox > 0 || (row.rate ?? 0) > 0 || (row.oldest_ms ?? 0) > 0;

export class TreeModel {
  readonly #rows = new Map<string, TreeRow>();
  readonly #parents = new Map<string, string>();
  readonly #flashes = new Map<string, number>();
  readonly #courses = new Map<string, number[]>();
  readonly #open = new Map<string, boolean>();
  /** Ids that are nobody's children, in the order in which they came. */
  #tops: readonly string[] = [];
  /** Restarts of processes that are away, as one is between its end and its next start. */
  readonly #gone = new Map<string, number>();
  #at_ms = 0;
  #recorded_ms = Number.NEGATIVE_INFINITY;

  get size(): number {
    return this.#rows.size;
  }

  /** When the latest frame was made. */
  get at_ms(): number {
    return this.#at_ms;
  }

  get(id: string): TreeRow | undefined {
    return this.#rows.get(id);
  }

  rows(): Iterable<TreeRow> {
    return this.#rows.values();
  }

  parentOf(id: string): string | undefined {
    return this.#parents.get(id);
  }

  /** Messages a second of a process, oldest first. */
  courseOf(id: string): readonly number[] {
    return this.#courses.get(id) ?? [];
  }

  flashes(id: string, now_ms: number): boolean {
    return (this.#flashes.get(id) ?? 0) > now_ms;
  }

  /** Returns the restarts that the frame tells of. */
  apply(frame: TreeFrame, now_ms: number): readonly Restart[] {
    const seconds = (frame.at_ms - this.#at_ms) / 1_000;
    this.#at_ms = frame.at_ms;
    const restarts: Restart[] = [];
    const stays = frame.full ? new Set(frame.nodes.map(({ id }) => id)) : undefined;
    const gone = stays ? [...this.#rows.keys()].filter((id) => !stays.has(id)) : frame.gone;
    for (const id of gone) this.#forget(id);
    let isOther = gone.length > 0;
    for (const given of frame.nodes) {
      const was = this.#rows.get(given.id);
      const row = withRate(given, was, seconds);
      isOther ||= was === undefined || !isSame(was.children, row.children);
      const restarts_were = was?.restarts ?? this.#gone.get(given.id);
      this.#gone.delete(given.id);
      if (restarts_were !== undefined && row.restarts > restarts_were) {
        this.#flashes.set(row.id, now_ms + FLASH_MS);
        restarts.push({ id: row.id, restarts: row.restarts });
      }
      this.#rows.set(row.id, row);
    }
    if (isOther) this.#relate();
    if (now_ms - this.#recorded_ms >= RECORD_EVERY_MS) this.#record(now_ms);
    for (const [id, until_ms] of this.#flashes) if (until_ms < now_ms) this.#flashes.delete(id);
    return restarts;
  }

  #forget(id: string): void {
    const row = this.#rows.get(id);
    if (row?.kind === "process" && this.#gone.size < GONE_MAX) this.#gone.set(id, row.restarts);
    this.#rows.delete(id);
    this.#courses.delete(id);
  }

  #relate(): void {
    this.#parents.clear();
    for (const { id, children } of this.#rows.values()) {
      for (const child of children) this.#parents.set(child, id);
    }
    this.#tops = [...this.#rows.keys()].filter((id) => !this.#parents.has(id));
  }

  #record(now_ms: number): void {
    this.#recorded_ms = now_ms;
    for (const { id, kind } of this.#rows.values()) {
      if (kind !== "process") continue;
      const course = this.#courses.get(id) ?? [];
      course.push(this.#rateBelow(id));
      if (course.length > COURSE) course.shift();
      this.#courses.set(id, course);
    }
  }

  /** A process takes no messages itself; the actors in it do. */
  #rateBelow(id: string): number {
    let sum = 0;
    const open = [id];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const row = this.#rows.get(next);
      if (row === undefined) continue;
      sum += row.rate ?? 0;
      open.push(...row.children);
    }
    return sum;
  }

  isOpen(id: string): boolean {
    return this.#open.get(id) ?? true;
  }

  setOpen(id: string, isOpen: boolean): void {
    this.#open.set(id, isOpen);
  }

  /** Of a closed tree the first two levels are seen. */
  setAll(isOpen: boolean): void {
    this.#open.clear();
    if (isOpen) return;
    for (const { id, children } of this.#rows.values()) {
      if (children.length > 0 && this.#parents.has(id)) this.#open.set(id, false);
    }
  }

  /** All roles with how many there are of them. */
  roles(): readonly (readonly [role: string, count: number])[] {
    const counts = new Map<string, number>();
    for (const { role } of this.#rows.values()) counts.set(role, (counts.get(role) ?? 0) + 1);
    return [...counts].sort(([a], [b]) => a.localeCompare(b));
  }

  /** Depth first. While something is looked for, all ways to what was found are open. */
  visible(filter: TreeFilter): readonly VisibleRow[] {
    const found = isNone(filter) ? undefined : this.#found(filter);
    const rows: VisibleRow[] = [];
    const walk = (ids: readonly string[], level: number, parent: string | undefined) => {
      const here = ids.flatMap((id) => {
        const row = this.#rows.get(id);
        return row !== undefined && (found?.has(id) ?? true) ? [row] : [];
      });
      for (const [i, row] of here.entries()) {
        const has = row.children.length > 0 || (row.more ?? 0) > 0;
        const isOpen = has ? found !== undefined || this.isOpen(row.id) : undefined;
        const isMatch = found?.get(row.id) ?? true;
        rows.push({ row, level, nth: i + 1, of: here.length, isOpen, isMatch, parent });
        if (isOpen !== true) continue;
        walk(row.children, level + 1, row.id);
        const { more = 0 } = row;
        if (more > 0) rows.push(moreRow(row, level + 1, more));
      }
    };
    walk(this.#tops, 1, undefined);
    return rows;
  }

  /** Id → whether it was looked for itself, or something below it. */
  #found(filter: TreeFilter): ReadonlyMap<string, boolean> {
    const found = new Map<string, boolean>();
    for (const row of this.#rows.values()) {
      if (!matches(row, filter)) continue;
      found.set(row.id, true);
      for (
        let parent = this.#parents.get(row.id);
        parent !== undefined && !found.has(parent);
        parent = this.#parents.get(parent)
      ) {
        found.set(parent, false);
      }
    }
    return found;
  }
}

const moreRow = (row: TreeRow, level: number, more: number): VisibleRow => ({
  ...{ row, level, nth: 1, of: 1, isOpen: undefined, isMatch: true, parent: row.id },
  isMore: more,
});

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((each, i) => each === b[i]));

const isNone = ({ text, role, state }: TreeFilter) =>
  text.trim() === "" && role === "" && state === "all";

function matches(row: TreeRow, { text, role, state }: TreeFilter): boolean {
  if (role !== "" && row.role !== role) return false;
  if (state === "processes" && row.kind !== "process") return false;
  if (state === "busy" && !isBusy(row)) return false;
  if (state === "trouble" && !isTrouble(row)) return false;
  const words = text.trim().toLowerCase().split(/\s+/);
  const all = `${row.id} ${row.role} ${row.state} ${row.pid}`.toLowerCase();
  return words.every((word) => all.includes(word));
}

/** A server that does not count by the second says how many were handled so far. */
function withRate(row: TreeRow, was: TreeRow | undefined, seconds: number): TreeRow {
  if (row.rate !== undefined) return row;
  if (was === undefined || seconds <= 0 || seconds > 60) return row;
  return { ...row, rate: Math.max(0, row.handled - was.handled) / seconds };
}
