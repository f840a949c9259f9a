/** What `bun run top` shows: a view and a size → lines. Pure. */
import { bytes, count, fitted, span } from "./format.ts";
import type { Listed, RoleRow } from "./listing.ts";
import { plain } from "./row.ts";
import { linesOf, rolesOf, scrolled, type View } from "./view.ts";

export type Size = { readonly columns: number; readonly lines: number };
/** Both false: no escape sequences at all. */
export type Style = { readonly color: boolean; readonly marks: boolean };

type Column<T> = {
  readonly title: string;
  readonly width: number;
  readonly text: (of: T) => string;
  readonly align?: "right";
  /** Left out first where there is no room; a higher number goes earlier. */
  readonly spare: number;
};

const orBlank = (value: number, text: (value: number) => string) => (value > 0 ? text(value) : "");

const columns: readonly Column<Listed>[] = [
  { title: "ROLE", width: 10, text: ({ row }) => row.role, spare: 3 },
  { title: "STATE", width: 10, text: ({ row }) => row.state, spare: 0 },
  { title: "QUEUE", width: 5, text: ({ row }) => count(row.mailbox), align: "right", spare: 1 },
  {
    ...{ title: "AGE", width: 5, align: "right", spare: 4 },
    text: ({ row }) => orBlank(row.oldest_ms, span),
  },
  {
    ...{ title: "MSG/S", width: 6, align: "right", spare: 1 },
    text: ({ row }) => orBlank(row.rate, count),
  },
  {
    ...{ title: "MS", width: 5, align: "right", spare: 5 },
    text: ({ row }) => orBlank(row.ms_per_message, (ms) => (ms < 10 ? ms.toFixed(2) : count(ms))),
  },
  {
    ...{ title: "RST", width: 3, align: "right", spare: 2 },
    text: ({ row }) => orBlank(row.restarts, count),
  },
  {
    ...{ title: "MEM", width: 5, align: "right", spare: 2 },
    text: ({ row }) => orBlank(row.resident_bytes, bytes),
  },
];

const roleColumns: readonly Column<RoleRow>[] = [
  { title: "COUNT", width: 7, align: "right", spare: 0, text: (row) => count(row.count) },
  { title: "QUEUE", width: 7, align: "right", spare: 1, text: (row) => count(row.mailbox) },
  {
    ...{ title: "AGE", width: 6, align: "right", spare: 3 },
    text: (row) => orBlank(row.oldest_ms, span),
  },
  { title: "MSG/S", width: 8, align: "right", spare: 0, text: (row) => orBlank(row.rate, count) },
  {
    ...{ title: "RST", width: 5, align: "right", spare: 2 },
    text: (row) => orBlank(row.restarts, count),
  },
  {
    ...{ title: "MEM", width: 7, align: "right", spare: 2 },
    text: (row) => orBlank(row.resident_bytes, bytes),
  },
];

const NAME_WIDTH_MIN = 18;
/** From this width on roles are shown whole. */
const WIDE_COLUMNS = 100;
const ROLE_WIDTH = 16;

const columnsFor = (width: number): readonly Column<Listed>[] =>
  width < WIDE_COLUMNS
    ? columns
    : columns.map((column) =>
        column.title === "ROLE" ? { ...column, width: ROLE_WIDTH } : column,
      );

/** Of the columns, those for which there is room beside the name. */
function fitting<T>(all: readonly Column<T>[], width: number): readonly Column<T>[] {
  let kept = all;
  const wide = () => kept.reduce((sum, column) => sum + column.width + 1, NAME_WIDTH_MIN);
  while (kept.length > 0 && wide() > width) {
    const most = Math.max(...kept.map(({ spare }) => spare));
    const at = kept.findLastIndex(({ spare }) => spare === most);
    kept = kept.toSpliced(at, 1);
  }
  return kept;
}

const HEAD_LINES = 3;
const FOOT_LINES = 1;

/** Lines for rows on a screen of this size. */
export const rowsIn = ({ lines }: Size): number => Math.max(1, lines - HEAD_LINES - FOOT_LINES);

/** Exactly as many lines as the screen has, each as wide. */
export function frameOf(view: View, size: Size, style: Style): string[] {
  const width = size.columns;
  const height = rowsIn(size);
  const table = tableOf(view, width, style, height);
  const body = [...table.rows, ...new Array(height).fill("".padEnd(width))].slice(0, height);
  const head = [titleOf(view, width), totalsOf(view, width), table.title];
  const painted = [
    paint(head[0] ?? "", "bold", style),
    head[1] ?? "",
    paint(head[2] ?? "", "reverse", style),
  ];
  return [...painted, ...body, paint(footOf(view, width), "dim", style)].slice(0, size.lines);
}

/** The whole table, for a script: as many lines as it takes. */
export function printed(view: View, width: number, style: Style): string[] {
  const { title, rows } = tableOf(view, width, { ...style, marks: false }, undefined);
  const lines = [titleOf(view, width), totalsOf(view, width), title, ...rows];
  return lines.map((line) => line.trimEnd());
}

function tableOf(view: View, width: number, style: Style, height: number | undefined) {
  if (view.roles) {
    const rows = rolesOf(view);
    const name = { title: "ROLE", text: (row: RoleRow) => row.role };
    return tableWith(rows, fitting(roleColumns, width), name, () => undefined, view, {
      ...{ width, style, height },
    });
  }
  const name = { title: `NAME${view.sort === "tree" ? "" : ` by ${view.sort}`}`, text: nameOf };
  const hue = ({ row }: Listed) => hueOf(row.state);
  return tableWith(linesOf(view), fitting(columnsFor(width), width), name, hue, view, {
    ...{ width, style, height },
  });
}

function nameOf({ row, depth, hidden }: Listed): string {
  const last = row.path.slice(row.path.lastIndexOf("/") + 1);
  // A flat list has no parents above it, so each name is whole.
  const name = depth === 0 ? plain(row.id) : last;
  const pid = row.kind === "process" && row.pid > 0 ? ` ${row.pid}` : "";
  const more = hidden > 0 ? ` +${count(hidden)}` : "";
  return `${"  ".repeat(Math.min(depth, 12))}${name}${pid}${more}`;
}

type Painted = {
  readonly width: number;
  readonly style: Style;
  readonly height: number | undefined;
};

function tableWith<T>(
  all: readonly T[],
  shown: readonly Column<T>[],
  name: { readonly title: string; readonly text: (of: T) => string },
  hue: (of: T) => Hue | undefined,
  view: View,
  { width, style, height }: Painted,
): { readonly title: string; readonly rows: readonly string[] } {
  const rest = shown.reduce((sum, column) => sum + column.width + 1, 0);
  const name_width = Math.max(1, width - rest - 1);
  const line = (mark: string, first: string, texts: readonly string[]) => {
    const cells = shown.map((column, i) => fitted(texts[i] ?? "", column.width, column.align));
    return fitted([`${mark}${fitted(first, name_width)}`, ...cells].join(" "), width);
  };
  const { marked, above } = scrolled(view, all.length, height ?? all.length);
  const part = height === undefined ? all : all.slice(above, above + height);
  const rows = part.map((item, i) => {
    const isMarked = style.marks && above + i === marked;
    const texts = shown.map((column) => column.text(item));
    const text = line(isMarked ? ">" : " ", name.text(item), texts);
    return isMarked ? paint(text, "bold", style) : paint(text, hue(item), style);
  });
  return {
    title: line(
      " ",
      name.title,
      shown.map(({ title }) => title),
    ),
    rows,
  };
}

type Hue = "bold" | "dim" | "reverse" | "red" | "yellow";

const codes: Readonly<Record<Hue, number>> = { bold: 1, dim: 2, reverse: 7, red: 31, yellow: 33 };

/** What runs as it should has no colour, so that what does not stands out. */
function hueOf(state: string): Hue | undefined {
  if (["running", "idle"].includes(state)) return undefined;
  return ["starting", "stopping", "suspended", "draining"].includes(state) ? "yellow" : "red";
}

const paint = (text: string, hue: Hue | undefined, { color }: Style): string =>
  color && hue !== undefined ? `\x1b[${codes[hue]}m${text}\x1b[0m` : text;

function titleOf({ url, link, rows }: View, width: number): string {
  const processes = [...rows.values()].filter(({ kind, pid }) => kind === "process" && pid > 0);
  const state = link.kind === "away" ? `no answer: ${link.why}` : link.kind;
  const noun = processes.length === 1 ? "process" : "processes";
  const sizes = `${count(processes.length)} ${noun}, ${count(rows.size)} nodes`;
  return fitted(`troupe top  ${url}  ${state}  ${sizes}`, width);
}

function totalsOf({ totals, planner }: View, width: number): string {
  if (totals === undefined) return fitted(planner, width);
  const pair = (a: number | null, b: number | null) =>
    a === null ? "–" : `${span(a)}/${b === null ? "–" : span(b)}`;
  const { requests_per_s, tokens_per_s, running, waiting } = totals;
  const parts = [
    `${count(requests_per_s)} req/s`,
    `${count(tokens_per_s)} tok/s`,
    `TTFT ${pair(totals.ttft_p50_ms, totals.ttft_p99_ms)}`,
    `ITL ${pair(totals.itl_p50_ms, totals.itl_p99_ms)}`,
    `run ${count(running)} wait ${count(waiting)}`,
    planner,
  ];
  return fitted(parts.join("  "), width);
}

function footOf({ typing, filter }: View, width: number): string {
  if (typing) return fitted(`/${filter}█  Enter keeps it, Esc ends it`, width);
  const found = filter === "" ? "" : `filter «${filter}» (Esc ends it)  `;
  return fitted(`${found}arrows move and fold  / filter  s sort  r roles  q quit`, width);
}
