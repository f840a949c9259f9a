/** What engines that score prompts promise: actors/engine/engine.ts, `scores_from`. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { EchoEngine } from "../../actors/engine/echo/echo.ts";
import type { Engine, EngineRequest, TokenLogprob } from "../../actors/engine/engine.ts";
import { openLlama } from "../../actors/engine/llama/llama.ts";
import { MockerEngine } from "../../actors/engine/mocker/mocker.ts";
import { EngineDriver, request } from "../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../support/engine/engine-model.ts";

const CONTEXT = 512;
const SIZES = { max_num_seqs: 8, max_queue: 32 };
/** Random weights tell tokens apart sharply, and the shape of the batch changes their last bits. */
const NEAR = 0.05;

const ENGINES: readonly { readonly name: string; readonly open: () => Promise<Engine> }[] = [
  {
    name: "mocker",
    open: async () => {
      const options = { ...SIZES, max_model_len: CONTEXT, speedup_ratio: 0 };
      return new MockerEngine(options, { drawable: { vocab_size: 512 } });
    },
  },
  {
    name: "llama",
    open: () => openLlama({ model: TEST_MODEL, kv_tokens: 512, context_length: CONTEXT, ...SIZES }),
  },
];

const PROMPT = Array.from({ length: 200 }, (_, i) => 20 + ((i * i * 7 + i) % 200));

function near(scores: readonly TokenLogprob[], others: readonly TokenLogprob[]): void {
  expect(scores).toHaveLength(others.length);
  for (const [i, { logprob }] of scores.entries()) {
    expect(Math.abs(logprob - others[i]!.logprob)).toBeLessThan(NEAR);
  }
}

describe.each([...ENGINES])("scores of prompts by $name", ({ open }) => {
  let engine: Engine;
  let driver: EngineDriver;
  let handle = 0;

  beforeAll(async () => {
    engine = await open();
    driver = new EngineDriver(engine);
  }, 60_000); // the first run on a machine builds the shim
  afterAll(() => engine.close());

  const scored = async (
    prompt: readonly number[],
    max_tokens: number,
    more: Partial<EngineRequest> = {},
  ) => {
    const wanted = { logprobs: 0, scores_from: 0, ...more };
    const answer = (await driver.run([request(++handle, prompt, max_tokens, wanted)]))[0]!;
    expect(answer.faults).toEqual([]);
    return answer;
  };

  test("every token but the first has a score, and no answer follows that nobody wants", async () => {
    const { scores, tokens, finished } = await scored(PROMPT, 0, { logprobs: 3 });
    expect(engine.describe().capabilities.scores).toBe(true);
    expect(tokens).toEqual([]);
    expect(finished).toMatchObject({ reason: "length", prompt_tokens: 200, cached_tokens: 0 });
    expect(scores).toHaveLength(199);
    for (const [i, { logprob, rank, top }] of scores.entries()) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top).toHaveLength(3);
      const at = top.findIndex(([token]) => token === PROMPT[i + 1]);
      if (at >= 0) expect(rank).toBe(at + 1);
      else expect(rank).toBeGreaterThan(3);
      if (at >= 0) expect(logprob).toBeCloseTo(top[at]![1], 5);
      else expect(logprob).toBeLessThanOrEqual(top[2]![1]);
    }
  });

  test("a prompt of one token has none", async () => {
    const { scores, tokens } = await scored([30], 2);
    expect(scores).toEqual([]);
    expect(tokens).toHaveLength(2);
    expect((await scored([30], 0)).finished?.reason).toBe("length");
  });

  test("what was made is scored as it was made", async () => {
    const made = (await driver.run([request(++handle, [30], 90, { logprobs: 2 })]))[0]!;
    const { scores } = await scored([30, ...made.tokens], 0, { logprobs: 2 });
    near(scores, made.logprobs);
  });

  test("the answer behind scores is that without", async () => {
    const plain = (await driver.run([request(++handle, PROMPT, 20)]))[0]!;
    const answer = await scored(PROMPT, 20);
    expect(answer.scores).toHaveLength(199);
    expect(answer.tokens).toEqual(plain.tokens);
    expect(answer.logprobs).toHaveLength(20);
  });

  test("what is cached is computed again where its scores are wanted, and only there", async () => {
    const first = await scored(PROMPT, 0);
    const again = await scored(PROMPT, 0);
    near(again.scores, first.scores);
    expect(again.finished?.cached_tokens).toBe(0);
    const rest = await scored(PROMPT, 0, { scores_from: 130 });
    expect(rest.first_score).toBe(130);
    near(rest.scores, first.scores.slice(130));
    const { block_size } = engine.describe();
    expect(rest.finished?.cached_tokens).toBe(Math.floor(130 / block_size) * block_size);
  });

  test("an answer goes on with all scores known", async () => {
    const whole = await scored(PROMPT, 20);
    const more = { scores_from: 199, prompt_tokens: 200, logprobs: 0 };
    const known = [...PROMPT, ...whole.tokens.slice(0, 8)];
    const rest = (await driver.run([request(++handle, known, 12, more)]))[0]!;
    expect(rest.scores).toEqual([]);
    expect(rest.first_index).toBe(8);
    expect(rest.tokens).toEqual(whole.tokens.slice(8));
  });

  test("many at once are not mixed up, also when the cache is too small for all", async () => {
    const prompts = Array.from({ length: 8 }, (_, k) => PROMPT.slice(0, 90).map((id) => id + k));
    const alone: (readonly TokenLogprob[])[] = [];
    for (const prompt of prompts) alone.push((await scored(prompt, 0)).scores);
    const wanted = { logprobs: 0, scores_from: 0 };
    const together = prompts.map((prompt) => request(++handle, prompt, 40, wanted));
    const answers = await driver.run(together);
    for (const [k, answer] of answers.entries()) {
      expect(answer.faults).toEqual([]);
      near(answer.scores, alone[k]!);
      expect(answer.tokens).toHaveLength(40);
    }
  });

  test("a cancelled one ends", async () => {
    const r = request(++handle, PROMPT, 0, { logprobs: 0, scores_from: 0 });
    expect(engine.submit(r)).toBeUndefined();
    engine.cancel(r.handle);
    await driver.until(() => driver.answer(r.handle).finished !== undefined);
    expect(["cancelled", "length"]).toContain(driver.answer(r.handle).finished!.reason);
  });

  test.each([
    ["without log probabilities", { logprobs: -1, scores_from: 0 }, 200],
    ["beyond the prompt", { logprobs: 0, scores_from: 200 }, 200],
    ["behind a part of the answer", { logprobs: 0, scores_from: 0 }, 150],
  ])("%s they are a bad request", (_, wanted, prompt_tokens) => {
    const r = { ...request(++handle, PROMPT, 1, wanted), prompt_tokens };
    expect(engine.submit(r)?.code).toBe("bad_request");
  });
});

test("echo says that it scores nothing", () => {
  const echo = new EchoEngine();
  expect(echo.describe().capabilities.scores).toBe(false);
  const refusal = echo.submit(request(1, [1, 2], 0, { logprobs: 0, scores_from: 0 }));
  expect(refusal?.code).toBe("not_supported");
});
