import { test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { jsonGrammar } from "../../../llm/constraint/json-grammar.ts";
import { anySchema } from "../../support/constraint/random-schema.ts";
import { seeded, TextGrammar } from "../../support/constraint/random-text.ts";

const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);

test("every text of a schema's grammar is JSON that fits the schema", async () => {
  await fc.assert(
    fc.asyncProperty(anySchema, fc.integer(), async (schema, seed) => {
      const grammar = await TextGrammar.of(jsonGrammar(schema, { unheld: "refuse" }));
      const validate = ajv.compile(schema);
      const random = seeded(seed);
      for (let i = 0; i < 4; i++) {
        const text = await grammar.draw(random);
        if (text === undefined) continue;
        if (!validate(JSON.parse(text))) {
          throw new Error(`${text} ${JSON.stringify(validate.errors)}`);
        }
      }
      grammar.dispose();
    }),
    { numRuns: 40 },
  );
}, 60_000);
