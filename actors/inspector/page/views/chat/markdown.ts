/**
 * The part of Markdown that models write, as a tree. It is shown as text nodes alone: nothing of an
 * answer ever becomes markup. Headings, paragraphs, lists, quotes, fences, rules, tables; strong,
 * emphasis, code, links to http(s).
 */
export type Inline =
  | { readonly kind: "text" | "code"; readonly text: string }
  | { readonly kind: "strong" | "em"; readonly inside: readonly Inline[] }
  | { readonly kind: "link"; readonly href: string; readonly inside: readonly Inline[] };

export type Block =
  | { readonly kind: "heading"; readonly level: number; readonly inside: readonly Inline[] }
  | { readonly kind: "paragraph"; readonly inside: readonly Inline[] }
  | { readonly kind: "code"; readonly language: string; readonly text: string }
  | { readonly kind: "quote"; readonly inside: readonly Block[] }
  | {
      readonly kind: "list";
      /** undefined: bullets. */
      readonly start: number | undefined;
      readonly items: readonly (readonly Block[])[];
    }
  | {
      readonly kind: "table";
      readonly head: readonly (readonly Inline[])[];
      readonly rows: readonly (readonly (readonly Inline[])[])[];
    }
  | { readonly kind: "rule" };

const FENCE = /^ {0,3}(```+|~~~+)\s*([^`]*?)\s*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$/;
const QUOTE = /^ {0,3}>\s?(.*)$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:\s+(.*)|\s*)$/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
/** Quotes and lists inside of each other; deeper ones are text. */
const DEPTH_LIMIT = 8;

export function markdown(text: string): readonly Block[] {
  return blocksOf(text.split(/\r?\n/), 0);
}

type Taken = { readonly block: Block; readonly next: number };

function blocksOf(lines: readonly string[], depth: number): readonly Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    if (line.trim() === "") {
      at += 1;
      continue;
    }
    const taken = blockAt(lines, at, depth) ?? paragraphAt(lines, at, depth);
    blocks.push(taken.block);
    at = taken.next;
  }
  return blocks;
}

function blockAt(lines: readonly string[], at: number, depth: number): Taken | undefined {
  const line = lines[at] ?? "";
  const heading = HEADING.exec(line);
  if (heading !== null) {
    const [, marks = "", text = ""] = heading;
    return {
      block: { kind: "heading", level: marks.length, inside: inlineOf(text) },
      next: at + 1,
    };
  }
  if (FENCE.test(line)) return fenceAt(lines, at);
  if (RULE.test(line)) return { block: { kind: "rule" }, next: at + 1 };
  if (depth < DEPTH_LIMIT && QUOTE.test(line)) return quoteAt(lines, at, depth);
  if (depth < DEPTH_LIMIT && ITEM.test(line)) return listAt(lines, at, depth);
  if (isTableAt(lines, at)) return tableAt(lines, at);
  return undefined;
}

/** One that is not closed yet goes on to the end, as an answer comes line by line. */
function fenceAt(lines: readonly string[], at: number): Taken {
  const [, marks = "```", language = ""] = FENCE.exec(lines[at] ?? "") ?? [];
  const isEnd = (line: string) =>
    line.trim().startsWith(marks) && line.trim().replaceAll(marks.charAt(0), "") === "";
  const found = lines.findIndex((line, index) => index > at && isEnd(line));
  const end = found < 0 ? lines.length : found;
  const text = lines.slice(at + 1, end).join("\n");
  return { block: { kind: "code", language, text }, next: end + 1 };
}

function quoteAt(lines: readonly string[], at: number, depth: number): Taken {
  const inside: string[] = [];
  let next = at;
  for (; next < lines.length; next += 1) {
    const match = QUOTE.exec(lines[next] ?? "");
    if (match === null) break;
    inside.push(match[1] ?? "");
  }
  return { block: { kind: "quote", inside: blocksOf(inside, depth + 1) }, next };
}

function listAt(lines: readonly string[], at: number, depth: number): Taken {
  const first = ITEM.exec(lines[at] ?? "");
  const mark = first?.[2] ?? "-";
  const ordered = /\d/.test(mark);
  const items: string[][] = [];
  let width = 2;
  let next = at;
  for (; next < lines.length; next += 1) {
    const line = lines[next] ?? "";
    const match = ITEM.exec(line);
    const indent = line.length - line.trimStart().length;
    const isInside = items.length > 0 && indent >= Math.min(width, 2);
    if (match !== null && !isInside && /\d/.test(match[2] ?? "") === ordered) {
      width = (match[1] ?? "").length + (match[2] ?? "").length + 1;
      items.push([match[3] ?? ""]);
    } else if (line.trim() === "") {
      // A blank line ends the list unless it goes on behind it.
      const after = lines.slice(next).find((each) => each.trim() !== "") ?? "";
      const goesOn = /^\s{2,}/.test(after) || ITEM.test(after);
      if (!goesOn) break;
      items.at(-1)?.push("");
    } else if (isInside) {
      items.at(-1)?.push(line.slice(Math.min(indent, width)));
    } else if (match !== null || blockStarts(line) || lines[next - 1]?.trim() === "") {
      break;
    } else {
      items.at(-1)?.push(line);
    }
  }
  const start = ordered ? Number.parseInt(mark, 10) : undefined;
  const inside = items.map((item) => blocksOf(item, depth + 1));
  return { block: { kind: "list", start, items: inside }, next };
}

const blockStarts = (line: string): boolean =>
  HEADING.test(line) || FENCE.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

const cellsOf = (line: string): string[] =>
  line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));

function isTableAt(lines: readonly string[], at: number): boolean {
  const head = lines[at] ?? "";
  const rule = lines[at + 1] ?? "";
  if (!head.includes("|") || !rule.includes("-") || !TABLE_RULE.test(rule)) return false;
  return cellsOf(head).length === cellsOf(rule).length;
}

function tableAt(lines: readonly string[], at: number): Taken {
  const head = cellsOf(lines[at] ?? "");
  const rows: string[][] = [];
  let next = at + 2;
  for (; next < lines.length && (lines[next] ?? "").includes("|"); next += 1) {
    const cells = cellsOf(lines[next] ?? "");
    rows.push([...cells, ...head.slice(cells.length).map(() => "")]);
  }
  const block = {
    kind: "table",
    head: head.map(inlineOf),
    rows: rows.map((row) => row.map(inlineOf)),
  } as const;
  return { block, next };
}

function paragraphAt(lines: readonly string[], at: number, depth: number): Taken {
  let next = at + 1;
  const goesOn = (line: string) =>
    line.trim() !== "" && (depth >= DEPTH_LIMIT || !blockStarts(line)) && !isTableAt(lines, next);
  while (next < lines.length && goesOn(lines[next] ?? "")) next += 1;
  const text = lines.slice(at, next).join("\n");
  return { block: { kind: "paragraph", inside: inlineOf(text) }, next };
}

/** What may begin something; the text between is taken as it is. */
const INLINE =
  /(`+)([\s\S]*?[^`])\1(?!`)|\*\*(?=\S)([\s\S]*?\S)\*\*(?!\*)|__(?=\S)([\s\S]*?\S)__(?!\w)|\*(?=[^\s*])([\s\S]*?[^\s*])\*(?!\*)|(?<!\w)_(?=[^\s_])([\s\S]*?[^\s_])_(?!\w)|\[([^[\]]+)\]\((https?:\/\/[^\s()<>]+)\)|(https?:\/\/[^\s<>()[\]`*]+[^\s<>()[\]`*.,;:!?'"])|\\([\\`*_{}[\]()#+\-.!|>~])/;

/** Longer texts without a blank line are no prose, and to look for marks in them takes long. */
const INLINE_CHARS = 8_192;

export function inlineOf(text: string): readonly Inline[] {
  if (text.length > INLINE_CHARS) return [{ kind: "text", text }];
  const inside: Inline[] = [];
  let rest = text;
  for (;;) {
    const match = INLINE.exec(rest);
    if (match === null) break;
    pushText(inside, rest.slice(0, match.index));
    const found = inlineFor(match);
    if (found.kind === "text") pushText(inside, found.text);
    else inside.push(found);
    rest = rest.slice(match.index + match[0].length);
  }
  pushText(inside, rest);
  return inside;
}

function inlineFor(match: RegExpExecArray): Inline {
  const [, , code, strong, also_strong, em, also_em, label, href, plain_href, escaped] = match;
  if (code !== undefined) return { kind: "code", text: code.replace(/^ (.*) $/s, "$1") };
  const heavy = strong ?? also_strong;
  if (heavy !== undefined) return { kind: "strong", inside: inlineOf(heavy) };
  const light = em ?? also_em;
  if (light !== undefined) return { kind: "em", inside: inlineOf(light) };
  if (href !== undefined) return { kind: "link", href, inside: inlineOf(label ?? href) };
  if (plain_href === undefined) return { kind: "text", text: escaped ?? match[0] };
  const inside = [{ kind: "text", text: plain_href }] as const;
  return { kind: "link", href: plain_href, inside };
}

function pushText(inside: Inline[], text: string): void {
  if (text === "") return;
  const last = inside.at(-1);
  if (last?.kind === "text") inside[inside.length - 1] = { kind: "text", text: last.text + text };
  else inside.push({ kind: "text", text });
}
