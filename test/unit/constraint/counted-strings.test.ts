import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { jsonGrammar } from "../../../llm/constraint/json-grammar.ts";
import { anySchema } from "../../support/constraint/random-schema.ts";
import { seeded, TextGrammar } from "../../support/constraint/random-text.ts";

const limited = fc.oneof(
  ...[anySchema, fc.constant({ type: "string", maxLength: 3 })],
  fc.record({ type: fc.constant("string"), minLength: fc.nat(3), maxLength: fc.constant(4) }),
  fc.record({ type: fc.constant("string"), pattern: fc.constantFrom("^[^a]{1,3}$", "^.{2}$") }),
);
const schema = fc.oneof(
  limited,
  fc.array(limited, { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
  fc.record({
    type: fc.constant("array"),
    items: limited,
    maxItems: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ type: fc.constant("object"), propertyNames: fc.constant({ maxLength: 2 }) }),
  fc.record({
    type: fc.constant("object"),
    properties: fc.record({ a: limited, ab: limited }, { requiredKeys: [] }),
    patternProperties: fc.constant({ "^a": { type: "string", minLength: 1 } }),
  }),
);

test("what is counted beside a grammar fits just what the grammar with counts fits", async () => {
  await fc.assert(
    fc.asyncProperty(schema, fc.integer(), async (each, seed) => {
      const options = { unheld: "ignore" } as const;
      const counted = await TextGrammar.of(jsonGrammar(each, options));
      const unrolled = await TextGrammar.of(jsonGrammar(each, { ...options, unrolled: true }));
      const random = seeded(seed);
      for (const [from, to] of [
        [counted, unrolled],
        [unrolled, counted],
      ] as const) {
        for (let i = 0; i < 3; i++) {
          const text = await from.draw(random, 300);
          if (text !== undefined) expect(await to.accepts(text), text).toBe(true);
        }
      }
      counted.dispose();
      unrolled.dispose();
    }),
    { numRuns: 60 },
  );
}, 60_000);

describe("the limits of a string", () => {
  const cases: readonly (readonly [object, string, boolean])[] = [
    [{ maxLength: 2 }, '"éé"', true],
    [{ maxLength: 2 }, '"ééé"', false],
    [{ maxLength: 2 }, '"\\n🎉"', true],
    [{ maxLength: 2 }, '"\\"\\""', true],
    [{ maxLength: 2 }, '"\\"\\"a"', false],
    [{ maxLength: 0 }, '""', true],
    [{ maxLength: 0 }, '"a"', false],
    [{ minLength: 1 }, '""', false],
    [{ minLength: 1 }, '"\\\\"', true],
    [{ minLength: 2 }, '"計"', false],
    [{ minLength: 2 }, `"${"a".repeat(5_000)}"`, true],
    [{ minLength: 300, maxLength: 301 }, `"${"a".repeat(299)}"`, false],
    [{ minLength: 300, maxLength: 301 }, `"${"a".repeat(301)}"`, true],
    [{ minLength: 300, maxLength: 301 }, `"${"a".repeat(302)}"`, false],
    [{ pattern: "^[a-zé]{1,3}$" }, '"abé"', true],
    [{ pattern: "^[a-z]{1,3}$" }, '"abcd"', false],
    [{ pattern: "^[a-z]{1,3}$", minLength: 2 }, '"a"', false],
  ];
  for (const [limits, text, fits] of cases) {
    const name = `${JSON.stringify(limits)} ${fits ? "take" : "refuse"} ${text.slice(0, 20)}`;
    test(name, async () => {
      const schema = { type: "array", items: { type: "string", ...limits } };
      const grammar = await TextGrammar.of(jsonGrammar(schema, { unheld: "refuse" }));
      expect(await grammar.accepts(`[${text}, ${text}]`)).toBe(fits);
      grammar.dispose();
    });
  }
});

describe("of a schema's strings", () => {
  const short = { type: "string", maxLength: 5 };
  const long = { type: "string", maxLength: 9 };
  const tagged = (kind: string, name: object) => ({
    type: "object",
    properties: { kind: { const: kind }, name },
    required: ["kind", "name"],
  });
  const cases: readonly (readonly [string, object, boolean])[] = [
    ["one beside null is counted", { anyOf: [short, { type: "null" }] }, true],
    ["two that may be either are unrolled", { anyOf: [short, long] }, false],
    ["one beside a text is unrolled", { anyOf: [short, { enum: ["a long text"] }] }, false],
    [
      "those of objects with a kind are counted",
      { anyOf: [tagged("a", short), tagged("b", long)] },
      true,
    ],
    [
      "those of objects of one kind are unrolled",
      { anyOf: [tagged("a", short), tagged("a", long)] },
      false,
    ],
    ["digits are unrolled", { type: "string", pattern: "^[0-9]{5}$" }, false],
  ];
  for (const [what, schema, is_counted] of cases) {
    test(what, () => {
      expect(jsonGrammar(schema, { unheld: "refuse" }).includes("counted-")).toBe(is_counted);
    });
  }
});
