/** Caches of smaller numbers answer almost alike, and their blocks move like others. */
import { beforeAll, expect, test } from "bun:test";
import { openLlama } from "../../../actors/engine/llama/llama.ts";
import { buildShim } from "../../../native/build.ts";
import { EngineDriver, request } from "../../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../../support/engine/engine-model.ts";

beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it

const PROMPT = Array.from({ length: 200 }, (_, i) => 20 + ((i * i * 7 + i) % 200));
const limits = { context_length: 512, kv_tokens: 512, max_num_seqs: 2 };

async function scoresOf(kv_type: "f16" | "q8_0" | "q4_0") {
  const engine = await openLlama({ model: TEST_MODEL, threads: 1, ...limits, kv_type });
  try {
    const driver = new EngineDriver(engine);
    const wanted = { logprobs: 0, scores_from: 0 };
    const [first] = await driver.run([request(1, PROMPT, 4, wanted)]);
    // The second time its blocks are in the cache.
    const [again] = await driver.run([request(2, PROMPT, 4)]);
    expect(again!.finished!.cached_tokens).toBeGreaterThan(0);
    expect(again!.tokens).toHaveLength(4);
    expect(first!.faults).toEqual([]);
    const { scores } = first!;
    return scores.reduce((sum, { logprob }) => sum - logprob, 0) / scores.length;
  } finally {
    await engine.close();
  }
}

test("q8_0 and q4_0 score a prompt nearly as f16 does", async () => {
  const f16 = await scoresOf("f16");
  const q8 = await scoresOf("q8_0");
  const q4 = await scoresOf("q4_0");
  expect(q8).not.toBe(f16);
  expect(Math.abs(q8 / f16 - 1)).toBeLessThan(0.02);
  expect(Math.abs(q4 / f16 - 1)).toBeLessThan(0.2);
}, 60_000);
