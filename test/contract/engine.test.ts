/**
 * What every engine promises, run over all of them: see actors/engine/engine.ts.
 *
 * Long because it is the whole contract, run over every engine.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EchoEngine } from "../../actors/engine/echo/echo.ts";
import {
  type Engine,
  EngineFailedError,
  type EngineRefusal,
  type EngineRequest,
  failureClass,
} from "../../actors/engine/engine.ts";
import { engineNames } from "../../actors/engine/engines.ts";
import { openLlama } from "../../actors/engine/llama/llama.ts";
import { MockerEngine } from "../../actors/engine/mocker/mocker.ts";
import { blockHashes } from "../../llm/blocks/block-hash.ts";
import { requestLimits, stopTokensLimit } from "../../llm/model/request-limits.ts";
import { TR } from "../../native/index.ts";
import { EngineDriver, GREEDY, request } from "../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../support/engine/engine-model.ts";
import { loraGguf } from "../support/engine/lora-gguf.ts";
import { KvReplay, replayOf } from "../support/worlds/kv-replay.ts";

const MAX_NUM_SEQS = 64;
const MAX_QUEUE = 32;
const LIMITS = { context_length: 512, max_num_seqs: MAX_NUM_SEQS, max_queue: MAX_QUEUE };

/** Of random weights; the mocker does not read it. */
const ADAPTER = join(mkdtempSync(join(tmpdir(), "troupe-adapter-")), "a.gguf");
writeFileSync(
  ADAPTER,
  loraGguf(new Uint8Array(readFileSync(TEST_MODEL)), { seed: 1, scale: 0.02 }),
);

type Row = {
  readonly name: string;
  readonly open: () => Promise<Engine>;
  /** With a cache of a few blocks; absent when nothing is cached. */
  readonly openSmall?: () => Promise<Engine>;
};

const GUESSES = { aic_nextn: 3, aic_nextn_accept_rates: "0.9,0.7,0.5" };

const ENGINES: readonly Row[] = [
  { name: "echo", open: async () => new EchoEngine({ ...LIMITS, vocab_size: 512 }) },
  {
    name: "mocker",
    open: async () => {
      const { context_length: max_model_len, max_num_seqs, max_queue } = LIMITS;
      const options = { max_model_len, max_num_seqs, max_queue, speedup_ratio: 0 };
      return new MockerEngine(options, { drawable: { vocab_size: 512 } });
    },
    openSmall: async () => {
      const options = { max_model_len: 512, num_gpu_blocks: 16, speedup_ratio: 0 };
      return new MockerEngine(options, { drawable: { vocab_size: 512 } });
    },
  },
  {
    name: "mocker that guesses",
    open: async () => {
      const { context_length: max_model_len, max_num_seqs, max_queue } = LIMITS;
      const options = { max_model_len, max_num_seqs, max_queue, speedup_ratio: 0, ...GUESSES };
      return new MockerEngine(options, { drawable: { vocab_size: 512 } });
    },
    openSmall: async () => {
      const options = { max_model_len: 512, num_gpu_blocks: 16, speedup_ratio: 0, ...GUESSES };
      return new MockerEngine(options, { drawable: { vocab_size: 512 } });
    },
  },
  {
    name: "llama",
    open: () => openLlama({ model: TEST_MODEL, kv_tokens: 16384, ...LIMITS }),
    openSmall: () => openLlama({ model: TEST_MODEL, kv_tokens: 1024, ...LIMITS }),
  },
];

/** A prompt of ordinary tokens that no other test uses. */
let used = 0;
function freshPrompt(length: number): number[] {
  used += 1;
  let state = used * 2654435761;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 20 + ((state >>> 8) % 200);
  });
}

const SAMPLED = { ...GREEDY, temperature: 1, top_k: 50, top_p: 0.95, seed: 42n };

describe.each([...ENGINES])("engine $name", ({ open, openSmall }) => {
  let engine: Engine;
  let driver: EngineDriver;

  beforeAll(async () => {
    engine = await open();
    driver = new EngineDriver(engine);
  }, 60_000); // the first run on a machine builds the shim
  afterAll(() => engine.close());

  const one = async (r: EngineRequest) => (await driver.run([r]))[0]!;

  test("describes itself", () => {
    const description = engine.describe();
    expect(description.context_length).toBe(512);
    expect(description.max_num_seqs).toBe(MAX_NUM_SEQS);
    expect(description.vocab_size).toBeGreaterThan(220);
    expect(description.build.length).toBeGreaterThan(0);
  });

  test("claims only what it can do", async () => {
    const { capabilities, embedding_size, block_size } = engine.describe();
    const { pools, steps, salts, adapters } = capabilities;
    expect(embedding_size > 0).toBe(pools.includes("vector"));
    expect(engine.submit(request(1, freshPrompt(5), 20))).toBeUndefined();
    expect(engine.step(0) !== undefined).toBe(steps);
    driver.answers.delete(1);
    await driver.until(() => driver.answer(1).finished !== undefined);
    const prompt = freshPrompt(2 * block_size + 1);
    const cachedOf = async (more: Partial<EngineRequest>) => {
      return (await one(request(1, prompt, 1, more))).finished!.cached_tokens;
    };
    await cachedOf({});
    expect([engine.loadAdapter !== undefined, engine.unloadAdapter !== undefined]).toEqual([
      ...[adapters, adapters],
    ]);
    await engine.loadAdapter?.("a", ADAPTER);
    for (const more of [salts && { salt: "a" }, adapters && { adapter: "a" }]) {
      if (more === false) continue;
      expect(await cachedOf(more)).toBe(0);
      expect(await cachedOf(more)).toBe(2 * block_size);
    }
    await engine.unloadAdapter?.("a");
    if (adapters) {
      expect(engine.submit(request(1, prompt, 1, { adapter: "a" }))?.code).toBe("bad_request");
    }
    // constrained.test.ts has the rest.
    expect(engine.prepare !== undefined).toBe(capabilities.constrains);
    // engine-blocks.test.ts has the rest.
    expect(engine.blocks !== undefined).toBe(capabilities.exports_blocks);
  });

  test("an answer has consecutive indices from 0 and exactly one end", async () => {
    const answer = await one(request(1, freshPrompt(20), 30));
    expect(answer.faults).toEqual([]);
    expect(answer.first_index).toBe(0);
    expect(answer.tokens).toHaveLength(30);
    expect(answer.finished).toMatchObject({ reason: "length", prompt_tokens: 20 });
    for (const token of answer.tokens) expect(token).toBeLessThan(engine.describe().vocab_size);
  });

  test("poll gives no more events than asked for and loses none", async () => {
    const requests = [1, 2, 3].map((handle) => request(handle, freshPrompt(8), 12));
    for (const r of requests) {
      driver.answers.delete(r.handle);
      expect(engine.submit(r)).toBeUndefined();
    }
    const answers = requests.map((r) => driver.answer(r.handle));
    while (answers.some((answer) => !answer.finished)) {
      if (!driver.pump(1)) await Bun.sleep(1);
    }
    for (const answer of answers) {
      expect(answer.tokens).toHaveLength(12);
      expect(answer.faults).toEqual([]);
    }
  });

  test("64 streams run at once, end, and are not mixed up", async () => {
    const { replays_exactly } = engine.describe().capabilities;
    const prompts = Array.from({ length: 64 }, () => freshPrompt(24));
    const crowd = await driver.run(prompts.map((prompt, i) => request(100 + i, prompt, 16)));
    for (const answer of crowd) {
      expect(answer.faults).toEqual([]);
      expect(answer.tokens).toHaveLength(16);
      expect(answer.finished).toMatchObject({ reason: "length", prompt_tokens: 24 });
    }
    // Alone the batch has another shape. Where logits differ in the last bits, one of these answers
    // may part from its twin; a mix-up would part them all.
    let same = 0;
    for (const i of [0, 7, 31, 63]) {
      const alone = await one(request(1, prompts[i]!, 16));
      same += Number(Bun.deepEquals(alone.tokens, crowd[i]!.tokens));
    }
    expect(same).toBeGreaterThanOrEqual(replays_exactly ? 4 : 3);
  });

  test("the same seed gives the same tokens", async () => {
    const prompt = freshPrompt(16);
    const sampled = { sampling: SAMPLED };
    const first = await one(request(1, prompt, 24, sampled));
    const again = await one(request(2, prompt, 24, sampled));
    expect(again.tokens).toEqual(first.tokens);
  });

  test("an answer continued at any index goes on with the same tokens", async () => {
    const prompt = freshPrompt(16);
    const whole = await one(request(1, prompt, 12, { sampling: SAMPLED }));
    let same = 0;
    for (let index = 0; index <= 12; index++) {
      const tokens = Uint32Array.from([...prompt, ...whole.tokens.slice(0, index)]);
      const rest = await one(request(2, prompt, 12 - index, { tokens, sampling: SAMPLED }));
      expect(rest.faults).toEqual([]);
      expect(rest.tokens).toHaveLength(12 - index);
      if (index < 12) expect(rest.first_index).toBe(index);
      expect(rest.finished).toMatchObject({ reason: "length", prompt_tokens: 16 });
      same += Number(Bun.deepEquals(rest.tokens, whole.tokens.slice(index)));
    }
    // Batch shapes differ here as well (the answer comes back as a prompt).
    const { replays_exactly } = engine.describe().capabilities;
    expect(same).toBeGreaterThanOrEqual(replays_exactly ? 13 : 11);
  });

  test("cancel ends a waiting and a running request, once", async () => {
    driver.answers.clear();
    const long = request(1, freshPrompt(10), 400);
    expect(engine.submit(long)).toBeUndefined();
    engine.cancel(1); // waiting: the engine has not seen it yet
    expect(engine.submit(request(2, freshPrompt(10), 400))).toBeUndefined();
    await driver.until(() => driver.answer(2).tokens.length >= 3);
    engine.cancel(2);
    engine.cancel(2);
    await driver.until(() => Boolean(driver.answer(1).finished && driver.answer(2).finished));
    for (const handle of [1, 2]) {
      const answer = driver.answer(handle);
      expect(answer.finished?.reason).toBe("cancelled");
      expect(answer.faults).toEqual([]);
      expect(answer.tokens.length).toBeLessThan(400);
    }
    engine.cancel(2); // long gone
    engine.cancel(12345); // never there
    expect((await one(request(2, freshPrompt(5), 3))).tokens).toHaveLength(3);
  });

  test("the queue is bounded and the rest is served", async () => {
    driver.answers.clear();
    const accepted: number[] = [];
    let refused: EngineRefusal | undefined;
    for (let handle = 0; handle < 1000 && !refused; handle++) {
      const refusal = engine.submit(request(handle, freshPrompt(4), 2));
      if (refusal) refused = refusal;
      else accepted.push(handle);
    }
    expect(refused?.code).toBe("queue_full");
    expect(failureClass(refused!)).toBe("passing");
    expect(accepted).toHaveLength(MAX_NUM_SEQS + MAX_QUEUE);
    await driver.until(() => accepted.every((handle) => driver.answer(handle).finished));
    expect((await one(request(1, freshPrompt(4), 2))).tokens).toHaveLength(2);
  });

  test("a request longer than the context is refused with both numbers", () => {
    const refusal = engine.submit(request(1, freshPrompt(500), 13));
    expect(refusal?.code).toBe("context_overflow");
    expect(refusal?.message).toContain("512");
    expect(refusal?.message).toContain("500");
  });

  test("the longest request that fits is served", async () => {
    const answer = await one(request(1, freshPrompt(480), 32));
    expect(answer.tokens).toHaveLength(32);
    expect(answer.finished?.reason).toBe("length");
  });

  test("bad requests are refused", () => {
    const { vocab_size } = engine.describe();
    const refusals = [
      request(1, [], 4),
      request(1, [vocab_size], 4),
      request(1, [5], 4, { prompt_tokens: 2 }),
      request(1, [5], 4, { logprobs: 21 }),
    ].map((bad) => engine.submit(bad)!);
    for (const refusal of refusals) {
      expect(refusal.code).toBe("bad_request");
      expect(failureClass(refusal)).toBe("request");
    }
  });

  test("takes as many stop tokens, biases and log probabilities as a request may name", async () => {
    const { vocab_size } = engine.describe();
    const ids = (count: number) => Array.from({ length: count }, (_, i) => 20 + (i % 200));
    const biases = (count: number) => ids(count).map((_, i) => [i, 0] as const);
    const logit_bias = biases(Math.min(requestLimits.logit_bias, vocab_size));
    const most = await one(
      request(1, freshPrompt(8), 3, {
        ...{ stop_tokens: ids(stopTokensLimit), min_tokens: 3 },
        ...{ sampling: { ...GREEDY, logit_bias }, logprobs: requestLimits.top_logprobs },
      }),
    );
    expect(most.finished?.reason).toBe("length");
    expect(most.tokens).toHaveLength(3);
    const beyond: Partial<EngineRequest>[] = [
      { stop_tokens: ids(stopTokensLimit + 1) },
      { sampling: { ...GREEDY, logit_bias: biases(requestLimits.logit_bias + 1) } },
      { logprobs: requestLimits.top_logprobs + 1 },
    ];
    for (const more of beyond) {
      expect(engine.submit(request(1, [5], 4, more))?.code).toBe("bad_request");
    }
  });

  test("no tokens to make is an answer of none", async () => {
    const answer = await one(request(1, freshPrompt(5), 0));
    expect(answer.tokens).toEqual([]);
    expect(answer.finished?.reason).toBe("length");
  });

  test("stop tokens end the answer and are not in it", async () => {
    const prompt = freshPrompt(16);
    const free = await one(request(1, prompt, 12));
    const stop = free.tokens[5]!;
    const expected = free.tokens.slice(0, free.tokens.indexOf(stop));
    const stopped = await one(request(2, prompt, 12, { stop_tokens: [stop] }));
    expect(stopped.tokens).toEqual(expected);
    expect(stopped.finished).toMatchObject({ reason: "stop", stop_token: stop });
  });

  test("min_tokens holds stop tokens back", async () => {
    const prompt = freshPrompt(16);
    const free = await one(request(1, prompt, 12));
    const more = { stop_tokens: [free.tokens[0]!], min_tokens: 6 };
    const answer = await one(request(2, prompt, 12, more));
    expect(answer.tokens.length).toBeGreaterThanOrEqual(6);
    expect(answer.tokens.slice(0, 6)).not.toContain(free.tokens[0]!);
    // Counted over all workers: five delivered, one more to go.
    const tokens = Uint32Array.from([...prompt, ...free.tokens.slice(1, 6)]);
    const rest = await one(request(2, prompt, 7, { tokens, ...more }));
    expect(rest.first_index).toBe(5);
  });

  test("ignore_eos makes exactly max_tokens", async () => {
    const answer = await one(request(1, freshPrompt(6), 200, { ignore_eos: true }));
    expect(answer.tokens).toHaveLength(200);
  });

  test("logprobs: one a token, the likeliest first, or none", async () => {
    const prompt = freshPrompt(12);
    const none = await one(request(1, prompt, 5));
    expect(none.logprobs).toEqual([]);
    const chosen = await one(request(1, prompt, 5, { logprobs: 0 }));
    expect(chosen.logprobs.map(({ top }) => top.length)).toEqual([0, 0, 0, 0, 0]);
    const top = await one(request(1, prompt, 5, { logprobs: 20 }));
    expect(top.logprobs).toHaveLength(5);
    for (const [i, { logprob, top: likeliest }] of top.logprobs.entries()) {
      expect(likeliest).toHaveLength(20);
      expect(likeliest[0]).toEqual([top.tokens[i]!, logprob]); // greedy
      const values = likeliest.map(([, value]) => value);
      expect(values).toEqual([...values].sort((a, b) => b - a));
      expect(values.reduce((sum, value) => sum + Math.exp(value), 0)).toBeLessThan(1.0001);
    }
  });

  test("the second identical prompt finds its blocks in the cache", async () => {
    const { total_blocks, block_size } = engine.describe();
    const prompt = freshPrompt(3 * block_size + 10);
    const first = await one(request(1, prompt, 4));
    const second = await one(request(2, prompt, 4));
    expect(first.finished?.cached_tokens).toBe(0);
    expect(second.finished?.cached_tokens).toBe(total_blocks > 0 ? 3 * block_size : 0);
    expect(second.tokens).toEqual(first.tokens);
  });

  test("choices that arrive together share their prompt", async () => {
    const { total_blocks, block_size } = engine.describe();
    const prompt = freshPrompt(2 * block_size + 5);
    const before = engine.stats();
    const answers = await driver.run(
      [0, 1, 2, 3].map((choice) => request(choice, prompt, 6, { choice, sampling: SAMPLED })),
    );
    const cached = answers.map((answer) => answer.finished!.cached_tokens).sort((a, b) => a - b);
    const shared = total_blocks > 0 ? 2 * block_size : 0;
    expect(cached).toEqual([0, shared, shared, shared]);
    const after = engine.stats();
    expect(after.prompt_tokens_total - before.prompt_tokens_total).toBe(4 * prompt.length);
    expect(after.cached_tokens_total - before.cached_tokens_total).toBe(3 * shared);
  });

  test("a cleared cache has nothing for what comes later, and says so", async () => {
    const { block_size } = engine.describe();
    expect(engine.clearCache === undefined).toBe(engine.kv_events === undefined);
    if (engine.kv_events === undefined) return;
    // Of its own, so that the prompts of the other tests stay what they are.
    const prompt = Array.from({ length: 3 * block_size + 1 }, (_, i) => 1 + ((i * i + 7) % 400));
    const cachedOf = async (handle: number) =>
      (await one(request(handle, prompt, 2))).finished?.cached_tokens;
    expect([await cachedOf(1), await cachedOf(2)]).toEqual([0, 3 * block_size]);
    const replay = replayOf(engine.kvDump!());
    replay.events = engine.kv_events.nextId();
    engine.kv_events.onEvent((event) => replay.take(event));
    expect(engine.clearCache!()).toBe(true);
    expect([await cachedOf(3), await cachedOf(4)]).toEqual([0, 3 * block_size]);
    // What was made since is all there is.
    expect(replay.held.size).toBe(3);
    expect(engine.stats().cached_blocks).toBe(3);
    expect(replayOf(engine.kvDump!()).held).toEqual(replay.held);
    expect(replay.faults).toEqual([]);
  });

  test("KV events name what is cached, as a dump does", async () => {
    const { block_size } = engine.describe();
    if (engine.kv_events === undefined) {
      // Nothing to tell: then nothing may ever be found either.
      expect(engine.kvDump).toBeUndefined();
      const again = request(1, freshPrompt(3 * block_size), 2);
      for (let i = 0; i < 2; i++) expect((await one(again)).finished?.cached_tokens).toBe(0);
      return;
    }
    const replay = replayOf(engine.kvDump!());
    replay.events = engine.kv_events.nextId();
    engine.kv_events.onEvent((event) => replay.take(event));
    const prompt = freshPrompt(3 * block_size + 10);
    const names = blockHashes(Uint32Array.from(prompt), block_size).sequence_hashes;
    expect(replay.match(names)).toBe(0);
    await one(request(1, prompt, 4));
    expect(replay.match(names)).toBe(3);
    const branch = [...prompt.slice(0, 2 * block_size), ...freshPrompt(block_size + 1)];
    const branched = await one(request(2, branch, 1));
    expect(branched.finished?.cached_tokens).toBe(2 * block_size);
    expect(replay.match(blockHashes(Uint32Array.from(branch), block_size).sequence_hashes)).toBe(3);
    await driver.run([3, 4, 5].map((handle) => request(handle, prompt, 4, { choice: handle })));
    const dump = engine.kvDump!();
    expect(dump.last_event_id).toBe(engine.kv_events.last_event_id);
    expect(replayOf(dump).held).toEqual(replay.held);
    expect(replay.held.size).toBe(engine.stats().cached_blocks);
    expect(replay.faults).toEqual([]);
  });

  test("a cache too small for all prompts: each goes as its events say", async () => {
    const small = await openSmall?.();
    if (small === undefined) return expect(engine.kv_events).toBeUndefined();
    const { block_size, total_blocks } = small.describe();
    const replay = new KvReplay();
    small.kv_events!.onEvent((event) => replay.take(event));
    const crowd = new EngineDriver(small);
    const prompts = Array.from({ length: total_blocks }, () => freshPrompt(2 * block_size + 8));
    await crowd.run(prompts.map((prompt, i) => request(i, prompt, 1 + (i % 20))));
    for (const prompt of prompts) {
      const names = blockHashes(Uint32Array.from(prompt), block_size).sequence_hashes;
      const expected = replay.match(names) * block_size;
      const [answer] = await crowd.run([request(1, prompt, 1)]);
      expect(answer!.finished!.cached_tokens).toBe(expected);
    }
    expect(replay.faults).toEqual([]);
    expect(replayOf(small.kvDump!()).held).toEqual(replay.held);
    await small.close();
  }, 20_000);

  test("embeddings have unit length, or are refused where there are none", async () => {
    const { embedding_size, capabilities } = engine.describe();
    driver.answers.clear();
    const prompt = Uint32Array.from(freshPrompt(150));
    if (!capabilities.pools.includes("vector")) {
      expect(engine.embed(1, prompt, "vector")?.code).toBe("not_supported");
      return;
    }
    expect(engine.embed(1, prompt, "vector")).toBeUndefined();
    expect(engine.embed(2, prompt, "vector")).toBeUndefined();
    expect(engine.embed(3, Uint32Array.from(freshPrompt(150)), "vector")).toBeUndefined();
    expect(engine.embed(4, new Uint32Array(), "vector")?.code).toBe("bad_request");
    await driver.until(() => [1, 2, 3].every((handle) => driver.answer(handle).embedding));
    const [a, b, c] = [1, 2, 3].map((handle) => driver.answer(handle).embedding!);
    const dot = (x: Float32Array, y: Float32Array) =>
      x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    expect(a).toHaveLength(embedding_size);
    expect(dot(a!, a!)).toBeCloseTo(1, 4);
    expect(dot(a!, b!)).toBeCloseTo(1, 3);
    expect(dot(a!, c!)).toBeLessThan(0.999);
  });

  test("embeddings and answers run side by side", async () => {
    if (!engine.describe().capabilities.pools.includes("vector"))
      return expect(engine.embed(1, Uint32Array.of(1), "vector")).toBeDefined();
    driver.answers.clear();
    expect(engine.embed(50, Uint32Array.from(freshPrompt(300)), "vector")).toBeUndefined();
    const answers = await driver.run([1, 2].map((h) => request(h, freshPrompt(30), 20)));
    await driver.until(() => driver.answer(50).embedding !== undefined);
    for (const answer of answers) expect(answer.tokens).toHaveLength(20);
  });

  test("idle stats are back to zero and the totals stay", async () => {
    await one(request(1, freshPrompt(10), 5));
    const stats = engine.stats();
    expect(stats).toMatchObject({ running: 0, waiting: 0, used_blocks: 0 });
    expect(stats.generated_tokens_total).toBeGreaterThan(0);
    expect(stats.steps_total).toBeGreaterThan(0);
  });

  test("a closed engine refuses and says nothing more", async () => {
    const other = await open();
    expect(other.submit(request(1, freshPrompt(10), 300))).toBeUndefined();
    other.step(0);
    await other.close();
    const refusal = other.submit(request(2, freshPrompt(10), 3));
    expect(refusal?.code).toBe("closed");
    expect(failureClass(refusal!)).toBe("fatal");
    other.cancel(1);
    expect(other.step(0)).toBeUndefined();
    expect(other.poll(10)).toEqual([]);
    await other.close(); // again is fine
  });
});

test("every engine of the table is here", () => {
  const kinds = new Set(ENGINES.map(({ name }) => name.split(" ")[0]!));
  expect([...kinds].sort()).toEqual([...engineNames].sort());
});

test("each failure is the request's, passes, or ends the engine", () => {
  const end = { kind: "finished", handle: 1, prompt_tokens: 1, cached_tokens: 0 } as const;
  expect(failureClass({ ...end, reason: "error" })).toBe("passing");
  for (const reason of ["stop", "length", "cancelled"] as const) {
    expect(failureClass({ ...end, reason })).toBeUndefined();
  }
  expect(failureClass({ kind: "tokens", handle: 1, first_index: 0, tokens: [1] })).toBeUndefined();
  expect(failureClass({ code: "context_overflow", message: "" })).toBe("request");
  expect(failureClass({ code: "not_supported", message: "" })).toBe("request");
  expect(failureClass(new EngineFailedError("a step failed"))).toBe("fatal");
});

test("the header of the native engine knows the limits of a request", () => {
  expect<number[]>([TR.MAX_STOP, TR.MAX_BIAS, TR.MAX_TOP]).toEqual([
    stopTokensLimit,
    requestLimits.logit_bias,
    requestLimits.top_logprobs,
  ]);
  const header = readFileSync(join(import.meta.dir, "../../native/troupe.h"), "utf8");
  for (const name of ["MAX_STOP", "MAX_BIAS", "MAX_TOP"] as const) {
    expect(header).toMatch(new RegExp(`#define TR_${name} ${TR[name]}\\b`));
  }
});
