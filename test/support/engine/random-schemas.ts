/** Random JSON schemas, and whether the answers of an engine are valid for them. */
import Ajv from "ajv/dist/2020";
import addFormats from "ajv-formats";
import fc from "fast-check";
import type { Engine, EngineRefusal } from "../../../actors/engine/engine.ts";
import { constraintText } from "../../../llm/constraint/constraint.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import { type EngineDriver, GREEDY, request } from "./engine-driver.ts";
import { textOf } from "./grammar-parts.ts";

type Schema = { readonly [keyword: string]: unknown };

const FORMATS = ["date", "date-time", "uuid", "ipv4", "email"] as const;
const PATTERNS = ["^[a-z]{2,5}$", "^(on|off)$", "^[A-Z][0-9]{1,3}$", "^a|b$"] as const;
const ordered = (low: number, high: number) =>
  fc.tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high })).map((pair) => {
    return [Math.min(...pair), Math.max(...pair)] as const;
  });

const leaf: fc.Arbitrary<Schema> = fc.oneof(
  fc.constantFrom({ type: "boolean" }, { type: "null" }, { type: "integer" }, { type: "number" }),
  ordered(-300, 300).map(([minimum, maximum]) => ({ type: "integer", minimum, maximum })),
  ordered(-40, 40).map(([a, b]) => ({ type: "number", minimum: a / 8, maximum: b / 8 })),
  ordered(0, 12).map(([minLength, maxLength]) => ({ type: "string", minLength, maxLength })),
  fc.constantFrom(...FORMATS).map((format) => ({ type: "string", format })),
  fc.constantFrom(...PATTERNS).map((pattern) => ({ type: "string", pattern })),
  fc
    .uniqueArray(fc.oneof(fc.string({ maxLength: 8 }), fc.integer(), fc.boolean()), {
      ...{ minLength: 1, maxLength: 4 },
    })
    .map((values) => ({ enum: values })),
  fc.jsonValue({ maxDepth: 1 }).map((value) => ({ const: value })),
);

const { schema } = fc.letrec<{ schema: Schema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    leaf,
    fc
      .record({
        entries: fc.uniqueArray(
          fc.tuple(fc.string({ minLength: 1, maxLength: 6 }), tie("schema")),
          {
            ...{ selector: ([name]) => name, minLength: 1, maxLength: 4 },
          },
        ),
        left_out: fc.nat({ max: 15 }),
      })
      .map(({ entries, left_out }) => ({
        type: "object",
        properties: Object.fromEntries(entries),
        required: entries.map(([name]) => name).filter((_, i) => ((left_out >> i) & 1) === 0),
        additionalProperties: false,
      })),
    fc.tuple(tie("schema"), ordered(0, 3)).map(([items, [minItems, maxItems]]) => {
      return { type: "array", items, minItems, maxItems };
    }),
    fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
  ),
}));

export type SchemaOutcome = {
  readonly answers: number;
  /** Ended by the engine, and not by the limit of tokens. */
  readonly stopped: number;
  /** Schemas that were refused, each in one line. */
  readonly refused: readonly string[];
  /** Answers that stopped and are not valid, with their schemas: there must be none. */
  readonly wrong: readonly string[];
};

/** One answer to each of `count` schemas, drawn from `seed`. */
export async function answerSchemas(
  { engine, driver, tokenizer }: { engine: Engine; driver: EngineDriver; tokenizer: Tokenizer },
  count: number,
  seed: number,
): Promise<SchemaOutcome> {
  const prompt = [...tokenizer.encode("JSON: ", { add_special: true, parse_special: false })];
  const refused: string[] = [];
  const wrong: string[] = [];
  let stopped = 0;
  let answers = 0;
  const ajv = new Ajv({ strict: false, unicodeRegExp: true });
  addFormats(ajv);
  const schemas = fc.sample(schema, { numRuns: count, seed });
  for (let from = 0; from < schemas.length; from += 8) {
    const some = schemas.slice(from, from + 8);
    const constraints = some.map((json_schema) => {
      return constraintText({ format: { type: "json_schema", json_schema } });
    });
    const refusals = await Promise.all(
      constraints.map((constraint) => {
        return new Promise<EngineRefusal | undefined>((done) => engine.prepare!(constraint, done));
      }),
    );
    const taken = some.map((_, i) => i).filter((i) => refusals[i] === undefined);
    for (const refusal of refusals) if (refusal !== undefined) refused.push(refusal.message);
    const made = await driver.run(
      taken.map((i) => {
        const sampling = { ...GREEDY, temperature: 1, seed: BigInt(seed + from + i) };
        const more = { constraint: constraints[i]!, sampling, ignore_eos: false };
        return request(1 + from + i, prompt, 400, more);
      }),
    );
    for (const [at, i] of taken.entries()) {
      answers++;
      if (made[at]!.finished?.reason !== "stop") continue;
      stopped++;
      const text = textOf(tokenizer, made[at]!.tokens);
      if (!isValid(ajv, some[i]!, text)) wrong.push(`${text} for ${JSON.stringify(some[i])}`);
    }
  }
  return { answers, stopped, refused, wrong };
}

function isValid(ajv: Ajv, schema: Schema, text: string): boolean {
  try {
    return ajv.validate(schema, JSON.parse(text)) as boolean;
  } catch {
    return false;
  }
}
