/** native/drafts/known-costs.c: what batches cost is measured at the first start alone. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildShim, findLlama } from "../../../native/build.ts";
import { NativeEngine, type NativeOptions, openShim, TR } from "../../../native/index.ts";
import { randomGguf } from "../../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-costs-"));
const model = join(folder, "random.gguf");
const costs_folder = join(folder, "costs");
let shim: ReturnType<typeof openShim>;
beforeAll(async () => {
  await Bun.write(model, randomGguf());
  shim = openShim((await buildShim()).source); // the first run on a machine builds it
}, 60_000);
beforeEach(() => rmSync(costs_folder, { recursive: true, force: true }));
afterAll(() => rmSync(folder, { recursive: true }));

/** Whether an engine that starts so knows the costs already. */
async function knows(options: Partial<NativeOptions> = {}, of = {}): Promise<boolean> {
  const paths = { ...findLlama(), model, costs_folder, ...of };
  const engine = new NativeEngine(shim, paths, {
    ...{ cores: 1, threads: 1, context_length: 128, max_num_seqs: 4, speculate: "ngram" },
    ...options,
  });
  await new Promise<void>((resolve) => {
    const look = () => engine.state().code !== TR.LOADING && resolve();
    engine.onWake(look);
    look();
  });
  expect([engine.state().code, engine.message()]).toEqual([TR.READY, expect.any(String)]);
  const { costs_known } = engine.numbers();
  engine.close();
  await engine.free();
  return costs_known === 1;
}

const kept = () => (existsSync(costs_folder) ? readdirSync(costs_folder) : []);
const only = () => {
  const [name = "", ...others] = kept();
  expect(others).toEqual([]);
  expect(name).toMatch(/^\d\d\.costs$/);
  return join(costs_folder, name);
};

/** A busy machine may measure what cannot be, which is not kept: then once more. */
async function keep(options: Partial<NativeOptions> = {}): Promise<void> {
  const before = kept().length;
  for (let i = 0; i < 20 && kept().length === before; i++) {
    expect(await knows(options)).toBe(false);
  }
  expect(kept().length).toBe(before + 1);
}

test("the second start knows, and one of other settings or another model does not", async () => {
  await keep();
  expect(await knows()).toBe(true);
  expect(await knows({ kv_tokens: 512 })).toBe(true);
  const longer = join(folder, "longer.gguf");
  copyFileSync(model, longer);
  expect(await knows({}, { model: longer })).toBe(true);
  appendFileSync(longer, "x");
  expect(await knows({}, { model: longer })).toBe(false);
  const others: Partial<NativeOptions>[] = [
    { kv_type: "q8_0" },
    { threads: 2 },
    { cores: 2 },
    { gpu_layers: -1 },
    { max_num_seqs: 5 },
  ];
  for (const other of others) expect(await knows(other)).toBe(false);
});

test("nothing is kept without a folder, and where nothing is guessed", async () => {
  await knows({}, { costs_folder: "" });
  await knows({ speculate: "off" });
  expect(kept()).toEqual([]);
});

test("a damaged file is as none, and is written anew", async () => {
  await keep();
  const path = only();
  const whole = readFileSync(path);
  const damaged = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(whole);
    change(bytes);
    return bytes;
  };
  for (const bytes of [
    Buffer.alloc(0),
    whole.subarray(0, 700),
    Buffer.concat([whole, Buffer.from("x")]),
    Buffer.from("not a file of ours"),
    damaged((each) => each.writeUInt8(each[3]! ^ 1, 3)),
    damaged((each) => each.writeUInt8(each[530]! ^ 1, 530)),
    damaged((each) => each.writeDoubleLE(Number.NaN, 520)),
  ]) {
    writeFileSync(path, bytes);
    expect(await knows()).toBe(false);
    // It is whole again, unless the machine was too busy to measure.
    if (readFileSync(path).length === whole.length) continue;
    writeFileSync(path, whole);
  }
  writeFileSync(path, whole);
  expect(await knows()).toBe(true);
});

test("a folder that cannot be made or written is no harm", async () => {
  writeFileSync(costs_folder, "a file");
  expect(await knows()).toBe(false);
  rmSync(costs_folder);
  expect(await knows({}, { costs_folder: join(folder, "no", "such", "folder") })).toBe(false);
});

test("engines that start at once leave one whole file and nothing half", async () => {
  await keep();
  const path = only();
  rmSync(path);
  await Promise.all([knows(), knows(), knows(), knows()]);
  for (const name of kept()) expect(name).toMatch(/^\d\d\.costs$/);
});
