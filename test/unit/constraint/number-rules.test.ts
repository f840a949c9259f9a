import { expect, test } from "bun:test";
import fc from "fast-check";
import { numberRules } from "../../../llm/constraint/schema/number-rules.ts";
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
