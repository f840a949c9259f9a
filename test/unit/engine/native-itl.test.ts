/** A prompt that comes while answers run is computed in parts, and all end as they would alone. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLlama } from "../../../actors/engine/llama/llama.ts";
import { buildShim } from "../../../native/build.ts";
import { EngineDriver, request } from "../../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../../support/engine/engine-model.ts";
import { changePromptCost, promptCostIn } from "../../support/llama/costs-file.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-itl-"));
const costs_folder = join(folder, "costs");
beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it
beforeEach(() => rmSync(costs_folder, { recursive: true, force: true }));
afterAll(() => rmSync(folder, { recursive: true }));

const PROMPT = Array.from({ length: 800 }, (_, i) => 20 + ((i * i * 7 + i) % 200));
const CHUNK = 256;
const LEAST = 8;
const TRIES = 8;
const DEAR_MS = 5_000;
const limits = { context_length: 1_024, kv_tokens: 4_096, max_num_seqs: 4, prefill_chunk: CHUNK };
const open = (itl_target_ms: number) =>
  openLlama({ model: TEST_MODEL, threads: 1, ...limits, itl_target_ms, costs_folder });

/** Steps from the moment that the long prompt is there until its first token. */
async function stepsOf(itl_target_ms: number): Promise<number> {
  const engine = await open(itl_target_ms);
  try {
    const driver = new EngineDriver(engine);
    const short = [1, 2].map((handle) => request(handle, PROMPT.slice(0, 8 * handle), 400));
    for (const each of short) engine.submit(each);
    await driver.until(() => [1, 2].every((each) => driver.answer(each).tokens.length > 0));
    const before = engine.stats().steps_total;
    engine.submit(request(4, PROMPT, 2));
    await driver.until(() => driver.answer(4).tokens.length > 0);
    const steps = engine.stats().steps_total - before;
    expect(driver.answer(1).finished).toBeUndefined();
    await driver.until(() => [1, 2, 4].every((each) => driver.answer(each).finished !== undefined));
    for (const each of [1, 2, 4]) expect(driver.answer(each).faults).toEqual([]);
    return steps;
  } finally {
    await engine.close();
  }
}

const KEEP_MS = 50_000;
let kept: { readonly name: string; readonly bytes: Uint8Array } | undefined;

/** What an engine measured. A busy machine may measure what cannot be, which is not kept. */
async function keepCosts(): Promise<void> {
  const until_ms = performance.now() + KEEP_MS;
  while (kept === undefined) {
    if (performance.now() > until_ms) throw new Error("no costs were kept");
    await (await open(-1)).close();
    const [name] = existsSync(costs_folder) ? readdirSync(costs_folder) : [];
    if (name !== undefined) kept = { name, bytes: readFileSync(join(costs_folder, name)) };
  }
  mkdirSync(costs_folder, { recursive: true });
  writeFileSync(join(costs_folder, kept.name), kept.bytes);
}

test("a target that cannot be kept makes the parts as small as they get, and still they end", async () => {
  const free = await stepsOf(0);
  const bound = await stepsOf(1);
  expect(bound).toBeGreaterThan(free);
}, 60_000);

test("by known costs, dear prompts are computed in small parts and cheap ones in whole chunks", async () => {
  await keepCosts();
  const free = await stepsOf(0);
  // One step more where the prompt came in the middle of one. Where this thread hears of the first
  // token late, steps behind it are counted too: the fewest of some tries are those of the prompt.
  let cheap = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES && cheap > free + 1; i += 1) {
    changePromptCost(costs_folder, [0.001]);
    cheap = Math.min(cheap, await stepsOf(-1));
  }
  expect(cheap).toBeLessThanOrEqual(free + 1);
  changePromptCost(costs_folder, [DEAR_MS]);
  expect(await stepsOf(-1)).toBeGreaterThanOrEqual(PROMPT.length / LEAST);
}, 60_000);

test("a prompt's first parts are whole where only depth is dear", async () => {
  await keepCosts();
  changePromptCost(costs_folder, [0.001, DEAR_MS]);
  // Two parts begin before the second depth does.
  const least = Math.floor((PROMPT.length - 2 * CHUNK) / LEAST);
  const steps = await stepsOf(-1);
  expect(steps).toBeGreaterThanOrEqual(least);
  expect(steps).toBeLessThan(PROMPT.length / LEAST);
}, 60_000);

test("what was seen of prompts is kept when none is under way, where it is another", async () => {
  await keepCosts();
  changePromptCost(costs_folder, [DEAR_MS]);
  await stepsOf(-1);
  expect(promptCostIn(costs_folder)[0]).toBeLessThan(DEAR_MS / 2);
}, 60_000);
