/** A configuration's text as keys and values, and a value as people are shown it in one line. */
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";

export class PlannerConfigError extends Error {
  readonly code = "bad_planner_config";
}

/** Of a file that is read as a configuration: one with all keys is a tenth of it. */
export const CONFIG_MAX_BYTES = 64 << 10;

const SHOWN_MAX = 60;

/** The keys of YAML or JSON text; of an empty one there are none. Throws PlannerConfigError. */
export function parsedConfig(text: string): Readonly<Record<string, unknown>> {
  const value = parsed(text) ?? {};
  if (isKeys(value)) return value;
  throw new PlannerConfigError("planner: the configuration must be keys with values, one a line");
}

function parsed(text: string): unknown {
  try {
    // A tag that YAML does not know is a text, which its key refuses. Whether keys are unique is
    // looked at here: the library compares each with all before it.
    // Where each error is costs more than the rest: it is looked up for the first alone.
    const lineCounter = new LineCounter();
    const options = { uniqueKeys: false, logLevel: "error", prettyErrors: false } as const;
    const document = parseDocument(text, { ...options, lineCounter });
    const [wrong] = document.errors;
    if (wrong !== undefined) {
      const { line, col } = lineCounter.linePos(wrong.pos[0]);
      const what = /call stack/.test(wrong.message) ? "it is nested too deeply" : wrong.message;
      throw new Error(`${what} at line ${line}, column ${col}`);
    }
    const twice = keyTwice(document.contents);
    if (twice !== undefined) throw new Error(`the key ${shownKey(twice)} is there twice`);
    return document.toJS();
  } catch (error) {
    // Not only YAMLParseError: aliases without an anchor, or too many of them, are another kind.
    const [line = ""] = error instanceof Error ? error.message.split("\n") : [];
    throw new PlannerConfigError(
      `planner: this is neither JSON nor YAML: ${cut(line, 3 * SHOWN_MAX)}`,
    );
  }
}

function keyTwice(contents: unknown): string | undefined {
  if (!isMap(contents)) return undefined;
  const seen = new Set<string>();
  for (const { key } of contents.items) {
    const name = isScalar(key) ? `${key.value}` : "";
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

/** YAML has sets, ordered maps, times and bytes as well, whose keys would look like none. */
function isKeys(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

/** A value that may hold itself, or be longer than a line. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(cut(value, SHOWN_MAX));
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" && value !== null ? "keys with values" : `${value}`;
}

/** A key as it is written, in one line. */
export const shownKey = (key: string): string =>
  /^[\w.-]+$/.test(key) ? cut(key, SHOWN_MAX) : shown(key);

const cut = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most)}…`;
