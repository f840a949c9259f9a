/** The type of a field in a reader's words. */

type Schema = Readonly<Record<string, unknown>>;

/** One and several of it. */
type Words = readonly [one: string, several: string];

const WORDS: Readonly<Record<string, Words>> = {
  integer: ["whole number", "whole numbers"],
  number: ["number", "numbers"],
  string: ["text", "texts"],
  boolean: ["true or false", "true or false"],
};

/** JSON Schema as `z.toJSONSchema` writes it; null is left out, as it counts as absent. */
export const typeText = (schema: Schema): string => wordsOf(schema)[0];

function wordsOf(schema: Schema): Words {
  const branches = [...listOf(schema["anyOf"]), ...listOf(schema["oneOf"])];
  if (branches.length > 0) return joined(branches.map(wordsOf));
  const values: unknown = "const" in schema ? [schema["const"]] : schema["enum"];
  if (Array.isArray(values)) return same(values.map((value) => JSON.stringify(value)).join(", "));
  const { type } = schema;
  if (Array.isArray(type)) return joined(type.map((one) => wordsOf({ ...schema, type: one })));
  if (type === "array") {
    const [, items] = wordsOf((schema["items"] ?? {}) as Schema);
    return items === "" ? ["list", "lists"] : [`list of ${items}`, `lists of ${items}`];
  }
  if (type === "object") return objectWords(schema);
  return (typeof type === "string" ? WORDS[type] : undefined) ?? same("");
}

function objectWords(schema: Schema): Words {
  const names = Object.keys((schema["properties"] ?? {}) as object);
  if (names.length === 0) return ["object", "objects"];
  return [`object: ${names.join(", ")}`, `objects: ${names.join(", ")}`];
}

function joined(all: readonly Words[]): Words {
  const said = all.filter(([one]) => one !== "");
  const text = (which: 0 | 1) => [...new Set(said.map((words) => words[which]))].join(" or ");
  return [text(0), text(1)];
}

const same = (text: string): Words => [text, text];

const listOf = (value: unknown): readonly Schema[] =>
  Array.isArray(value) ? (value as readonly Schema[]) : [];
