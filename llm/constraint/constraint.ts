/** What an answer keeps to, as data: the door makes it, the worker of the answer compiles it. */

/** A JSON schema, or `true` for any value. The order of its properties is that of an answer's. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** Text between two marks. */
export type TagFormat = {
  readonly type: "tag";
  readonly begin: string;
  readonly content: ConstraintFormat;
  readonly end: string;
};

/** The structural-tag formats of xgrammar (0.1.27, `structural_tag.d.ts`). */
export type ConstraintFormat =
  | { readonly type: "any_text" }
  | { readonly type: "const_string"; readonly value: string }
  | { readonly type: "json_schema"; readonly json_schema: JsonSchema }
  /** `<parameter=NAME>VALUE</parameter>` a property, as Qwen3-Coder writes arguments. */
  | { readonly type: "qwen_xml_parameter"; readonly json_schema: JsonSchema }
  | { readonly type: "regex"; readonly pattern: string }
  /** EBNF, whose first rule is `root`. */
  | { readonly type: "grammar"; readonly grammar: string }
  | { readonly type: "sequence"; readonly elements: readonly ConstraintFormat[] }
  | { readonly type: "or"; readonly elements: readonly ConstraintFormat[] }
  | TagFormat
  /** Free text in which each trigger, the beginning of a tag's `begin`, must go on as a tag. */
  | {
      readonly type: "triggered_tags";
      readonly triggers: readonly string[];
      readonly tags: readonly TagFormat[];
      readonly at_least_one?: boolean | undefined;
      readonly stop_after_first?: boolean | undefined;
    }
  /** Nothing but tags, with a text (not empty) between two. */
  | {
      readonly type: "tags_with_separator";
      readonly tags: readonly TagFormat[];
      readonly separator: string;
      readonly at_least_one?: boolean | undefined;
      readonly stop_after_first?: boolean | undefined;
    };

export type Thinking = {
  /** The text that ends the reasoning. */
  readonly end: string;
  /** After so many tokens without `end`, the tokens of `end` are forced. */
  readonly max_tokens?: number | undefined;
};

export type Constraint = {
  /** Undefined: any text. */
  readonly format?: ConstraintFormat | undefined;
  /** The answer begins inside the reasoning; `format` applies behind its end. */
  readonly thinking?: Thinking | undefined;
};

/** A text that is no constraint; `path` says where in it (`format.elements[2].pattern`). */
export class ConstraintError extends Error {
  override readonly name = "ConstraintError";
  readonly path: string;

  constructor(path: string, what: string) {
    super(path === "" ? what : `${path}: ${what}`);
    this.path = path;
  }
}

/** Deeper trees are refused; no dialect of ours makes one deeper than six. */
const MAX_DEPTH = 32;

/** JSON with one order of fields. Constraints of equal texts share one compiled grammar. */
export function constraintText({ format, thinking }: Constraint): string {
  return JSON.stringify({
    ...(format === undefined ? {} : { format: formatOf(format, "format", 0) }),
    ...(thinking === undefined ? {} : { thinking: thinkingOf(thinking, "thinking") }),
  });
}

/** Reads what `constraintText` wrote, or a text of the same shape. Throws a ConstraintError. */
export function readConstraint(text: string): Constraint {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConstraintError("", error instanceof Error ? error.message : "it is not JSON");
  }
  const { format, thinking } = objectOf(value, "");
  return {
    ...(format === undefined ? {} : { format: formatOf(format, "format", 0) }),
    ...(thinking === undefined ? {} : { thinking: thinkingOf(thinking, "thinking") }),
  };
}

/** The parts of a format that are formats themselves, with their place in it. */
export function partsOf(
  format: ConstraintFormat,
): readonly (readonly [string, ConstraintFormat])[] {
  switch (format.type) {
    case "sequence":
    case "or":
      return format.elements.map((element, at) => [`elements[${at}]`, element] as const);
    case "tag":
      return [["content", format.content]];
    case "triggered_tags":
    case "tags_with_separator":
      return format.tags.map((tag, at) => [`tags[${at}]`, tag] as const);
    default:
      return [];
  }
}

function formatOf(value: unknown, path: string, depth: number): ConstraintFormat {
  if (depth > MAX_DEPTH) throw new ConstraintError(path, `it is nested deeper than ${MAX_DEPTH}`);
  const object = objectOf(value, path);
  const text = (key: string) => textOf(object[key], `${path}.${key}`);
  const elements = () =>
    listOf(object["elements"], `${path}.elements`).map((element, at) =>
      formatOf(element, `${path}.elements[${at}]`, depth + 1),
    );
  const tags = () =>
    listOf(object["tags"], `${path}.tags`).map((tag, at) =>
      tagOf(objectOf(tag, `${path}.tags[${at}]`), `${path}.tags[${at}]`, depth + 1),
    );
  const { type } = object;
  switch (type) {
    case "any_text":
      return { type };
    case "const_string":
      return { type, value: text("value") };
    case "json_schema":
    case "qwen_xml_parameter":
      return { type, json_schema: schemaOf(object["json_schema"], `${path}.json_schema`) };
    case "regex":
      return { type, pattern: text("pattern") };
    case "grammar":
      return { type, grammar: text("grammar") };
    case "sequence":
    case "or":
      return { type, elements: elements() };
    case "tag":
      return tagOf(object, path, depth);
    case "triggered_tags": {
      const triggers = listOf(object["triggers"], `${path}.triggers`).map((trigger, at) =>
        textOf(trigger, `${path}.triggers[${at}]`),
      );
      return { type, triggers, tags: tags(), ...countsOf(object, path) };
    }
    case "tags_with_separator":
      return { type, tags: tags(), separator: text("separator"), ...countsOf(object, path) };
    default:
      throw new ConstraintError(`${path}.type`, `there is no format ${JSON.stringify(type)}`);
  }
}

/** A tag in a list of tags may leave its type out. */
function tagOf(object: Fields, path: string, depth: number): TagFormat {
  const { type = "tag", begin, content, end } = object;
  if (type !== "tag") throw new ConstraintError(`${path}.type`, "only a tag may stand here");
  return {
    type: "tag",
    begin: textOf(begin, `${path}.begin`),
    content: formatOf(content, `${path}.content`, depth + 1),
    end: textOf(end, `${path}.end`),
  };
}

function countsOf(object: Fields, path: string) {
  const { at_least_one, stop_after_first } = object;
  return {
    ...(at_least_one === undefined
      ? {}
      : { at_least_one: flagOf(at_least_one, `${path}.at_least_one`) }),
    ...(stop_after_first === undefined
      ? {}
      : { stop_after_first: flagOf(stop_after_first, `${path}.stop_after_first`) }),
  };
}

function thinkingOf(value: unknown, path: string): Thinking {
  const { end, max_tokens } = objectOf(value, path);
  const text = textOf(end, `${path}.end`);
  if (text === "") throw new ConstraintError(`${path}.end`, "it must not be empty");
  if (max_tokens === undefined) return { end: text };
  if (typeof max_tokens !== "number" || !Number.isSafeInteger(max_tokens) || max_tokens < 0) {
    throw new ConstraintError(`${path}.max_tokens`, "it must be a whole number of at least 0");
  }
  return { end: text, max_tokens };
}

type Fields = { readonly [key: string]: unknown };

function objectOf(value: unknown, path: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ConstraintError(path, "it must be an object");
  }
  return value as Fields;
}

function schemaOf(value: unknown, path: string): JsonSchema {
  return typeof value === "boolean" ? value : objectOf(value, path);
}

function listOf(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new ConstraintError(path, "it must be a list that is not empty");
  }
  return value;
}

function textOf(value: unknown, path: string): string {
  if (typeof value !== "string") throw new ConstraintError(path, "it must be a string");
  return value;
}

function flagOf(value: unknown, path: string): boolean {
  if (typeof value !== "boolean") throw new ConstraintError(path, "it must be true or false");
  return value;
}
