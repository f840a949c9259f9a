/** A constraint as the structural tag that xgrammar compiles. */
import { type Constraint, type ConstraintFormat, partsOf } from "./constraint.ts";
import { jsonGrammar } from "./json-grammar.ts";
import { numberMarks, type StringLimit } from "./schema/counted.ts";

const ANY: ConstraintFormat = { type: "any_text" };

export type StructuralTag = {
  /** JSON of `{"type": "structural_tag", "format": …}`. */
  readonly text: string;
  /** What its marks stand for, by number (`schema/counted.ts`). */
  readonly limits: readonly StringLimit[];
};

/** Undefined: any text. Throws SchemaError and GrammarSizeError. */
export function structuralTag({ format, thinking }: Constraint): StructuralTag | undefined {
  if (format === undefined) return undefined;
  const limits: StringLimit[] = [];
  const inner = written(format, limits, false);
  const whole: ConstraintFormat =
    thinking === undefined
      ? inner
      : {
          type: "sequence",
          elements: [{ type: "tag", begin: "", content: ANY, end: thinking.end }, inner],
        };
  return { text: JSON.stringify({ type: "structural_tag", format: whole }), limits };
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
function written(
  format: ConstraintFormat,
  limits: StringLimit[],
  unrolled: boolean,
): ConstraintFormat {
  switch (format.type) {
    case "json_schema": {
      const grammar = jsonGrammar(format.json_schema, { unheld: "refuse", unrolled });
      return { type: "grammar", grammar: numberMarks(grammar, limits) };
    }
    case "grammar":
      return { type: "grammar", grammar: numberMarks(format.grammar, limits) };
    case "sequence":
      return {
        ...format,
        elements: format.elements.map((each) => written(each, limits, unrolled)),
      };
    case "or":
      return { ...format, elements: format.elements.map((each) => written(each, limits, true)) };
    case "tag":
      return { ...format, content: written(format.content, limits, unrolled) };
    case "triggered_tags":
    case "tags_with_separator":
      return {
        ...format,
        tags: format.tags.map((tag) => written(tag, limits, unrolled) as typeof tag),
      };
    default:
      return format;
  }
}
