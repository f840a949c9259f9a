/** The line that says what an engine took memory for, and what a worker may take. */
import { expect, test } from "bun:test";
import {
  type MemoryNumbers,
  memoryOptions,
  memoryText,
} from "../../../../actors/engine/llama/memory.ts";

const numbers: MemoryNumbers = {
  ...{ weight_bytes: 246.6e6, own_weight_bytes: 0, gpu_weight_bytes: 0 },
  ...{ kv_bytes: 604e6, kv_tokens: 32_768, kv_type: 0, buffer_bytes: 135e6, free_bytes: 20.9e9 },
  ...{ context_length: 32_768, trained_context: 32_768, max_num_seqs: 64 },
};

const cases: readonly (readonly [Partial<MemoryNumbers>, string])[] = [
  [
    {},
    "247 MB of weights (in pages of the file, which workers share); " +
      "32,768 tokens of KV in f16 take 604 MB: a context of 32,768, or 64 answers of 512; " +
      "buffers take 135 MB; 20.9 GB stay free",
  ],
  [
    { own_weight_bytes: 13e6, kv_type: 8, kv_bytes: 321e6, trained_context: 131_072 },
    "247 MB of weights (13.0 MB laid out in memory of its own, the rest in pages of the file, which " +
      "workers share); 32,768 tokens of KV in q8_0 take 321 MB: " +
      "a context of 32,768 of the model's 131,072, or 64 answers of 512; " +
      "buffers take 135 MB; 20.9 GB stay free",
  ],
  [
    { gpu_weight_bytes: 200e6, own_weight_bytes: 50e6, kv_type: 2, max_num_seqs: 1 },
    "247 MB of weights (200 MB on the GPU, 50.0 MB laid out in memory of its own); " +
      "32,768 tokens of KV in q4_0 take 604 MB: a context of 32,768, or 1 answers of 32,768; " +
      "buffers take 135 MB; 20.9 GB stay free",
  ],
  [
    { kv_bytes: 0 },
    "247 MB of weights (in pages of the file, which workers share); " +
      "buffers take 135 MB; 20.9 GB stay free",
  ],
];

test("what it took, in one line", () => {
  for (const [more, text] of cases) expect(memoryText({ ...numbers, ...more })).toBe(text);
});

const common = { context_length: 0, max_num_seqs: 0, block_size: 0, threads: 0 };
const fit = { context_length: 4_096, weights: "shared" } as const;

test("what it may take: as the machine has it, unless somebody said it", () => {
  expect(memoryOptions({ weights: "auto" }, { settings: common })).toEqual({
    context_is_wish: true,
    weights: "own",
  });
  expect(
    memoryOptions({ weights: "auto" }, { settings: common, fit, freeMemory: () => 3.7 * 2 ** 20 }),
  ).toEqual({ memory_limit_mib: 3, context_is_wish: true, weights: "shared" });
  const asked = { ...common, context_length: 2_048 };
  expect(memoryOptions({ weights: "own" }, { settings: asked, fit })).toEqual({
    context_is_wish: false,
    weights: "own",
  });
});
