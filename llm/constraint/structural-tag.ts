/** A constraint as the structural tag that xgrammar compiles. */
import { type Constraint, type ConstraintFormat, type JsonSchema, partsOf } from "./constraint.ts";

const ANY: ConstraintFormat = { type: "any_text" };

/** JSON of `{"type": "structural_tag", "format": …}`; undefined where any text will do. */
export function structuralTag({ format, thinking }: Constraint): string | undefined {
  if (format === undefined) return undefined;
  const whole: ConstraintFormat =
    thinking === undefined
      ? completed(format)
      : {
          type: "sequence",
          elements: [
            { type: "tag", begin: "", content: ANY, end: thinking.end },
            completed(format),
          ],
        };
  return JSON.stringify({ type: "structural_tag", format: whole });
}

/** True: all of it is JSON and texts that are fixed. */
export function isJson(format: ConstraintFormat): boolean {
  const parts = partsOf(format);
  if (parts.length > 0 && format.type !== "triggered_tags") {
    return parts.every(([, part]) => isJson(part));
  }
  return format.type === "json_schema" || format.type === "const_string";
}

/** All texts that a constraint names letter by letter, one a line. */
export function literalsOf({ format, thinking }: Constraint): string {
  const texts: string[] = [];
  if (thinking !== undefined) texts.push(thinking.end);
  const look = (part: ConstraintFormat): void => {
    if (part.type === "const_string") texts.push(part.value);
    if (part.type === "grammar") texts.push(part.grammar);
    if (part.type === "regex") texts.push(part.pattern);
    if (part.type === "tag") texts.push(part.begin, part.end);
    if (part.type === "triggered_tags") texts.push(...part.triggers);
    if (part.type === "tags_with_separator") texts.push(part.separator);
    for (const [, inner] of partsOf(part)) look(inner);
  };
  if (format !== undefined) look(format);
  return texts.join("\n");
}

function completed(format: ConstraintFormat): ConstraintFormat {
  switch (format.type) {
    case "json_schema":
    case "qwen_xml_parameter":
      return { ...format, json_schema: withItems(format.json_schema) as JsonSchema };
    case "sequence":
    case "or":
      return { ...format, elements: format.elements.map(completed) };
    case "tag":
      return { ...format, content: completed(format.content) };
    case "triggered_tags":
    case "tags_with_separator":
      return { ...format, tags: format.tags.map((tag) => completed(tag) as typeof tag) };
    default:
      return format;
  }
}

/** xgrammar takes an array without items for an empty one; JSON Schema takes it for any array. */
function withItems(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withItems);
  if (typeof schema !== "object" || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => {
    return [key, DATA.includes(key) ? value : withItems(value)] as const;
  });
  const made = Object.fromEntries(entries);
  if (made["type"] === "array" && !("items" in made) && !("prefixItems" in made))
    made["items"] = {};
  return made;
}

/** Keywords whose values are no schemas. */
const DATA = ["const", "enum", "default", "examples", "example"];
