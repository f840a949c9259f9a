/** LoRA adapters in the llama engine: as merged weights, in turns, apart in the cache. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LlamaEngine, openLlama } from "../../../actors/engine/llama/llama.ts";
import { blockHashes, blockSeed } from "../../../llm/blocks/block-hash.ts";
import { type Answer, EngineDriver, request } from "../../support/engine/engine-driver.ts";
import { type LoraShape, loraGguf, mergedGguf } from "../../support/engine/lora-gguf.ts";
import { randomGguf } from "../../support/engine/random-gguf.ts";
import { replayOf } from "../../support/worlds/kv-replay.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-lora-"));
const BASE = randomGguf();
const LORAS: Readonly<Record<string, LoraShape>> = { a: { seed: 1 }, b: { seed: 2, rank: 8 } };
const written = (name: string, bytes: Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};
const base = written("base.gguf", BASE);
const paths: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(LORAS).map(([name, lora]) => [
    name,
    written(`${name}.lora`, loraGguf(BASE, lora)),
  ]),
);

/** Larger than the prompts whose answers are compared: from the cache they would part at ties. */
const block_size = 64;
const sizes = { max_num_seqs: 8, max_queue: 16, kv_tokens: 4_096, context_length: 1_024 };
const opened = (model: string) => openLlama({ model, block_size, ...sizes });
const prompt = (seed: number, length: number) =>
  Array.from({ length }, (_, i) => ((seed * 37 + i * i * 11) % 200) + 20);
const TOKENS = 40;
/** Keys and values are kept in 16 bits; other tokens are far further apart. */
const NEAR = 3e-2;
const logprobs = { logprobs: 1 };

let engine: LlamaEngine;
let driver: EngineDriver;
const wanted = new Map<string, readonly Answer[]>();

/** What each model says after each prompt, alone. */
beforeAll(async () => {
  const models = { "": base, ...merged() };
  for (const [name, path] of Object.entries(models)) {
    const alone = await opened(path);
    const runs = new EngineDriver(alone);
    wanted.set(
      name,
      await runs.run([1, 2].map((i) => request(i, prompt(i, 30), TOKENS, logprobs))),
    );
    await alone.close();
  }
  engine = await opened(base);
  driver = new EngineDriver(engine);
}, 60_000);
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true });
});

const merged = () =>
  Object.fromEntries(
    Object.entries(LORAS).map(([name, lora]) => [
      name,
      written(`${name}-merged.gguf`, mergedGguf(BASE, lora)),
    ]),
  );

const of = (adapter: string) => (adapter === "" ? {} : { adapter });

function same(seen: Answer, expected: Answer): void {
  expect(seen.tokens).toEqual(expected.tokens);
  const far = seen.logprobs.map(({ logprob }, i) => {
    return Math.abs(logprob - expected.logprobs[i]!.logprob);
  });
  expect(Math.max(...far)).toBeLessThan(NEAR);
}

test("an adapter says what the model with merged weights says, also side by side", async () => {
  expect(engine.describe().capabilities).toMatchObject({ adapters: true, salts: true });
  for (const [name, path] of Object.entries(paths)) await engine.loadAdapter!(name, path);
  const names = ["", "a", "b"];
  const texts = names.map((name) => wanted.get(name)!.map(({ tokens }) => tokens.join()));
  expect(new Set(texts.flat()).size).toBe(6);
  for (const name of names) {
    const [alone] = await driver.run([
      request(1, prompt(1, 30), TOKENS, { ...of(name), ...logprobs }),
    ]);
    same(alone!, wanted.get(name)![0]!);
  }
  const requests = names.flatMap((name, n) =>
    [1, 2].map((i) => request(10 * n + i, prompt(i, 30), TOKENS, { ...of(name), ...logprobs })),
  );
  const answers = await driver.run(requests);
  for (const [at, answer] of answers.entries()) {
    same(answer, wanted.get(names[at >> 1]!)![at & 1]!);
    expect(answer.faults).toEqual([]);
  }
});

test("an answer goes on behind delivered tokens with its adapter", async () => {
  const whole = wanted.get("a")![1]!.tokens;
  const tokens = Uint32Array.from([...prompt(2, 30), ...whole.slice(0, 15)]);
  const continued = { ...of("a"), tokens, prompt_tokens: 30 };
  const [answer] = await driver.run([request(5, prompt(2, 30), TOKENS - 15, continued)]);
  expect(answer!.tokens).toEqual(whole.slice(15));
});

test("cached blocks are shared within one adapter and one salt alone", async () => {
  const text = prompt(9, 140);
  const cachedOf = async (more: object) => {
    const [answer] = await driver.run([request(1, text, 1, more)]);
    return answer!.finished!.cached_tokens;
  };
  const kinds = [
    {},
    { adapter: "a" },
    { adapter: "b" },
    { salt: "s" },
    { adapter: "a", salt: "s" },
  ];
  for (const kind of kinds) expect(await cachedOf(kind)).toBe(0);
  for (const kind of kinds) expect(await cachedOf(kind)).toBe(128);
  engine.poll(1_000);
  const replay = replayOf(engine.kvDump!());
  for (const kind of kinds) {
    const { sequence_hashes } = blockHashes(
      Uint32Array.from(text.slice(0, 128)),
      block_size,
      blockSeed(kind),
    );
    for (const hash of sequence_hashes) expect(replay.held.has(hash)).toBe(true);
  }
});

test("twins of different adapters do not wait for each other's blocks", async () => {
  const text = prompt(21, 400);
  const answers = await driver.run([
    request(1, text, 3),
    request(2, text, 3, of("a")),
    request(3, text, 3, of("a")),
  ]);
  const cached = answers.map(({ finished }) => finished!.cached_tokens);
  expect(cached[1]).toBe(0);
  expect(cached[2]).toBe(384);
});

test("an adapter is unloaded when its last answer has ended, and its blocks with it", async () => {
  const [text, name] = [prompt(31, 130), "again"];
  await engine.loadAdapter!(name, paths["a"]!);
  const running = request(1, text, 300, of(name));
  driver.answers.delete(1);
  expect(engine.submit(running)).toBeUndefined();
  await driver.until(() => driver.answer(1).tokens.length > 5);
  let gone = false;
  const unloading = engine.unloadAdapter!(name).then(() => {
    gone = true;
  });
  expect(engine.submit(request(2, text, 1, of(name)))).toMatchObject({ code: "bad_request" });
  await driver.until(() => driver.answer(1).finished !== undefined);
  expect(driver.answer(1).tokens).toHaveLength(300);
  await unloading;
  expect(gone).toBe(true);
  await engine.loadAdapter!(name, paths["b"]!);
  const [answer] = await driver.run([request(3, text, 1, of(name))]);
  expect(answer!.finished!.cached_tokens).toBe(0);
  await engine.unloadAdapter!(name);
});

test("embeddings are the model's own, also while adapters answer", async () => {
  const embedded = async (handle: number) => {
    expect(engine.embed(handle, Uint32Array.from(prompt(3, 70)), "vector")).toBeUndefined();
    await driver.until(() => driver.answer(handle).embedding !== undefined);
    return driver.answer(handle).embedding!;
  };
  const alone = await embedded(100);
  driver.answers.delete(1);
  expect(engine.submit(request(1, prompt(4, 20), 200, of("b")))).toBeUndefined();
  const beside = await embedded(101);
  await driver.until(() => driver.answer(1).finished !== undefined);
  const far = Math.max(...alone.map((value, i) => Math.abs(value - beside[i]!)));
  expect(far).toBeLessThan(1e-4);
});

test("what cannot be loaded says why in one line, and the engine goes on", async () => {
  const odd = written("odd.lora", loraGguf(BASE, { seed: 3, odd_rows: 8 }));
  const cut = written("cut.lora", loraGguf(BASE, { seed: 3 }).slice(0, -200));
  const cases = [
    [odd, /cannot load the adapter .*odd\.lora: .*incorrect shape/],
    [cut, /truncated/],
    [join(folder, "none.lora"), /cannot read/],
    [base, /cannot load the adapter .*adapter/],
  ] as const;
  for (const [path, says] of cases) {
    const loading = engine.loadAdapter!("odd", path);
    await expect(loading).rejects.toThrow(says);
    await loading.catch((error: Error) => expect(error.message).not.toContain("\n"));
  }
  await expect(engine.loadAdapter!("a", paths["a"]!)).rejects.toThrow(/loaded already/);
  expect(engine.submit(request(1, [20], 1, of("odd")))?.message).toMatch(
    /no adapter "odd" is loaded/,
  );
  const [answer] = await driver.run([
    request(2, prompt(1, 30), TOKENS, { ...of("a"), ...logprobs }),
  ]);
  same(answer!, wanted.get("a")![0]!);
});
