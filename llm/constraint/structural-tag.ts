/** A constraint as the structural tag that xgrammar compiles. */
import { type Constraint, type ConstraintFormat, partsOf } from "./constraint.ts";
import { jsonGrammar } from "./json-grammar.ts";

const ANY: ConstraintFormat = { type: "any_text" };

/** JSON of `{"type": "structural_tag", "format": …}`; undefined: any text. Throws SchemaError. */
export function structuralTag({ format, thinking }: Constraint): string | undefined {
  if (format === undefined) return undefined;
  const whole: ConstraintFormat =
    thinking === undefined
      ? written(format)
      : {
          type: "sequence",
          elements: [{ type: "tag", begin: "", content: ANY, end: thinking.end }, written(format)],
        };
  return JSON.stringify({ type: "structural_tag", format: whole });
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

/** Schemas become grammars by our rules, which hold more of JSON Schema than the library's. */
function written(format: ConstraintFormat): ConstraintFormat {
  switch (format.type) {
    case "json_schema":
      return { type: "grammar", grammar: jsonGrammar(format.json_schema, { unheld: "refuse" }) };
    case "sequence":
    case "or":
      return { ...format, elements: format.elements.map(written) };
    case "tag":
      return { ...format, content: written(format.content) };
    case "triggered_tags":
    case "tags_with_separator":
      return { ...format, tags: format.tags.map((tag) => written(tag) as typeof tag) };
    default:
      return format;
  }
}
