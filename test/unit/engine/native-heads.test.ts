/** Models with other heads than the next token: what they say equals a direct computation. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LlamaEngine, openLlama } from "../../../actors/engine/llama/llama.ts";
import type { PoolKind } from "../../../proto/index.ts";
import {
  type BertHead,
  bertClasses,
  bertGguf,
  bertHidden,
  bertWeights,
  HIDDEN,
} from "../../support/engine/bert-gguf.ts";
import { EngineDriver, request } from "../../support/engine/engine-driver.ts";
import { randomGguf } from "../../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-heads-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** llama.cpp computes in 32 bits and takes its gelu from a table of 16-bit floats. */
const NEAR = 2e-2;

let files = 0;
async function opened(bytes: Uint8Array, run: (engine: LlamaEngine) => Promise<void>) {
  const model = join(folder, `${files++}.gguf`);
  writeFileSync(model, bytes);
  const engine = await openLlama({ model, max_num_seqs: 8, max_queue: 16, kv_tokens: 2_048 });
  try {
    await run(engine);
  } finally {
    await engine.close();
  }
}

/** All inputs at once, so that they share batches. */
async function pooled(engine: LlamaEngine, inputs: readonly (readonly number[])[], pool: PoolKind) {
  const driver = new EngineDriver(engine);
  for (const [i, tokens] of inputs.entries()) {
    expect(engine.embed(i + 1, Uint32Array.from(tokens), pool)).toBeUndefined();
  }
  const answers = inputs.map((_, i) => driver.answer(i + 1));
  await driver.until(() => answers.every(({ embedding }) => embedding !== undefined));
  return answers.map(({ embedding }) => embedding!);
}

function near(seen: Float32Array, wanted: readonly number[]): void {
  expect(seen).toHaveLength(wanted.length);
  const far = Math.max(...wanted.map((value, i) => Math.abs(value - seen[i]!)));
  expect(far).toBeLessThan(NEAR);
}

const text = (seed: number, length: number) =>
  Array.from({ length }, (_, i) => ((seed * 37 + i * i * 11) % 200) + 20);
const texts = [text(1, 5), text(2, 40), text(3, 1), text(4, 17), text(5, 120), text(6, 3)];

const unit = (x: readonly number[]) => {
  const length = Math.hypot(...x);
  return x.map((value) => value / length);
};
const mean = (rows: readonly (readonly number[])[]) =>
  rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);

const pools = {
  mean,
  cls: (rows: readonly (readonly number[])[]) => rows[0]!,
  last: (rows: readonly (readonly number[])[]) => rows.at(-1)!,
};

for (const pooling of ["mean", "cls", "last"] as const) {
  test(`an encoder that pools by ${pooling}`, async () => {
    const head: BertHead = { pooling };
    const weights = bertWeights(head);
    await opened(bertGguf(head), async (engine) => {
      const { capabilities, embedding_size, class_count, total_blocks } = engine.describe();
      expect(capabilities).toMatchObject({ generates: false, pools: ["vector", "raw", "tokens"] });
      expect({ embedding_size, class_count, total_blocks }).toEqual({
        ...{ embedding_size: HIDDEN, class_count: 0, total_blocks: 0 },
      });
      const [vectors, raw, tokens] = [
        await pooled(engine, texts, "vector"),
        await pooled(engine, texts, "raw"),
        await pooled(engine, texts, "tokens"),
      ];
      for (const [i, each] of texts.entries()) {
        const hidden = bertHidden(weights, each);
        near(vectors[i]!, unit(pools[pooling](hidden)));
        near(raw[i]!, pools[pooling](hidden));
        near(tokens[i]!, hidden.flat());
      }
      expect(engine.submit(request(90, [20], 1))?.code).toBe("not_supported");
      expect(engine.embed(91, Uint32Array.of(20), "classes")?.code).toBe("not_supported");
      expect(engine.embed(92, new Uint32Array(257).fill(20), "raw")?.code).toBe("context_overflow");
      expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
    });
  });
}

test("an encoder that does not pool gives vectors of tokens alone", async () => {
  await opened(bertGguf({ pooling: "none" }), async (engine) => {
    expect(engine.describe().capabilities.pools).toEqual(["tokens"]);
    expect(engine.embed(1, Uint32Array.of(20), "vector")?.code).toBe("not_supported");
    const [rows] = await pooled(engine, [text(1, 9)], "tokens");
    near(rows!, bertHidden(bertWeights({ pooling: "none" }), text(1, 9)).flat());
  });
});

test.each([1, 3])("a classification head of %d classes", async (count) => {
  const head: BertHead = { pooling: "rank", labels: ["a", "b", "c"].slice(0, count) };
  const weights = bertWeights(head);
  await opened(bertGguf(head), async (engine) => {
    const { capabilities, class_count } = engine.describe();
    expect([capabilities.pools, class_count]).toEqual([["classes"], count]);
    const said = await pooled(engine, texts, "classes");
    for (const [i, each] of texts.entries()) near(said[i]!, bertClasses(weights, each));
    expect(engine.embed(91, Uint32Array.of(20), "vector")?.code).toBe("not_supported");
  });
});

test("a file that says it ranks, without a head, is one clear line", async () => {
  const head: BertHead = { pooling: "rank", labels: ["a"] };
  const parts = ["cls.weight", "cls.bias", "cls.output.weight", "cls.output.bias"];
  const opening = opened(bertGguf(head, {}, parts), async () => {});
  await expect(opening).rejects.toThrow(/says that it ranks, and has no classification head/);
});

test("a model that generates pools as its file says", async () => {
  const inputs = [text(1, 5), text(2, 300), text(3, 65)];
  for (const [pooling, type] of [
    ["mean", 1],
    ["cls", 2],
    ["last", 3],
  ] as const) {
    await opened(randomGguf([["llama.pooling_type", 4, type]]), async (engine) => {
      const vectors = await pooled(engine, inputs, "raw");
      const rows = await pooled(engine, inputs, "tokens");
      for (const [i, tokens] of rows.entries()) {
        const hidden = Array.from({ length: inputs[i]!.length }, (_, at) => [
          ...tokens.subarray(at * 64, (at + 1) * 64),
        ]);
        near(vectors[i]!, pools[pooling](hidden));
      }
      expect((await new EngineDriver(engine).run([request(9, text(7, 20), 5)]))[0]).toMatchObject({
        finished: { reason: "length" },
      });
    });
  }
});
