/** What the llama engine says of its passes and of prompts that wait: routers learn from it. */

import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LlamaEngine, openLlama } from "../../../actors/engine/llama/llama.ts";
import { RateEstimator } from "../../../actors/router/policy/cost/pass-rates.ts";
import { buildShim } from "../../../native/build.ts";
import { EngineDriver, request } from "../../support/engine/engine-driver.ts";
import { randomGguf } from "../../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-sums-"));
const MODEL = join(folder, "random.gguf");
await Bun.write(MODEL, randomGguf());
beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it
afterAll(() => rmSync(folder, { recursive: true }));

let engine: LlamaEngine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

test("the build says no size where the model has none", async () => {
  const { build } = (await open()).describe();
  expect(build).toMatch(/^llama\.cpp [^,]+, llama [^,?]+, threads: 1, /);
});

async function open(options: Partial<Parameters<typeof openLlama>[0]> = {}): Promise<LlamaEngine> {
  engine = await openLlama({ model: MODEL, context_length: 512, threads: 1, ...options });
  return engine;
}

function prompt(seed: number, length: number): number[] {
  let state = (seed * 2654435761) >>> 0;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 20 + ((state >>> 8) % 200);
  });
}

/** Once the thread has published the step that reached so many: records of an end come before. */
async function settled(of: LlamaEngine, prefill_tokens: number, decode_passes = 0) {
  for (;;) {
    const sums = of.passSums();
    if (sums.prefill_tokens >= prefill_tokens && sums.decode_passes >= decode_passes) return sums;
    await Bun.sleep(1);
  }
}

test("prompt tokens that were computed and steps that drew tokens, cached ones not", async () => {
  const driver = new EngineDriver(await open({ kv_tokens: 4096, prefill_chunk: 64 }));
  const tokens = prompt(1, 200);
  await driver.run([request(1, tokens, 11)]);
  const first = await settled(engine!, 200, 10);
  expect(first).toMatchObject({ prefill_passes: 4, prefill_tokens: 200, decode_passes: 10 });
  expect(first.prefill_tokens_squared).toBe(3 * 64 ** 2 + 8 ** 2);
  expect(first.busy_ms).toBeGreaterThan(0);
  // Between 201 and 210 of 4,096 cells.
  expect(first.decode_share / first.decode_passes).toBeCloseTo(206 / 4096, 2);
  await driver.run([request(2, tokens, 1)]);
  const again = await settled(engine!, 208);
  expect(again.prefill_tokens - first.prefill_tokens).toBe(200 - 192);
  expect(again.prefill_passes - first.prefill_passes).toBe(1);
});

test("an embedding counts as prompt tokens", async () => {
  const driver = new EngineDriver(await open({ prefill_chunk: 64 }));
  expect(engine!.embed(1, Uint32Array.from(prompt(2, 100)), "vector")).toBeUndefined();
  await driver.until(() => driver.answer(1).embedding !== undefined);
  const sums = await settled(engine!, 100);
  expect(sums).toMatchObject({ prefill_passes: 2, prefill_tokens: 100 });
});

test("what waits is told until it is computed", async () => {
  const driver = new EngineDriver(await open({ max_num_seqs: 1, max_queue: 8 }));
  const requests = [1, 2, 3, 4].map((handle) => request(handle, prompt(handle, 300), 200));
  for (const each of requests) expect(engine!.submit(each)).toBeUndefined();
  await driver.until(() => driver.answer(1).tokens.length > 0);
  const { waiting, waiting_prefill_tokens = 0 } = engine!.stats();
  // The one that runs may be between its prompt and its first token.
  expect(waiting_prefill_tokens - 300 * waiting).toBeWithin(0, 301);
  await driver.until(() => requests.every(({ handle }) => driver.answer(handle).finished));
  expect(engine!.stats()).toMatchObject({ waiting: 0, waiting_prefill_tokens: 0 });
});

test("the router's rates come out of its reports", async () => {
  const driver = new EngineDriver(await open({ kv_tokens: 8192, max_num_seqs: 8 }));
  const estimator = new RateEstimator();
  let before = engine!.passSums();
  let prefilled = 0;
  let decoded = 0;
  // On a busy machine the first times may say nothing; more of them do.
  for (let i = 0; i < 24 || !((estimator.rates()?.token_ms ?? 0) > 0); i++) {
    const [length, make] = [20 + ((i * 97) % 400), 1 + ((i * 7) % 20)];
    await driver.run([request(1, prompt(100 + i, length), make)]);
    prefilled += length;
    decoded += make - 1;
    const now = await settled(engine!, prefilled, decoded);
    estimator.observe({
      prefill_passes: now.prefill_passes - before.prefill_passes,
      prefill_tokens: now.prefill_tokens - before.prefill_tokens,
      prefill_tokens_squared: now.prefill_tokens_squared - before.prefill_tokens_squared,
      decode_passes: now.decode_passes - before.decode_passes,
      decode_share: now.decode_share - before.decode_share,
      busy_ms: now.busy_ms - before.busy_ms,
    });
    before = now;
  }
  expect(estimator.rates()?.token_ms).toBeGreaterThan(0);
});
