/** What every store of blocks in files promises: actors/kv/disk/block-files.ts. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BlockFiles, type FileResult, openNativeMemory } from "../../actors/kv/kv.ts";
import { realClock } from "../../runtime/real/clock.ts";
import { realFiles } from "../../runtime/real/files.ts";
import { MemoryFiles } from "../support/kv/memory-files.ts";

const SLOT = 8192;
const BLOCK = 5000;
const SLOTS = 8;
const AREA = 3;
const folder = mkdtempSync(join(tmpdir(), "troupe-files-"));
mkdirSync(join(folder, "ab"));
const shims = { cache_folder: join(tmpdir(), "troupe-test-cache"), assets_folder: "" };
const bytes = (AREA + SLOTS) * SLOT;
const native = await openNativeMemory(bytes, process.pid, realFiles(), shims);
const plain = new Uint8Array(bytes);
const memory = new MemoryFiles(realClock(), (at, length) => plain.subarray(at, at + length));

afterAll(() => {
  native.close();
  rmSync(folder, { recursive: true });
});

const shape = { block_bytes: BLOCK, slot_bytes: SLOT, base: AREA * SLOT };
const identity = "00112233445566778899aabbccddeeff";

type Place = {
  readonly name: string;
  readonly files: BlockFiles;
  readonly view: (at: number, length: number) => Uint8Array;
  /** Changes what is kept. */
  readonly spoil: (path: string, how: "flip" | "cut") => void;
};

const PLACES: readonly Place[] = [
  {
    ...{ name: "movers", files: native.files },
    view: (at, length) => native.view(at, length),
    spoil: (path, how) => {
      const file = readFileSync(path);
      file[4096 + 77]! ^= 1;
      writeFileSync(path, how === "flip" ? file : file.subarray(0, 6_000));
    },
  },
  {
    ...{ name: "memory", files: memory },
    view: (at, length) => plain.subarray(at, at + length),
    spoil: (path, how) => {
      const file = memory.kept.get(path)!;
      if (how === "flip") file.bytes[77]! ^= 1;
      else file.bytes = file.bytes.subarray(0, 1_904);
    },
  },
];

describe.each(PLACES)("$name", ({ files, view, spoil }) => {
  const at = (slot: number) => view(shape.base + slot * SLOT, BLOCK);
  const ended = (start: (done: (results: readonly FileResult[]) => void) => boolean) =>
    new Promise<readonly string[]>((resolve) => {
      const taken = start((results) => resolve(results.map(({ outcome }) => outcome)));
      expect(taken).toBe(true);
    });
  const path = (name: string) => join(folder, "ab", name);
  const job = (slots: readonly number[], names: readonly string[], own = identity) => ({
    ...{ shape, slots, paths: names.map(path), identity: own },
  });

  test("blocks are what they were, in other slots too", async () => {
    for (const slot of [0, 1])
      at(slot).set(Uint8Array.from({ length: BLOCK }, (_, i) => i * (slot + 3)));
    const [first, second] = [at(0).slice(), at(1).slice()];
    expect(await ended((done) => files.store(job([0, 1], ["a", "b"]), done))).toEqual(["ok", "ok"]);
    expect(await ended((done) => files.load(job([5, 4], ["a", "b"]), done))).toEqual(["ok", "ok"]);
    expect([at(5), at(4)]).toEqual([first, second]);
    expect(await ended((done) => files.remove([path("b"), path("x")], done))).toEqual([
      ...["ok", "missing"],
    ]);
    expect(await ended((done) => files.load(job([4, 5], ["b", "a"]), done))).toEqual([
      ...["missing", "ok"],
    ]);
  });

  test("what is spoiled, short or of others is told apart", async () => {
    await ended((done) => files.store(job([0, 1, 2], ["flip", "cut", "other"]), done));
    spoil(path("flip"), "flip");
    spoil(path("cut"), "cut");
    expect(await ended((done) => files.load(job([3, 4], ["flip", "cut"]), done))).toEqual([
      ...["corrupt", "torn"],
    ]);
    const others = job([5], ["other"], "ff112233445566778899aabbccddeeff");
    expect(await ended((done) => files.load(others, done))).toEqual(["foreign"]);
  });

  test("a file appears whole, under its name alone", async () => {
    await ended((done) => files.store(job([0], ["whole"]), done));
    const names = readdirSync(join(folder, "ab")).filter((name) => name.includes("."));
    expect(names).toEqual([]);
  });
});
