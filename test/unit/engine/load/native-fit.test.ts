/** A context nobody asked for is as long as fits; one that was asked for is refused in a line. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LlamaOptions, openLlama } from "../../../../actors/engine/llama/llama.ts";
import { buildShim } from "../../../../native/build.ts";
import { TEST_MODEL } from "../../../support/engine/engine-model.ts";
import { randomGguf } from "../../../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-fit-"));
const LONG = join(folder, "long.gguf");
const U32 = 4;
await Bun.write(LONG, randomGguf([["llama.context_length", U32, 32_768]]));
beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it
afterAll(() => rmSync(folder, { recursive: true }));

/** Of an engine that opens, or the line of one that does not. */
async function opened(options: Partial<LlamaOptions>) {
  const given = { model: LONG, threads: 1, max_num_seqs: 4, ...options };
  const engine = await openLlama(given).catch((error: Error) => error.message);
  if (typeof engine === "string") return { refused: engine };
  const { context_length, total_blocks, block_size, memory = "" } = engine.describe();
  await engine.close();
  return { context_length, cells: total_blocks * block_size, memory };
}

test("a wish is cut to a power of two that fits, a demand is refused with what would fit", async () => {
  // 512 bytes a token, and 1,024 for it in a batch's mask.
  const limits = { context_length: 32_768, memory_limit_mib: 24 };
  expect(await opened({ ...limits, context_is_wish: true })).toMatchObject({
    ...{ context_length: 8_192, cells: 8_192 },
    memory: expect.stringContaining("a context of 8,192 of the model's 32,768"),
  });
  expect(await opened({ ...limits, context_is_wish: true, memory_limit_mib: 64 })).toMatchObject({
    context_length: 32_768,
  });
  const { refused } = await opened(limits);
  expect(refused).toMatch(
    /needs \d+ MiB \(weights 0, 32768 tokens of cache 16, buffers \d+\) and 24 MiB are free: /,
  );
  expect(refused).toMatch(/: give --context-length \d+ or less, or --kv-type q8_0$/);
  const fits = Number(/--context-length (\d+)/.exec(refused ?? "")?.[1]);
  expect(await opened({ ...limits, context_length: fits })).toMatchObject({ context_length: fits });
  const next = await opened({ ...limits, context_length: fits + 256 });
  expect(next.refused).toContain("are free");
}, 60_000);

test("not even the least fits: the line says what else to change", async () => {
  const wish = { context_length: 32_768, context_is_wish: true };
  expect((await opened({ ...wish, memory_limit_mib: 4 })).refused).toMatch(
    /2048 tokens of cache 1, .* 4 MiB are free: give --context-length \d+ or less, or --kv-type/,
  );
  expect((await opened({ ...wish, memory_limit_mib: 1 })).refused).toMatch(
    /1 MiB are free: use a smaller model, or fewer answers at once by --max-num-seqs \(now 4\)$/,
  );
  expect((await opened({ model: TEST_MODEL, memory_limit_mib: 2 })).refused).toMatch(
    /needs 10 MiB for its weights alone and 2 MiB are free: use a smaller model$/,
  );
}, 60_000);

test("what is counted beforehand is what llama.cpp takes, or a little more", async () => {
  for (const [model, context_length] of [
    [TEST_MODEL, 2_048],
    [LONG, 2_048],
    [LONG, 32_768],
  ] as const) {
    const kv_tokens = context_length;
    const { memory = "" } = await opened({ model, context_length, kv_tokens });
    const { refused = "" } = await opened({
      ...{ model, context_length, kv_tokens: 10 * context_length },
      memory_limit_mib: 16,
    });
    const took = (name: RegExp) => 1e6 * Number(name.exec(memory)?.[1]);
    const [, cache = 0, buffers = 0] =
      /tokens of cache (\d+), buffers (\d+)/.exec(refused)?.map((mib) => 2 ** 20 * Number(mib)) ??
      [];
    // The one that is refused has ten times the tokens.
    expect(Math.abs(cache / 10 / took(/take ([\d.]+) MB:/) - 1)).toBeLessThan(0.1);
    const mask = 9 * context_length * 1_024;
    const ratio = (buffers - mask) / took(/buffers take ([\d.]+) MB/);
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.6);
  }
}, 60_000);

test("what is said of weights in pages of the file, and of others", async () => {
  const shared = await opened({ model: TEST_MODEL, weights: "shared" });
  const own = await opened({ model: TEST_MODEL, weights: "own" });
  for (const each of [shared, own]) expect(each.memory).toMatch(/^11\.\d MB of weights \(/);
  expect(shared.memory).toContain("(in pages of the file, which workers share)");
});
