/** The filter `tojson` of chat templates: Python's `json.dumps`, without escapes for HTML. */
import { fail } from "../errors.ts";
import { floatText, isFloat, isNumeric, numberOf, numberText } from "./numbers.ts";
import { compare } from "./operators.ts";
import { entriesOf, isMapping, typeName } from "./values.ts";

export type JsonStyle = {
  /** Indent of one level; undefined: all in one line. */
  readonly indent: string | undefined;
  readonly item_separator: string;
  readonly key_separator: string;
  readonly ascii: boolean;
  readonly sorted: boolean;
};

export const JSON_STYLE: JsonStyle = {
  indent: undefined,
  item_separator: ", ",
  key_separator: ": ",
  ascii: false,
  sorted: false,
};

const DEPTH_MAX = 500;

export function toJson(value: unknown, style: JsonStyle, depth = 0): string {
  if (typeof value === "string") return quoted(value, style.ascii);
  if (value === null) return "null";
  if (typeof value === "boolean") return value ? "true" : "false";
  if (isNumeric(value)) return isFloat(value) ? jsonFloat(numberOf(value)) : numberText(value);
  if (depth > DEPTH_MAX) fail("tojson: lists and mappings are too deep");
  if (Array.isArray(value)) {
    const items: string[] = [];
    for (const item of value) items.push(toJson(item, style, depth + 1));
    return `[${laidOut(items, style, depth)}]`;
  }
  if (!isMapping(value)) {
    return fail(`Object of type ${typeName(value)} is not JSON serializable`);
  }
  const entries = entriesOf(value);
  if (style.sorted) entries.sort(([a], [b]) => compare(a, b));
  const items = entries.map(
    ([key, item]) =>
      quoted(keyText(key), style.ascii) + style.key_separator + toJson(item, style, depth + 1),
  );
  return `{${laidOut(items, style, depth)}}`;
}

const jsonFloat = (value: number): string => {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  return floatText(value);
};

function keyText(key: unknown): string {
  if (typeof key === "string") return key;
  if (key === null) return "null";
  if (typeof key === "boolean") return key ? "true" : "false";
  if (isNumeric(key)) return isFloat(key) ? jsonFloat(numberOf(key)) : numberText(key);
  return fail(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

function laidOut(items: readonly string[], style: JsonStyle, depth: number): string {
  const { indent, item_separator } = style;
  if (indent === undefined || items.length === 0) return items.join(item_separator);
  const base = `\n${indent.repeat(depth)}`;
  const inner = base + indent;
  return inner + items.join(item_separator + inner) + base;
}

/** A half of a surrogate pair stays alone, as in Python. */
const LONE_ESCAPE = /\\ud[89a-f][0-9a-f]{2}/;

function quoted(text: string, ascii: boolean): string {
  const json = JSON.stringify(text);
  if (!ascii) return LONE_ESCAPE.test(json) && !text.isWellFormed() ? keptLone(text) : json;
  const code = (unit: string): string => unit.charCodeAt(0).toString(16).padStart(4, "0");
  return json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${code(unit)}`);
}

function keptLone(text: string): string {
  const parts = text.split(/([\ud800-\udfff]+)/);
  return `"${parts.map((part, i) => (i % 2 === 1 ? part : JSON.stringify(part).slice(1, -1))).join("")}"`;
}
