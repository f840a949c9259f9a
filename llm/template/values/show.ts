/** `str()` and `repr()` of values. */
import { takeSteps } from "../budget.ts";
import { isNumeric, numberText } from "./numbers.ts";
import {
  Callable,
  Dict,
  entriesOf,
  isPlainObject,
  Namespace,
  Range,
  Special,
  Tuple,
  typeName,
  View,
} from "./values.ts";

/** The text of `{{ value }}`. */
export function show(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === undefined) return "";
  return repr(value);
}

export function repr(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (value === null) return "None";
  if (value === undefined) return "Undefined";
  if (isNumeric(value)) return numberText(value);
  if (value instanceof Tuple) {
    return value.length === 1 ? `(${repr(value[0])},)` : `(${value.map(repr).join(", ")})`;
  }
  if (Array.isArray(value)) {
    takeSteps(value.length);
    return `[${value.map(repr).join(", ")}]`;
  }
  if (isPlainObject(value) || value instanceof Dict) return fieldsText(entriesOf(value));
  if (value instanceof Range) {
    const step = value.step === 1 ? "" : `, ${value.step}`;
    return `range(${value.start}, ${value.stop}${step})`;
  }
  if (value instanceof View) return `${value.type}([${value.items.map(repr).join(", ")}])`;
  if (value instanceof Namespace) return `<Namespace ${fieldsText([...value.fields])}>`;
  if (value instanceof Callable && value.type === "Macro") return `<Macro '${value.name}'>`;
  return `<${value instanceof Special ? value.type : typeName(value)} object>`;
}

const fieldsText = (entries: readonly (readonly [unknown, unknown])[]): string =>
  `{${entries.map(([key, item]) => `${repr(key)}: ${repr(item)}`).join(", ")}}`;

/** Characters that Python escapes when it prints a text. */
const HIDDEN = /[\\\p{C}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/gu;
const short: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

function quoted(text: string): string {
  const double = text.includes("'") && !text.includes('"');
  const shown = text.replace(HIDDEN, escaped);
  return double ? `"${shown}"` : `'${shown.replaceAll("'", "\\'")}'`;
}

function escaped(char: string): string {
  const known = short[char];
  if (known !== undefined) return known;
  const code = char.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
