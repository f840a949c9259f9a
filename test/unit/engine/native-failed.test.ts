/** A step that the library fails in: what was made before is told, then the engine is gone. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineFailedError } from "../../../actors/engine/engine.ts";
import { openLlama } from "../../../actors/engine/llama/llama.ts";
import { buildShim } from "../../../native/build.ts";
import { EngineDriver, request } from "../../support/engine/engine-driver.ts";
import { randomGguf } from "../../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-failed-"));
const MODEL = join(folder, "random.gguf");
await Bun.write(MODEL, randomGguf());
beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it
afterAll(() => rmSync(folder, { recursive: true }));

const open = (fail_at_step: number) =>
  openLlama({ model: MODEL, context_length: 512, threads: 1, fail_at_step });

test("tokens of the steps before come, then polling throws and nothing ends as an answer", async () => {
  const engine = await open(5);
  const driver = new EngineDriver(engine);
  expect(engine.submit(request(1, [20, 21, 22], 50))).toBeUndefined();
  const failed = await driver.until(() => false).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(EngineFailedError);
  expect(String(failed)).toMatch(/llama\.cpp failed in a step with code -3/);
  expect(driver.answer(1).tokens.length).toBeGreaterThan(0);
  expect(driver.answer(1).finished).toBeUndefined();
  expect(() => engine.poll(1)).toThrow(EngineFailedError);
  expect(engine.submit(request(3, [20], 1))).toMatchObject({ code: "closed" });
  await engine.close();
});

test("an embedding fails in the same way", async () => {
  const engine = await open(1);
  const driver = new EngineDriver(engine);
  expect(engine.embed(1, Uint32Array.of(20, 21), "vector")).toBeUndefined();
  expect(await driver.until(() => false).catch((error: unknown) => error)).toBeInstanceOf(
    EngineFailedError,
  );
  await engine.close();
});

test("a closed engine still says what it did", async () => {
  const engine = await open(0);
  const driver = new EngineDriver(engine);
  await driver.run([request(1, [20, 21, 22], 10)]);
  const before = engine.stats();
  expect(before).toMatchObject({ prompt_tokens_total: 3, generated_tokens_total: 10 });
  const closing = engine.close();
  const kept = engine.stats();
  expect(kept.generated_tokens_total).toBe(10);
  await closing;
  expect(engine.stats()).toEqual(kept);
  expect(engine.passSums().prefill_tokens).toBeWithin(0, 4);
  expect(engine.poll(10)).toEqual([]);
});
