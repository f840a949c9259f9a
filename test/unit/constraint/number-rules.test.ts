import { expect, test } from "bun:test";
import fc from "fast-check";
import { jsonGrammar } from "../../../llm/constraint/json-grammar.ts";
import { multipleRules } from "../../../llm/constraint/schema/multiple-rules.ts";
import { numberRules } from "../../../llm/constraint/schema/number-rules.ts";
import { RuleBook } from "../../../llm/constraint/schema/rules.ts";
import { TextGrammar } from "../../support/constraint/random-text.ts";

const bound = fc
  .tuple(fc.integer({ min: -20_000, max: 20_000 }), fc.constantFrom(1, 2, 100, 1000))
  .map(([value, unit]) => value / unit);

test("a number fits the grammar of its bounds exactly when it lies between them", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.option(bound, { nil: undefined }),
      fc.option(bound, { nil: undefined }),
      fc.boolean(),
      fc.array(bound, { minLength: 8, maxLength: 8 }),
      async (whole, low, high, open, samples) => {
        const text = numberRules({
          kind: "number",
          whole,
          min: open ? undefined : low,
          above: open ? low : undefined,
          max: open ? undefined : high,
          below: open ? high : undefined,
        });
        const fits = (value: number) =>
          (!whole || Number.isInteger(value)) &&
          (low === undefined || (open ? value > low : value >= low)) &&
          (high === undefined || (open ? value < high : value <= high));
        const near = [low, high].flatMap((value) =>
          value === undefined ? [] : [value, value - 1, value + 1, value - 0.001, value + 0.001],
        );
        const grammar = text === undefined ? undefined : await TextGrammar.of(`root ::= ${text}\n`);
        for (const sample of [...samples, ...samples.map(Math.trunc), ...near]) {
          const value = Math.round(sample * 1e4) / 1e4 || 0;
          const accepted = grammar !== undefined && (await grammar.accepts(String(value)));
          expect([value, accepted]).toEqual([value, fits(value)]);
        }
        grammar?.dispose();
      },
    ),
    { numRuns: 80 },
  );
});

test("a multiple fits its grammar exactly when it is one and lies between the bounds", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 60 }),
      fc.option(fc.integer({ min: -3_000, max: 3_000 }), { nil: undefined }),
      fc.option(fc.integer({ min: -3_000, max: 3_000 }), { nil: undefined }),
      fc.array(fc.integer({ min: -4_000, max: 4_000 }), { minLength: 12, maxLength: 12 }),
      async (step, min, max, samples) => {
        const book = new RuleBook();
        const shape = { kind: "number", whole: true, min, max } as const;
        const text = multipleRules({ ...shape, above: undefined, below: undefined }, step, book);
        const grammar = text === undefined ? undefined : await TextGrammar.of(book.text(text));
        const near = [min ?? 0, max ?? 0, 0].flatMap((value) => [
          ...[value, value + 1, value - 1],
          Math.round(value / step) * step || 0,
        ]);
        for (const value of [...near, ...samples, ...samples.map((each) => each * step || 0)]) {
          const fits = value % step === 0 && value >= (min ?? value) && value <= (max ?? value);
          const accepted = grammar !== undefined && (await grammar.accepts(String(value)));
          expect([step, value, accepted]).toEqual([step, value, fits]);
        }
        grammar?.dispose();
      },
    ),
    { numRuns: 40 },
  );
}, 30_000);

test.each([
  [250, 60],
  [7, 220],
] as const)("multiples of %d need few rules", (step, most) => {
  const book = new RuleBook();
  const free = { min: undefined, max: undefined, above: undefined, below: undefined };
  const text = multipleRules({ kind: "number", whole: true, ...free }, step, book);
  expect(book.text(text!).split("\n").length).toBeLessThan(most);
});

test("what needs too many rules is refused", () => {
  const schema = { type: "integer", multipleOf: 997 };
  expect(() => jsonGrammar(schema, { unheld: "refuse" })).toThrow(/makes a grammar of more than/);
});

test("multiples of two schemas are those of both", async () => {
  const schema = { allOf: [{ type: "integer", multipleOf: 4 }, { multipleOf: 6 }] };
  const grammar = await TextGrammar.of(jsonGrammar(schema, { unheld: "refuse" }));
  const fits = [0, 4, 6, 12, 18, -24].map((value) => grammar.accepts(String(value)));
  expect(await Promise.all(fits)).toEqual([true, false, false, true, false, true]);
  grammar.dispose();
});
