/** The filter `pprint`: Python's `pformat`, 80 columns wide, keys in order. */
import { compare } from "./operators.ts";
import { repr } from "./show.ts";
import { Dict, entriesOf, isMapping, Tuple, typeName } from "./values.ts";

const WIDTH = 80;

export function pretty(value: unknown): string {
  return layOut(value, 0, 0);
}

/** `indent`: the column it begins at; `behind`: characters that follow its last line. */
function layOut(value: unknown, indent: number, behind: number): string {
  const whole = repr(ordered(value));
  if (whole.length <= WIDTH - indent - behind) return whole;
  if (isMapping(value)) {
    const entries = sortedEntries(value);
    const lines = entries.map(([key, item], i) => {
      const name = `${repr(key)}: `;
      const last = i === entries.length - 1;
      return name + layOut(item, indent + 1 + name.length, last ? behind + 1 : 1);
    });
    return `{${lines.join(`,\n${" ".repeat(indent + 1)}`)}}`;
  }
  if (!Array.isArray(value) || value.length === 0) return whole;
  const [open, close] = value instanceof Tuple ? ["(", ")"] : ["[", "]"];
  const lines = [...value].map((item, i) =>
    layOut(item, indent + 1, i === value.length - 1 ? behind + 1 : 1),
  );
  return `${open}${lines.join(`,\n${" ".repeat(indent + 1)}`)}${close}`;
}

function sortedEntries(value: Parameters<typeof entriesOf>[0]) {
  return [...entriesOf(value)].sort(([a], [b]) =>
    typeName(a) === typeName(b) ? compare(a, b) : compare(typeName(a), typeName(b)),
  );
}

function ordered(value: unknown): unknown {
  if (isMapping(value)) {
    return Dict.from(sortedEntries(value).map(([key, item]) => [key, ordered(item)]));
  }
  if (value instanceof Tuple) return Tuple.fromList([...value].map(ordered));
  return Array.isArray(value) ? value.map(ordered) : value;
}
