/** Answers that keep to a constraint, over every engine that claims it: actors/engine/engine.ts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Engine, EngineRefusal, EngineRequest } from "../../actors/engine/engine.ts";
import { openLlama } from "../../actors/engine/llama/llama.ts";
import { closersOf } from "../../actors/engine/mocker/constrained-token.ts";
import { MockerEngine } from "../../actors/engine/mocker/mocker.ts";
import {
  type Constraint,
  type ConstraintFormat,
  constraintText,
} from "../../llm/constraint/constraint.ts";
import { textTokens } from "../../llm/tokens/text-tokens.ts";
import type { Thread, Threads } from "../../runtime/capabilities.ts";
import { EngineDriver, GREEDY, request } from "../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../support/engine/engine-model.ts";
import { type GrammarParts, grammarParts, textOf } from "../support/engine/grammar-parts.ts";
import { LocalGrammars } from "../support/engine/local-grammars.ts";
import { mockerWithGrammars } from "../support/engine/mocker-with-grammars.ts";

type Row = { readonly name: string; readonly open: (parts: GrammarParts) => Promise<Engine> };

const ROWS: readonly Row[] = [
  {
    name: "llama",
    open: (grammar) => {
      return openLlama({ model: TEST_MODEL, context_length: 512, kv_tokens: 16_384, grammar });
    },
  },
  {
    name: "mocker",
    open: async (parts) => mockerWithGrammars(parts),
  },
  {
    name: "mocker without threads, with guesses",
    open: async ({ tokenizer }) => {
      const { vocab_size } = tokenizer;
      const grammars = await LocalGrammars.open(tokenizer);
      return new MockerEngine(
        { max_model_len: 512, speedup_ratio: 0, aic_nextn: 3, aic_nextn_accept_rates: "1,0.8,0.5" },
        {
          drawable: { vocab_size, tokens: textTokens(tokenizer) },
          grammar: { grammars, closers: closersOf(tokenizer) },
        },
      );
    },
  },
];

const SCHEMA = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 12 },
    age: { type: "integer", minimum: 0, maximum: 150 },
    pet: {
      type: "object",
      properties: { kind: { enum: ["cat", "dog"] }, alive: { type: "boolean" } },
      required: ["kind", "alive"],
    },
  },
  required: ["name", "age", "pet"],
};
const JSON_FORMAT: ConstraintFormat = { type: "json_schema", json_schema: SCHEMA };
/** Takes for ever to parse. */
const HEAVY: ConstraintFormat = { type: "regex", pattern: "((a{1,500}){1,500}){1,500}" };
/** Longer than in use: other tests run beside these. */
const STAGE_MS = 4_000;
const SAMPLED = { ...GREEDY, temperature: 1 };

const only = (format: ConstraintFormat, more: Constraint = {}) =>
  constraintText({ format, ...more });

/** Threads, and the ones that were started, so that a test can end one. */
function counted(threads: Threads): Threads & { readonly started: Thread[] } {
  const started: Thread[] = [];
  return {
    started,
    start: (entry, handlers) => {
      const thread = threads.start(entry, handlers);
      started.push(thread);
      return thread;
    },
  };
}

describe.each([...ROWS])("constrained answers of $name", ({ name, open }) => {
  /** Nobody ends what a thread of one does. */
  const threaded = !name.startsWith("mocker without threads");

  let engine: Engine;
  let driver: EngineDriver;
  let parts: GrammarParts;
  let threads: ReturnType<typeof counted>;
  let prompt: readonly number[];

  beforeAll(async () => {
    const own = grammarParts(TEST_MODEL);
    threads = counted(own.threads);
    parts = { ...own, threads, stage_ms: STAGE_MS };
    engine = await open(parts);
    driver = new EngineDriver(engine);
    prompt = [...parts.tokenizer.encode("Tell me: ", { add_special: true, parse_special: false })];
  }, 60_000);
  afterAll(() => engine.close());

  let handle = 0;
  const asked = (constraint: string | undefined, more: Partial<EngineRequest> = {}) => {
    return request(++handle, prompt, 200, {
      ...{ ignore_eos: false, sampling: { ...SAMPLED, seed: BigInt(handle) } },
      ...(constraint === undefined ? {} : { constraint }),
      ...more,
    });
  };
  const answered = async (...args: Parameters<typeof asked>) => {
    const answer = (await driver.run([asked(...args)]))[0]!;
    expect(answer.faults).toEqual([]);
    return { ...answer, text: textOf(parts.tokenizer, answer.tokens) };
  };
  const refusalOf = (constraint: string) =>
    new Promise<EngineRefusal | undefined>((resolve) => engine.prepare!(constraint, resolve));

  test("it claims them", () => {
    expect(engine.describe().capabilities.constrains).toBe(true);
  });

  test.each<[string, ConstraintFormat, RegExp]>([
    ["a schema", JSON_FORMAT, /^\{.*"name".*"age".*"pet".*\}$/s],
    ["a pattern", { type: "regex", pattern: "[a-c]{3}(x|yz)" }, /^[a-c]{3}(x|yz)$/],
    ["a grammar", { type: "grammar", grammar: 'root ::= "no" | "go" root' }, /^(go)*no$/],
    [
      "a choice",
      {
        type: "or",
        elements: ["Zürich", "Genf"].map((value) => ({ type: "const_string", value })),
      },
      /^(Zürich|Genf)$/,
    ],
    [
      "a tag",
      { type: "tag", begin: "<a>", content: { type: "regex", pattern: "[0-9]+" }, end: "</a>" },
      /^<a>[0-9]+<\/a>$/,
    ],
  ])("keep to %s and end with it", async (_, format, pattern) => {
    const { text, finished } = await answered(only(format));
    if (finished?.reason === "stop") expect(text).toMatch(pattern);
    else expect(format.type).not.toBe("or");
    const { eog } = parts.tokenizer.special;
    if (finished?.reason === "stop") expect(eog).toContain(finished.stop_token!);
  });

  test("of a schema are JSON", async () => {
    const answers = await driver.run(Array.from({ length: 8 }, () => asked(only(JSON_FORMAT))));
    const ended = answers.filter(({ finished }) => finished?.reason === "stop");
    expect(ended.length).toBeGreaterThan(3);
    for (const { tokens } of ended) {
      const { name, age, pet } = JSON.parse(textOf(parts.tokenizer, tokens));
      expect([...name].length).toBeLessThanOrEqual(12);
      expect(age).toBeWithin(0, 151);
      expect(["cat", "dog"]).toContain(pet.kind);
    }
  });

  test("go on the same from any index", async () => {
    const more = { sampling: { ...SAMPLED, seed: 77n } };
    const whole = await answered(only(JSON_FORMAT), more);
    const step = Math.ceil(whole.tokens.length / 9);
    let same = 0;
    let tries = 0;
    for (let index = 0; index <= whole.tokens.length; index += step, tries++) {
      const tokens = Uint32Array.from([...prompt, ...whole.tokens.slice(0, index)]);
      const rest = await answered(only(JSON_FORMAT), {
        ...{ ...more, tokens, max_tokens: 200 - index },
      });
      same += Number(Bun.deepEquals(rest.tokens, whole.tokens.slice(index)));
      expect(rest.finished?.reason).toBe(whole.finished!.reason);
    }
    const { replays_exactly } = engine.describe().capabilities;
    expect(same).toBeGreaterThanOrEqual(replays_exactly ? tries : tries - 2);
  });

  if (threaded)
    describe("and more", () => {
      test("run beside free ones, which are as they would be alone", async () => {
        const more = { max_tokens: 24, sampling: GREEDY, ignore_eos: true };
        const alone = await answered(undefined, more);
        const both = await driver.run(
          Array.from({ length: 8 }, (_, i) =>
            i % 2 === 0 ? asked(undefined, more) : asked(only(JSON_FORMAT)),
          ),
        );
        let same = 0;
        for (const [i, answer] of both.entries()) {
          expect(answer.faults).toEqual([]);
          if (i % 2 === 0) same += Number(Bun.deepEquals(answer.tokens, alone.tokens));
          else expect(textOf(parts.tokenizer, answer.tokens)).toStartWith("{");
        }
        expect(same).toBeGreaterThanOrEqual(3);
      });

      test("end when they are complete, whatever wants more tokens", async () => {
        const yes = only({ type: "const_string", value: "yes" });
        for (const more of [{ min_tokens: 50 }, { ignore_eos: true }]) {
          const { text, finished } = await answered(yes, more);
          expect([text, finished?.reason]).toEqual(["yes", "stop"]);
        }
      });

      test("hold ends back for min_tokens as long as other tokens are allowed", async () => {
        const letters = only({ type: "regex", pattern: "[a-z]{1,60}" });
        const { tokens } = await answered(letters, { min_tokens: 8 });
        expect(tokens.length).toBeGreaterThanOrEqual(8);
      });

      test("have log probabilities of the raw logits", async () => {
        const { tokens, logprobs } = await answered(only({ type: "regex", pattern: "[0-9]{5}" }), {
          ...{ logprobs: 3, sampling: GREEDY },
        });
        expect(logprobs).toHaveLength(tokens.length);
        for (const { logprob, top } of logprobs) {
          expect(top).toHaveLength(3);
          expect(logprob).toBeLessThanOrEqual(top[0]![1]); // the likeliest may not be allowed
        }
      });

      test("behind reasoning, whose budget ends it", async () => {
        const constraint = only(
          { type: "const_string", value: "yes" },
          {
            thinking: { end: "</think>", max_tokens: 6 },
          },
        );
        const { tokens, text, finished } = await answered(constraint);
        expect(text).toEndWith("</think>yes");
        expect(finished?.reason).toBe("stop");
        const thought = tokens.findIndex((_, i) => {
          return textOf(parts.tokenizer, tokens.slice(0, i + 1)).includes("</think>");
        });
        expect(thought).toBeLessThan(6 + "</think>".length);
      });

      test("behind reasoning alone are free", async () => {
        const constraint = constraintText({ thinking: { end: "</think>", max_tokens: 3 } });
        const { text } = await answered(constraint, { max_tokens: 40, ignore_eos: true });
        expect(text).toContain("</think>");
      });

      test("with a broken grammar are refused in one line, before and after they are submitted", async () => {
        const broken = only({ type: "regex", pattern: "a(b" });
        const refusal = await refusalOf(broken);
        expect(refusal?.code).toBe("bad_request");
        expect(refusal?.message).toMatch(/^The grammar cannot be compiled: .*parenthesis/);
        expect(refusal?.message).not.toContain("\n");
        expect(engine.submit(asked(broken))?.code).toBe("bad_request");
        const other = only({ type: "grammar", grammar: "root ::= nothing" });
        const { finished } = await answered(other);
        expect(finished).toMatchObject({ reason: "error" });
        expect(finished?.error).toContain("nothing");
        expect(
          await refusalOf(only({ type: "const_string", value: "still there" })),
        ).toBeUndefined();
      });

      test("are cancelled while their grammar is compiled", async () => {
        const heavy = asked(only(HEAVY));
        expect(engine.submit(heavy)).toBeUndefined();
        const light = asked(undefined, { max_tokens: 5, ignore_eos: true });
        expect((await driver.run([light]))[0]!.tokens).toHaveLength(5); // it passes by
        engine.cancel(heavy.handle);
        await driver.until(() => driver.answer(heavy.handle).finished !== undefined);
        expect(driver.answer(heavy.handle).finished?.reason).toBe("cancelled");
        expect(driver.answer(heavy.handle).faults).toEqual([]);
      });

      test("with a grammar that explodes are refused, and the others go on", async () => {
        const refused = refusalOf(only(HEAVY));
        const beside = await answered(only(JSON_FORMAT));
        expect(beside.text).toStartWith("{");
        // On a busy machine the time to wait is over before that of the compilation.
        expect((await refused)?.message).toMatch(
          /^The grammar takes longer than 4 s to compile|^The worker is too busy to compile/,
        );
      }, 30_000);

      test("go on when their thread ends", async () => {
        const long = asked(only({ type: "regex", pattern: "[a-z ]{900,1000}" }), {
          max_tokens: 120,
        });
        const twin = { ...long, handle: ++handle };
        const undisturbed = (await driver.run([twin]))[0]!;
        expect(engine.submit(long)).toBeUndefined();
        await driver.until(() => driver.answer(long.handle).tokens.length > 5);
        for (const thread of threads.started) thread.end();
        await driver.until(() => driver.answer(long.handle).finished !== undefined);
        const answer = driver.answer(long.handle);
        expect(answer.faults).toEqual([]);
        expect(answer.finished?.reason).toBe("length");
        expect(textOf(parts.tokenizer, answer.tokens)).toMatch(/^[a-z ]*$/);
        expect(answer.tokens).toEqual(undisturbed.tokens);
      }, 30_000);
    });
});
