/** The sum that names a model's blocks: read once, and again when the file is another. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { modelSum } from "../../../actors/model/model.ts";
import { realFiles } from "../../../runtime/real/files.ts";
import { absent } from "../../support/worlds/test-system.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-sums-"));
afterAll(() => rmSync(folder, { recursive: true }));

const files = realFiles();
let read = 0;
const world = {
  files: {
    ...files,
    read: (path: string, from?: number, length?: number) => {
      if (path.endsWith(".gguf")) read += 1;
      return files.read(path, from, length);
    },
  },
  spawn: { pid: process.pid, start: absent<() => never>("start") },
  cache_dir: join(folder, "cache"),
};
const sha256 = (bytes: string | Uint8Array) =>
  new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

test("a file is read once for its sum, and again when it is another", async () => {
  const path = join(folder, "m.gguf");
  const bytes = new Uint8Array(3_000_000).fill(7);
  writeFileSync(path, bytes);
  expect(await modelSum(world, path)).toBe(sha256(bytes));
  const before = read;
  expect(before).toBe(3);
  expect(await modelSum(world, path)).toBe(sha256(bytes));
  expect(read).toBe(before);
  writeFileSync(path, "another");
  expect(await modelSum(world, path)).toBe(sha256("another"));
});

test("a model in parts has a sum of all of them", async () => {
  const part = (number: number) => join(folder, `p-0000${number}-of-00002.gguf`);
  writeFileSync(part(1), "one");
  writeFileSync(part(2), "two");
  const sum = await modelSum(world, part(1));
  expect(sum).toBe(sha256(sha256("one") + sha256("two")));
  writeFileSync(part(2), "three");
  expect(await modelSum(world, part(1))).not.toBe(sum);
});
