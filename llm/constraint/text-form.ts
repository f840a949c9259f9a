/** Which form the text of an answer has, and its grammar. */
import { ConstraintError, type ConstraintFormat, readConstraint } from "./constraint.ts";
import { jsonGrammar } from "./json-grammar.ts";
import { parseRegex, RegexError, wholeRegex } from "./schema/regex.ts";
import { regexRules } from "./schema/regex-rules.ts";
import { either, GrammarSizeError, literal, oneOf, RuleBook } from "./schema/rules.ts";
import { SchemaError } from "./schema/schema-limits.ts";
import { ANY_OBJECT_SCHEMA } from "./schema/shape.ts";

export type TextForm =
  | {
      readonly kind: "json";
      readonly schema: unknown;
      readonly strict: boolean;
      /** One of several forms that may stand in its place. */
      readonly unrolled?: boolean;
    }
  | { readonly kind: "object" }
  | { readonly kind: "regex"; readonly pattern: string }
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  /** EBNF whose first rule is `root`. */
  | { readonly kind: "grammar"; readonly grammar: string }
  /** xgrammar's structural tags. */
  | { readonly kind: "tags"; readonly format: unknown };

export const textFormLimits = {
  choices: 2_000,
  /** Characters of all choices, or of a grammar. */
  chars: 65_536,
  /** Of a schema or a tag that comes as JSON text. */
  json_chars: 262_144,
} as const;

/** What is wrong with a form; `path` is where in it, "" for all of it. */
export class TextFormError extends Error {
  override readonly name = "TextFormError";
  readonly path: string;

  constructor(path: string, what: string) {
    super(what);
    this.path = path;
  }
}

export type TextGrammar = {
  readonly format: ConstraintFormat;
  /** White space before it is no fault. */
  readonly spaced: boolean;
};

/** Throws TextFormError. */
export function textGrammar(form: TextForm): TextGrammar {
  try {
    return { format: formatOf(form), spaced: form.kind === "json" || form.kind === "object" };
  } catch (error) {
    if (error instanceof SchemaError) throw new TextFormError(error.path, error.message);
    if (error instanceof RegexError || error instanceof GrammarSizeError) {
      throw new TextFormError("", error.message);
    }
    throw error;
  }
}

const grammar = (text: string): ConstraintFormat => ({ type: "grammar", grammar: text });

function formatOf(form: TextForm): ConstraintFormat {
  switch (form.kind) {
    case "object":
      return grammar(jsonGrammar(ANY_OBJECT_SCHEMA, { unheld: "ignore" }));
    case "json": {
      const unheld = form.strict ? "refuse" : "ignore";
      return grammar(jsonGrammar(form.schema, { unheld, unrolled: form.unrolled }));
    }
    case "regex":
      return grammar(regexGrammar(form.pattern));
    case "choice":
      return grammar(choiceGrammar(form.choices));
    case "grammar":
      return grammar(checkGrammar(form.grammar));
    case "tags":
      return tagsFormat(form.format);
  }
}

/** Fits the whole text, as in vLLM: anchors may stand at its ends. */
function regexGrammar(pattern: string): string {
  const book = new RuleBook();
  const root = regexRules(wholeRegex(parseRegex(pattern), "whole"), oneOf, book);
  if (root === undefined) throw new RegexError("no text fits it");
  return book.text(root);
}

function choiceGrammar(choices: readonly string[]): string {
  if (choices.length === 0) throw new TextFormError("", "it has no choice; name at least one");
  if (choices.length > textFormLimits.choices) {
    throw new TextFormError(
      "",
      `it has ${choices.length} choices; at most ${textFormLimits.choices} are taken`,
    );
  }
  let chars = 0;
  choices.forEach((choice, i) => {
    if (choice === "") throw new TextFormError(`[${i}]`, "it is empty");
    chars += choice.length;
  });
  checkChars(chars);
  return new RuleBook().text(either(choices.map(literal)));
}

function checkChars(chars: number): void {
  if (chars <= textFormLimits.chars) return;
  throw new TextFormError(
    "",
    `it has ${chars} characters; at most ${textFormLimits.chars} are taken`,
  );
}

const ROOT = /^\s*root\s*::=/m;

function checkGrammar(text: string): string {
  checkChars(text.length);
  if (ROOT.test(text)) return text;
  throw new TextFormError("", "it has no rule 'root' (root ::= …); it is read as GBNF (EBNF)");
}

/** Formats with schemas and expressions in them become formats with grammars. */
function tagsFormat(given: unknown): ConstraintFormat {
  let text: string;
  try {
    text = JSON.stringify({ format: given });
    checkChars(text.length);
    const { format } = readConstraint(text);
    if (format === undefined) throw new TextFormError("", "it has no format");
    return lowered(format, "format", false);
  } catch (error) {
    if (error instanceof ConstraintError) {
      const path = error.path;
      throw new TextFormError(path, error.message.slice(path === "" ? 0 : path.length + 2));
    }
    throw error;
  }
}

function lowered(format: ConstraintFormat, path: string, unrolled: boolean): ConstraintFormat {
  const inner = (key: string, form: TextForm): ConstraintFormat => {
    try {
      return textGrammar(form).format;
    } catch (error) {
      if (!(error instanceof TextFormError)) throw error;
      throw new TextFormError(
        [path, key, error.path].filter((part) => part !== "").join("."),
        error.message,
      );
    }
  };
  switch (format.type) {
    case "json_schema":
      return inner("json_schema", {
        ...{ kind: "json", schema: format.json_schema, strict: false, unrolled },
      });
    case "regex":
      return inner("pattern", { kind: "regex", pattern: format.pattern });
    case "grammar":
      return inner("grammar", { kind: "grammar", grammar: format.grammar });
    case "sequence":
    case "or": {
      const many = unrolled || format.type === "or";
      return {
        ...format,
        elements: format.elements.map((each, i) => lowered(each, `${path}.elements[${i}]`, many)),
      };
    }
    case "tag":
      return { ...format, content: lowered(format.content, `${path}.content`, unrolled) };
    case "triggered_tags":
    case "tags_with_separator":
      return {
        ...format,
        tags: format.tags.map((tag, i) => ({
          ...tag,
          content: lowered(tag.content, `${path}.tags[${i}].content`, unrolled),
        })),
      };
    default:
      return format;
  }
}
