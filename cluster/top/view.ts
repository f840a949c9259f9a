/** What a person looks at, and what each key does to it. Pure. */
import type { Key } from "./keys.ts";
import { byRole, type Listed, listing, type RoleRow, type Sort, sorts } from "./listing.ts";
import type { Rows, Totals } from "./row.ts";

export type Link =
  | { readonly kind: "live" | "polling" }
  /** The inspector does not answer now; why. */
  | { readonly kind: "away"; readonly why: string };

export type View = {
  readonly url: string;
  readonly link: Link;
  readonly rows: Rows;
  readonly totals: Totals | undefined;
  /** What planners decide, in words; empty: there is none. */
  readonly planner: string;
  readonly sort: Sort;
  readonly filter: string;
  /** The filter is being typed. */
  readonly typing: boolean;
  /** A line a role instead of the tree. */
  readonly roles: boolean;
  readonly folded: ReadonlySet<string>;
  /** Row that is marked, and how many lines are above the first one shown. */
  readonly marked: number;
  readonly above: number;
};

export const firstView = (url: string): View => ({
  url,
  link: { kind: "away", why: "connecting" },
  rows: new Map(),
  ...{ totals: undefined, planner: "" },
  ...{ sort: "tree", filter: "", typing: false, roles: false, folded: new Set() },
  ...{ marked: 0, above: 0 },
});

export const linesOf = (view: View): readonly Listed[] => listing(view.rows, view);
export const rolesOf = (view: View): readonly RoleRow[] => byRole(view.rows, view.filter);

const FILTER_CHARS_MAX = 128;

/** @param height lines for rows; undefined: leave */
export function pressed(view: View, key: Key, height: number): View | undefined {
  if (key === "ctrl-c") return undefined;
  if (view.typing) return typed(view, key);
  const count = view.roles ? rolesOf(view).length : linesOf(view).length;
  const move = (by: number) => scrolled({ ...view, marked: view.marked + by }, count, height);
  switch (key) {
    case "q":
      return undefined;
    case "up":
    case "k":
      return move(-1);
    case "down":
    case "j":
      return move(1);
    case "page-up":
      return move(-height);
    case "page-down":
      return move(height);
    case "home":
    case "g":
      return move(-count);
    case "end":
    case "G":
      return move(count);
    case "left":
      return folded(view, true, height);
    case "right":
      return folded(view, false, height);
    case "/":
      return { ...view, typing: true };
    case "escape":
      return top({ ...view, filter: "" });
    case "s": {
      const next = sorts[(sorts.indexOf(view.sort) + 1) % sorts.length];
      return top({ ...view, sort: next ?? "tree", roles: false });
    }
    case "r":
      return top({ ...view, roles: !view.roles });
    default:
      return view;
  }
}

const top = (view: View): View => ({ ...view, marked: 0, above: 0 });

function typed(view: View, key: Key): View {
  switch (key) {
    case "enter":
      return { ...view, typing: false };
    case "escape":
      return top({ ...view, typing: false, filter: "" });
    case "backspace":
      return top({ ...view, filter: [...view.filter].slice(0, -1).join("") });
    default: {
      const isText = [...key].length === 1 && view.filter.length < FILTER_CHARS_MAX;
      return isText ? top({ ...view, filter: view.filter + key }) : view;
    }
  }
}

function folded(view: View, fold: boolean, height: number): View {
  const lines = linesOf(view);
  const row = lines[view.marked]?.row;
  if (row === undefined || view.roles || view.sort !== "tree") return view;
  const isOpen = row.children.length > 0 && !view.folded.has(row.id);
  if (fold && !isOpen) {
    // As in a file manager: a leaf leads to its parent.
    const parent = lines.findIndex(({ row: { children } }) => children.includes(row.id));
    return parent < 0 ? view : scrolled({ ...view, marked: parent }, lines.length, height);
  }
  const next = new Set(view.folded);
  if (fold) next.add(row.id);
  else next.delete(row.id);
  return { ...view, folded: next };
}

/** Keeps the mark on a row, and the row on the screen. */
export function scrolled(view: View, count: number, height: number): View {
  const marked = Math.max(0, Math.min(view.marked, count - 1));
  const lowest = Math.max(0, count - height);
  const above = Math.max(marked - height + 1, Math.min(view.above, marked));
  return { ...view, marked, above: Math.max(0, Math.min(above, lowest)) };
}
