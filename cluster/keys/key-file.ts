/**
 * The text of --api-key-file → keys and what they may do. Two forms: one key a line, or YAML (JSON
 * too) with a record a key, known by the file's name (.yaml, .yml, .json) or its beginning.
 */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from "yaml";
import { type KeyRule, keyHash, plainKey } from "../../actors/frontend/settings.ts";
import { checkKeys } from "../settings/key-settings.ts";
import { nearestName } from "../settings/nearest-name.ts";
import { SettingsError } from "../settings/settings-error.ts";
import { type RecordPart, recordParts } from "./record-parts.ts";

export type KeyFile = {
  /** As they stand in a file of lines; a file of records has none. */
  readonly lines: readonly string[];
  readonly rules: readonly KeyRule[];
};

const FLAG = "--api-key-file";
const KEYS_MOST = 4_096;
const MODELS_MOST = 1_024;
const NAME = /^[\w.-]{1,64}$/;
const HASHED = /^sha256:[\da-f]{64}$/i;

/** Throws SettingsError that names file and line, and never shows a key. */
export function readKeyFile(text: string, path: string): KeyFile {
  const steps = keyFileSteps(text, path);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same in parts of a few milliseconds, a pause behind each. Rejects with SettingsError. */
export async function readKeyFileInParts(
  text: string,
  path: string,
  pause: () => Promise<void>,
): Promise<KeyFile> {
  const steps = keyFileSteps(text, path);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await pause();
  }
}

function* keyFileSteps(text: string, path: string): Generator<void, KeyFile> {
  const file = isRecords(text, path) ? yield* readRecords(text, path) : readLines(text);
  if (file.rules.length === 0) {
    throw new SettingsError(
      `${FLAG}: there is no key in ${path}: write one a line, or leave the flag out`,
    );
  }
  return file;
}

const isRecords = (text: string, path: string): boolean =>
  /\.(ya?ml|json)$/i.test(path) ||
  /^\uFEFF?(?:\s*(?:#[^\n]*)?\n)*\s*(?:\{|\[|keys:|-\s)/.test(text);

/** Blank lines and lines that begin with # count for nothing. */
function readLines(text: string): KeyFile {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  return { lines, rules: checkKeys(lines, FLAG).map(plainKey) };
}

type Record = YAMLMap<Node, Node | null>;

function* readRecords(text: string, path: string): Generator<void, KeyFile> {
  const names = new Set<string>();
  const hashes = new Set<string>();
  const rules: KeyRule[] = [];
  for (const part of recordParts(text)) {
    yield;
    const { items, says } = itemsIn(part, path);
    for (const item of items) {
      if (!isMap<Node, Node | null>(item))
        throw says(item, "each key is a record with name and key");
      const rule = readRule(item, says);
      if (names.has(rule.name)) throw says(item, `the name ${rule.name} is there twice`);
      if (hashes.has(rule.hash)) throw says(item, `the key of ${rule.name} is there twice`);
      names.add(rule.name);
      hashes.add(rule.hash);
      rules.push(rule);
    }
    if (rules.length > KEYS_MOST) throw says(items[0], `at most ${KEYS_MOST} keys are possible`);
  }
  return { lines: [], rules };
}

function itemsIn({ text, lines_before }: RecordPart, path: string) {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter });
  const at = (offset: number) => `${FLAG}: ${path}:${lines_before + counter.linePos(offset).line}`;
  const [wrong] = document.errors;
  if (wrong !== undefined) {
    throw new SettingsError(`${at(wrong.pos[0])}: ${wrong.message.split(" at line ")[0]}`);
  }
  const says: Says = (node, what) => new SettingsError(`${at(node?.range?.[0] ?? 0)}: ${what}`);
  const top = document.contents;
  const list = isMap<Node, Node | null>(top) ? top.get("keys", true) : top;
  if (isMap<Node, Node | null>(top)) {
    const other = top.items.find(({ key }) => scalarOf(key) !== "keys");
    if (other !== undefined) {
      throw says(other.key, `unknown name ${shown(other.key)}; the file has one: keys`);
    }
  }
  if (!isSeq<Node>(list)) throw says(top, "give a list of keys: `keys:` and `- name: …` below it");
  return { items: list.items, says };
}

const LIMITS = [
  "requests_per_minute",
  "tokens_per_minute",
  "requests_at_once",
  "tokens_per_day",
] as const;
const FIELDS = ["name", "key", "models", ...LIMITS, "policy_class", "strict_priority"] as const;
/** What 32 bits and a double hold exactly. */
const MOST = { requests: 1_000_000_000, tokens: 1_000_000_000_000, priority: 1_000_000 } as const;

type Says = (node: Node | null | undefined, what: string) => SettingsError;

function readRule(item: Record, says: Says): KeyRule {
  for (const { key, value } of item.items) {
    const name = scalarOf(key) ?? "";
    if (FIELDS.some((field) => field === name)) {
      // A blank is no rule, and a key without rules may do everything.
      const isBlank = value === null || (isScalar(value) && value.value === null);
      if (isBlank) throw says(key, `${name} has no value: give one, or leave the line out`);
      continue;
    }
    const near = nearestName(name, FIELDS);
    const meant =
      near === undefined ? `it is one of ${FIELDS.join(", ")}` : `did you mean ${near}?`;
    throw says(key, `unknown field ${shown(key)}; ${meant}`);
  }
  const node = (field: (typeof FIELDS)[number]) => item.get(field, true) as Node | undefined;
  const name = scalarOf(node("name"));
  if (name === undefined || !NAME.test(name)) {
    throw says(node("name") ?? item, "name: 1 to 64 letters, digits and ._- are needed");
  }
  const key = scalarOf(node("key"));
  if (key === undefined)
    throw says(node("key") ?? item, `${name} needs its key, or sha256: and its hash`);
  if (/^sha256:/i.test(key) && !HASHED.test(key)) {
    throw says(node("key"), `the hash of ${name} has 64 hex digits; \`bun run key\` writes one`);
  }
  try {
    checkKeys([key], "key");
  } catch (error) {
    throw says(node("key"), error instanceof Error ? error.message : String(error));
  }
  const whole = (field: (typeof FIELDS)[number], least: number, most: number) =>
    wholeOf(node(field), field, least, most, says);
  const limits = {
    requests_per_minute: whole("requests_per_minute", 1, MOST.requests) ?? 0,
    tokens_per_minute: whole("tokens_per_minute", 1, MOST.tokens) ?? 0,
    requests_at_once: whole("requests_at_once", 1, MOST.requests) ?? 0,
    tokens_per_day: whole("tokens_per_day", 1, MOST.tokens) ?? 0,
  };
  const models = modelsOf(node("models"), says);
  const policy_class = scalarOf(node("policy_class"));
  if (policy_class === undefined && node("policy_class") !== undefined) {
    throw says(node("policy_class"), "policy_class: the name of one class is needed");
  }
  const strict_priority = whole("strict_priority", -MOST.priority, MOST.priority);
  return {
    name,
    hash: keyHash(key),
    ...(models === undefined ? {} : { models }),
    ...(LIMITS.every((limit) => limits[limit] === 0) ? {} : { limits }),
    ...(policy_class === undefined ? {} : { policy_class }),
    ...(strict_priority === undefined ? {} : { strict_priority }),
  };
}

function wholeOf(
  node: Node | undefined,
  field: string,
  least: number,
  most: number,
  says: Says,
): number | undefined {
  if (node === undefined) return undefined;
  const number = Number((scalarOf(node) ?? "").replaceAll("_", "") || Number.NaN);
  if (Number.isInteger(number) && number >= least && number <= most) return number;
  throw says(node, `${field}: a whole number from ${least} to ${most} is needed`);
}

function modelsOf(node: Node | undefined, says: Says): readonly string[] | undefined {
  if (node === undefined) return undefined;
  const names = isSeq<Node>(node) ? node.items.map(scalarOf) : [scalarOf(node)];
  const good = names.filter((name): name is string => name !== undefined && name !== "");
  if (good.length === names.length && good.length > 0 && good.length <= MODELS_MOST) return good;
  throw says(node, "models: a list of names is needed, in which * stands for any part of a name");
}

/** The text as it is written: a key 0123 is not the number 123. */
function scalarOf(node: unknown): string | undefined {
  if (!isScalar(node) || node.value === null) return undefined;
  return node.source ?? String(node.value);
}

const shown = (node: unknown): string => `"${(scalarOf(node) ?? "?").slice(0, 64)}"`;
