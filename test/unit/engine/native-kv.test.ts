/** The native engine's cache: what happens when it is small, full, shared and evicted from. */

import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LlamaEngine, openLlama } from "../../../actors/engine/llama/llama.ts";
import { buildShim } from "../../../native/build.ts";
import { EngineDriver, GREEDY, request } from "../../support/engine/engine-driver.ts";
import { randomGguf } from "../../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-kv-"));
const MODEL = join(folder, "random.gguf");
await Bun.write(MODEL, randomGguf());
beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it
afterAll(() => rmSync(folder, { recursive: true }));

let engine: LlamaEngine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

async function drive(options: Partial<Parameters<typeof openLlama>[0]>): Promise<EngineDriver> {
  engine = await openLlama({ model: MODEL, context_length: 512, ...options });
  return new EngineDriver(engine);
}

const SIZES = [16, 32, 64];

/** The same for the same seed: a prompt of ordinary tokens. */
function prompt(seed: number, length: number): number[] {
  let state = seed * 2654435761;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 20 + ((state >>> 8) % 200);
  });
}

const alike = (a: readonly number[], b: readonly number[]) => {
  const parted = a.findIndex((token, i) => token !== b[i]);
  return parted < 0 ? a.length : parted;
};

test("more answers than the cache holds: all end whole, none is lost to preemption", async () => {
  const requests = Array.from({ length: 40 }, (_, i) => request(i, prompt(i + 1, 30), 200));
  const roomy = await drive({ kv_tokens: 16384 });
  const expected = (await roomy.run(requests)).map((answer) => answer.tokens);
  await engine!.close();
  const tight = await drive({ kv_tokens: 1024 }); // 40 × 230 positions are wanted
  const answers = await tight.run(requests);
  let together = 0;
  for (const [i, answer] of answers.entries()) {
    expect(answer.faults).toEqual([]);
    expect(answer.tokens).toHaveLength(200);
    expect(answer.finished).toMatchObject({ reason: "length", prompt_tokens: 30 });
    together += alike(answer.tokens, expected[i]!);
  }
  // Batch shapes differ, so greedy answers may part where two tokens are equally likely, but
  // cells given to the wrong sequence would part them at once.
  expect(together / 40).toBeGreaterThan(60);
  expect(tight.engine.stats()).toMatchObject({ running: 0, waiting: 0, used_blocks: 0 });
}, 20_000);

test("one answer may use the whole cache, after it was full of others' blocks", async () => {
  const driver = await drive({ kv_tokens: 512 });
  for (let i = 0; i < 6; i++) await driver.run([request(1, prompt(100 + i, 200), 20)]);
  expect(driver.engine.stats().cached_blocks).toBeGreaterThan(3);
  const [answer] = await driver.run([request(1, prompt(200, 300), 212)]);
  expect(answer!.tokens).toHaveLength(212);
});

test("the least recently used beginning goes first", async () => {
  const driver = await drive({ kv_tokens: 1024 });
  const cached = async (seed: number) => {
    const [answer] = await driver.run([request(1, prompt(seed, 200), 2)]);
    return answer!.finished!.cached_tokens;
  };
  expect(await cached(1)).toBe(0);
  expect(await cached(2)).toBe(0);
  expect(await cached(3)).toBe(0);
  expect(await cached(4)).toBe(0); // 12 of 16 blocks
  expect(await cached(1)).toBe(192); // 1 is now younger than 2
  for (const seed of [5, 6]) expect(await cached(seed)).toBe(0);
  expect(await cached(1)).toBe(192);
  expect(await cached(2)).toBeLessThan(192);
});

test.each(SIZES)(
  "a conversation that grows finds every turn before it, by blocks of %d",
  async (block_size) => {
    const driver = await drive({ kv_tokens: 4096, block_size });
    let tokens = prompt(7, 70);
    for (let turn = 0; turn < 5; turn++) {
      const [answer] = await driver.run([request(1, tokens, 40)]);
      if (turn > 0) {
        const known = tokens.length - 10 - 1; // the last token of an answer is never computed
        expect(answer!.finished!.cached_tokens).toBe(Math.floor(known / block_size) * block_size);
      }
      tokens = [...tokens, ...answer!.tokens, ...prompt(70 + turn, 10)];
    }
  },
);

test("blocks of any size give the same answers, from the cache and without", async () => {
  const prompts = Array.from({ length: 6 }, (_, i) => prompt(300 + i, 40 + 37 * i));
  const texts: (readonly number[])[][] = [];
  for (const block_size of SIZES) {
    const driver = await drive({ kv_tokens: 4096, block_size });
    expect(driver.engine.describe()).toMatchObject({ block_size, total_blocks: 4096 / block_size });
    const answers: (readonly number[])[] = [];
    for (const tokens of prompts) {
      const [cold, warm] = [
        (await driver.run([request(1, tokens, 30)]))[0]!,
        (await driver.run([request(2, tokens, 30)]))[0]!,
      ];
      expect(cold.finished!.cached_tokens).toBe(0);
      const full = Math.floor((tokens.length - 1) / block_size);
      expect(warm.finished!.cached_tokens).toBe(full * block_size);
      answers.push([...cold.tokens], [...warm.tokens]);
    }
    texts.push(answers);
    await engine!.close();
    engine = undefined;
  }
  for (const answers of texts) expect(answers).toEqual(texts[0]!);
}, 20_000);

test("blocks of another size are refused in one line", async () => {
  for (const block_size of [8, 48, 128]) {
    await expect(drive({ block_size })).rejects.toThrow(
      `a cache block has 16, 32 or 64 tokens, not ${block_size}`,
    );
  }
});

test("branches of one beginning share it, and more branches than ids still work", async () => {
  const driver = await drive({ kv_tokens: 32768 });
  const root = prompt(9, 64);
  const branch = (i: number) => request(i, [...root, ...prompt(1000 + i, 70)], 3);
  const first = await driver.run(Array.from({ length: 250 }, (_, i) => branch(i)));
  for (const answer of first) expect(answer.tokens).toHaveLength(3);
  const cached = first.map((answer) => answer.finished!.cached_tokens);
  expect(cached.filter((n) => n === 64).length).toBe(249);
  const [again] = await driver.run([branch(249)]);
  expect(again!.finished!.cached_tokens).toBe(128);
  expect(again!.tokens).toEqual(first[249]!.tokens);
}, 20_000);

test("without the prefix cache nothing stays behind", async () => {
  const driver = await drive({ prefix_cache: false });
  const long = request(1, prompt(3, 200), 4);
  await driver.run([long]);
  const [answer] = await driver.run([long]);
  expect(answer!.finished!.cached_tokens).toBe(0);
  expect(driver.engine.stats().cached_blocks).toBe(0);
});

test.each(SIZES)(
  "random arrivals, cancels and lengths leave nothing behind, in blocks of %d",
  async (block_size) => {
    const driver = await drive({ kv_tokens: 1536, max_num_seqs: 24, max_queue: 200, block_size });
    let state = 12345;
    const random = (n: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % n;
    };
    const made = new Map<number, { max: number; cancelled: boolean }>();
    for (let handle = 0; handle < 400; handle++) {
      const tokens = [
        ...prompt(random(6), 64 * random(4)),
        ...prompt(5000 + handle, 1 + random(40)),
      ];
      const max = 1 + random(150);
      const sampling = { ...GREEDY, temperature: random(2), seed: BigInt(handle) };
      const r = request(handle, tokens, max, { sampling, logprobs: random(8) - 1 });
      while (driver.engine.submit(r)?.code === "queue_full") {
        if (!driver.pump()) await Bun.sleep(1);
      }
      made.set(handle, { max, cancelled: false });
      if (random(4) === 0) {
        const victim = random(handle + 1);
        made.get(victim)!.cancelled = true;
        driver.engine.cancel(victim);
      }
      if (random(3) === 0) driver.pump(random(50) + 1);
    }
    const ended = () => [...made.keys()].every((handle) => driver.answer(handle).finished);
    await driver.until(ended);
    for (const [handle, { max, cancelled }] of made) {
      const answer = driver.answer(handle);
      expect(answer.faults).toEqual([]);
      if (answer.finished!.reason === "cancelled") expect(cancelled).toBe(true);
      else expect(answer.tokens).toHaveLength(max);
    }
    expect(driver.engine.stats()).toMatchObject({ running: 0, waiting: 0, used_blocks: 0 });
  },
  20_000,
);

test("nobody says how large the cache is: by free memory and by who shares it, a context at least", async () => {
  const cells = async (options: Partial<Parameters<typeof openLlama>[0]>) => {
    const { engine } = await drive({ max_num_seqs: 64, ...options });
    const { total_blocks, block_size, build } = engine.describe();
    await engine.close();
    expect(build).toContain(`cache: ${total_blocks * block_size} tokens`);
    return total_blocks * block_size;
  };
  expect(await cells({})).toBe(64 * 256);
  expect(await cells({ max_num_seqs: 8 })).toBe(8 * 256);
  // 512 bytes a token, 1,024 of a batch for it; half of some 6 MiB that model and buffers leave.
  const tight = await cells({ memory_limit_mib: 8 });
  expect(tight).toBeGreaterThan(1_700);
  expect(tight).toBeLessThan(2_400);
  const shared = await cells({ memory_limit_mib: 8, sharers: 4 });
  expect(Math.abs(shared - tight / 4)).toBeLessThanOrEqual(256);
  expect(await cells({ memory_limit_mib: 8, sharers: 100 })).toBe(512);
  expect(await cells({ kv_tokens: 1024 })).toBe(1024);
  expect(await cells({ kv_tokens: 100 })).toBe(512);
});
