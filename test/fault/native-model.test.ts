/** A model, library or machine that cannot do it: one clear line and a code, never a crash. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineStartError, type LlamaOptions, openLlama } from "../../actors/engine/llama/llama.ts";
import { buildShim, NativeError } from "../../native/build.ts";
import { randomGguf } from "../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-model-"));
beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it
afterAll(() => rmSync(folder, { recursive: true }));

const WHOLE = randomGguf();

async function modelFile(bytes: Uint8Array): Promise<string> {
  const path = join(folder, "model.gguf");
  await Bun.write(path, bytes);
  return path;
}

/** How opening fails, as [code, message]; undefined when it does not. */
async function failure(options: LlamaOptions): Promise<[string, string] | undefined> {
  try {
    const engine = await openLlama(options);
    await engine.close();
    return undefined;
  } catch (error) {
    if (error instanceof EngineStartError || error instanceof NativeError) {
      expect(error.message).not.toContain("\n");
      return [error.code, error.message];
    }
    throw error;
  }
}

test("the whole file loads", async () => {
  expect(await failure({ model: await modelFile(WHOLE) })).toBeUndefined();
});

test("a missing file", async () => {
  const [code, message] = (await failure({ model: join(folder, "nowhere.gguf") }))!;
  expect(code).toBe("model");
  expect(message).toContain("nowhere.gguf");
});

test("a folder, an empty file and a text are no models", async () => {
  expect((await failure({ model: folder }))?.[0]).toBe("model");
  expect((await failure({ model: await modelFile(new Uint8Array()) }))?.[0]).toBe("model");
  const text = new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\noid sha256:0");
  const [code, message] = (await failure({ model: await modelFile(text) }))!;
  expect(code).toBe("model");
  expect(message).toContain("is not a GGUF file");
});

test("a file cut anywhere is called truncated or corrupt", async () => {
  for (let part = 1; part < 24; part++) {
    const length = Math.floor((WHOLE.length * part) / 24);
    const [code, message] = (await failure({ model: await modelFile(WHOLE.slice(0, length)) }))!;
    expect(code).toBe("model");
    expect(message).toContain("truncated");
    expect(message).toContain("download it again");
  }
});

test("a header with impossible lengths is refused at once", async () => {
  const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
  for (const offset of [8, 16, 24, 40]) {
    const bytes = WHOLE.slice();
    bytes.set(huge, offset); // number of tensors, of values, length of the first key, a type
    expect((await failure({ model: await modelFile(bytes) }))?.[0]).toBe("model");
  }
});

test("numbers that would end the process are refused before", async () => {
  for (const layers of [0, 513, 2 ** 32 - 1]) {
    const bytes = randomGguf([["llama.block_count", 4, layers]]);
    const [code, message] = (await failure({ model: await modelFile(bytes) }))!;
    expect(code).toBe("model");
    expect(message).toContain("impossible size");
  }
});

test("a model of an unknown architecture is refused with the library's reason", async () => {
  const bytes = randomGguf([["general.architecture", 8, "nothing"]]);
  const [code, message] = (await failure({ model: await modelFile(bytes) }))!;
  expect(code).toBe("model");
  expect(message).toContain("nothing");
});

test("a model larger than the memory is refused with both numbers", async () => {
  const model = await modelFile(WHOLE);
  const [code, message] = (await failure({ model, kv_tokens: 1e6, memory_limit_mib: 64 }))!;
  expect(code).toBe("memory");
  expect(message).toMatch(/needs \d+ MiB \(weights 0, 1000192 tokens of cache 488, buffers \d+\) /);
  expect(message).toMatch(/64 MiB are free: give --kv-tokens \d+ or less, or --kv-type q8_0$/);
});

test("a folder without the library", async () => {
  const [code, message] = (await failure({ model: await modelFile(WHOLE), lib_dir: folder }))!;
  expect(code).toBe("library_missing");
  expect(message).toContain(folder);
});

test("a library that is none, and one with other functions", async () => {
  const model = await modelFile(WHOLE);
  const lib_dir = mkdtempSync(join(folder, "lib-"));
  const library = join(lib_dir, "libllama.so");
  await Bun.write(library, "not a library");
  expect((await failure({ model, lib_dir }))?.[0]).toBe("library");
  const libc = (await Bun.$`ldd ${process.execPath}`.text()).match(/libc\.so\.6 => (\S+)/)?.[1];
  if (!libc) throw new Error("no libc.so.6 to stand in as a wrong library");
  await Bun.write(library, Bun.file(libc));
  const [code, message] = (await failure({ model, lib_dir }))!;
  expect(code).toBe("library");
  expect(message).toContain("has no function");
});

test("a library of another release", async () => {
  const lib_dir = mkdtempSync(join(folder, "lib-"));
  await Bun.write(join(lib_dir, "libllama.so"), "never opened");
  const metadata = { buildOptions: { llamaCpp: { release: "v9.9.9" } } };
  await Bun.write(join(lib_dir, "_nlcBuildMetadata.json"), JSON.stringify(metadata));
  const [code, message] = (await failure({ model: await modelFile(WHOLE), lib_dir }))!;
  expect(code).toBe("library_release");
  expect(message).toContain("v9.9.9");
});
