import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Constraint,
  ConstraintError,
  type ConstraintFormat,
  constraintText,
  partsOf,
  readConstraint,
} from "../../../llm/constraint/constraint.ts";

const { format } = fc.letrec<{ format: ConstraintFormat; tag: ConstraintFormat }>((tie) => {
  const tag = fc.record({
    type: fc.constant("tag" as const),
    begin: fc.string(),
    content: tie("format"),
    end: fc.string(),
  });
  const elements = fc.array(tie("format"), { minLength: 1, maxLength: 3 });
  const tags = fc.array(tag, { minLength: 1, maxLength: 3 });
  return {
    tag,
    format: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.constant({ type: "any_text" as const }),
      fc.record({ type: fc.constant("const_string" as const), value: fc.string() }),
      fc.record({ type: fc.constant("regex" as const), pattern: fc.string() }),
      fc.record({ type: fc.constant("grammar" as const), grammar: fc.string() }),
      fc.record({
        type: fc.constantFrom("json_schema" as const, "qwen_xml_parameter" as const),
        json_schema: fc.oneof(fc.boolean(), fc.dictionary(fc.string(), fc.jsonValue())),
      }),
      fc.record({ type: fc.constantFrom("sequence" as const, "or" as const), elements }),
      tag,
      fc.record({
        type: fc.constant("triggered_tags" as const),
        triggers: fc.array(fc.string(), { minLength: 1, maxLength: 2 }),
        tags,
        at_least_one: fc.option(fc.boolean(), { nil: undefined }),
      }),
      fc.record({
        type: fc.constant("tags_with_separator" as const),
        tags,
        separator: fc.string(),
        stop_after_first: fc.option(fc.boolean(), { nil: undefined }),
      }),
    ),
  };
});

const constraint: fc.Arbitrary<Constraint> = fc.record(
  {
    format,
    thinking: fc.record(
      { end: fc.string({ minLength: 1 }), max_tokens: fc.nat() },
      { requiredKeys: ["end"] },
    ),
  },
  { requiredKeys: [] },
);

describe("a constraint", () => {
  test("comes back out of its text, whose text is the same", () => {
    fc.assert(
      fc.property(constraint, (given) => {
        const text = constraintText(given);
        const read = readConstraint(text);
        expect(constraintText(read)).toBe(text);
        expect(JSON.parse(JSON.stringify(read))).toEqual(JSON.parse(JSON.stringify(given)));
      }),
    );
  });

  test("has one text, whatever the order in which its fields were written", () => {
    const one = readConstraint('{"format":{"value":"a","type":"const_string"}}');
    const other = readConstraint('{"format":{"type":"const_string","value":"a","more":1}}');
    expect(constraintText(one)).toBe(constraintText(other));
  });

  test("keeps the order of a schema's keys", () => {
    const text = '{"format":{"type":"json_schema","json_schema":{"properties":{"b":{},"a":{}}}}}';
    expect(constraintText(readConstraint(text))).toBe(text);
  });

  test("of tags may leave their type out", () => {
    const tag = '{"begin":"<a>","content":{"type":"any_text"},"end":">"}';
    const text = `{"format":{"type":"triggered_tags","triggers":["<"],"tags":[${tag}]}}`;
    const { format: read } = readConstraint(text);
    expect(partsOf(read ?? { type: "any_text" })).toEqual([
      ["tags[0]", { type: "tag", begin: "<a>", content: { type: "any_text" }, end: ">" }],
    ]);
  });

  test.each([
    ["", ""],
    ["[]", ""],
    ['{"format":1}', "format"],
    ['{"format":{"type":"hope"}}', "format.type"],
    ['{"format":{"type":"regex"}}', "format.pattern"],
    ['{"format":{"type":"or","elements":[]}}', "format.elements"],
    ['{"format":{"type":"sequence","elements":[{"type":"tag"}]}}', "format.elements[0].begin"],
    ['{"format":{"type":"json_schema","json_schema":"{}"}}', "format.json_schema"],
    ['{"thinking":{"end":""}}', "thinking.end"],
    ['{"thinking":{"end":"x","max_tokens":-1}}', "thinking.max_tokens"],
  ])("%s is refused with its place", (text, path) => {
    let caught: unknown;
    try {
      readConstraint(text);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ConstraintError);
    expect((caught as ConstraintError).path).toBe(path);
  });

  test("nested too deeply is refused", () => {
    let deep = '{"type":"any_text"}';
    for (let n = 0; n < 40; n++) deep = `{"type":"or","elements":[${deep}]}`;
    expect(() => readConstraint(`{"format":${deep}}`)).toThrow("nested deeper than 32");
  });
});
