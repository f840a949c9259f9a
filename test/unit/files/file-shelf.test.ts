/** Files by owner: kept whole or not at all, listed in pages, limited, swept. */
import { expect, test } from "bun:test";
import type { FileFacts, FileLimits } from "../../../actors/files/files.ts";
import {
  type Contents,
  FileShelf,
  FolderContents,
  fileLimits,
  StoreContents,
} from "../../../actors/files/files.ts";
import type { Store } from "../../../runtime/capabilities.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import { memoryFiles } from "../../sim/world/files.ts";

const encoder = new TextEncoder();
const facts = (more: Partial<FileFacts> = {}): FileFacts => ({
  ...{ owner: "ann", filename: "a.jsonl", purpose: "batch" },
  ...more,
});

function world(limits: Partial<FileLimits> = {}) {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const contents = new StoreContents(store);
  const random = new SeededRandom(1);
  const shelf = new FileShelf({
    ...{ store, contents, clock, random },
    limits: { ...fileLimits, ...limits },
  });
  const add = async (text: string, more: Partial<FileFacts> = {}) => {
    const file = shelf.begin();
    await file.append(encoder.encode(text));
    return file.keep(facts(more));
  };
  return { clock, store, contents, shelf, add };
}

async function textOf(parts: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all).toString();
}

const kinds: Record<string, () => Contents> = {
  folder: () => new FolderContents(memoryFiles(new Map()), "/data/files"),
  store: () => new StoreContents(new MemoryStore()),
};

for (const [name, open] of Object.entries(kinds)) {
  test(`contents in a ${name}: appended, read from any byte, listed, removed`, async () => {
    const contents = open();
    expect(await contents.names("")).toEqual([]);
    expect(await textOf(contents.read("none"))).toBe("");
    const long = "0123456789".repeat(60_000);
    const writer = contents.writer("file-1");
    await writer.append(encoder.encode(long));
    await writer.append(encoder.encode("end"));
    await writer.sync();
    await contents.writer("file-10").append(encoder.encode("other"));
    await contents.writer("log").append(encoder.encode("log"));
    expect(await textOf(contents.read("file-1"))).toBe(`${long}end`);
    expect(await textOf(contents.read("file-1", 300_005))).toBe(`${long}end`.slice(300_005));
    expect(await contents.names("file-")).toEqual(["file-1", "file-10"]);
    // A later writer goes on behind what is there.
    await contents.writer("file-10").append(encoder.encode("s"));
    expect(await textOf(contents.read("file-10"))).toBe("others");
    await contents.remove("file-1");
    expect(await contents.names("")).toEqual(["file-10", "log"]);
  });
}

test("a file is there when it is kept, for its owner alone", async () => {
  const { shelf, add, store } = world();
  const half = shelf.begin();
  await half.append(encoder.encode("half"));
  expect((await shelf.list("ann", 10)).items).toEqual([]);
  await half.drop();
  expect(await store.list("", 10)).toEqual([]);
  const file = await add("whole");
  expect(file.bytes).toBe(5);
  expect(await textOf(shelf.read(file))).toBe("whole");
  expect((await shelf.get("ann", file.id))?.id).toBe(file.id);
  expect(await shelf.get("bob", file.id)).toBeUndefined();
  expect(await shelf.get("ann", "file-../../x")).toBeUndefined();
  await shelf.delete(file);
  expect(await shelf.get("ann", file.id)).toBeUndefined();
  expect(await store.list("", 10)).toEqual([]);
});

test("lists the newest first, in pages, by purpose, upwards too", async () => {
  const { clock, shelf, add } = world();
  const ids: string[] = [];
  for (let i = 0; i < 5; i += 1) {
    await clock.advance(1_000);
    ids.push((await add(`${i}`, { purpose: i % 2 === 0 ? "batch" : "user_data" })).id);
  }
  await add("x", { owner: "bob" });
  const names = async (...which: Parameters<FileShelf["list"]>) =>
    (await shelf.list(...which)).items.map(({ id }) => ids.indexOf(id));
  expect(await names("ann", 10)).toEqual([4, 3, 2, 1, 0]);
  expect(await names("ann", 2)).toEqual([4, 3]);
  expect((await shelf.list("ann", 2)).has_more).toBe(true);
  expect(await names("ann", 2, { after: ids[3] })).toEqual([2, 1]);
  expect(await names("ann", 9, { after: ids[3], oldest_first: true })).toEqual([4]);
  expect(await names("ann", 9, { oldest_first: true })).toEqual([0, 1, 2, 3, 4]);
  expect(await names("ann", 9, { purpose: "user_data" })).toEqual([3, 1]);
  expect((await shelf.list("ann", 3, { purpose: "batch" })).has_more).toBe(false);
});

test("limits of one file, of the number and of the bytes of an owner", async () => {
  const { shelf, add } = world({ files: 2, owner_bytes: 10, file_bytes: 8 });
  const file = shelf.begin();
  await file.append(encoder.encode("12345678"));
  expect(file.append(encoder.encode("9"))).rejects.toThrow("at most 8 bytes");
  await add("12345678");
  await shelf.checkRoom("ann");
  const second = await add("12345678");
  expect(shelf.checkRoom("ann")).rejects.toThrow("There are 2 files");
  await shelf.delete(second);
  await add("12");
  await shelf.checkRoom("bob");
  const wide = world({ files: 9, owner_bytes: 10 });
  await wide.add("1234567890");
  expect(wide.shelf.checkRoom("ann")).rejects.toThrow("10 bytes together");
});

test("uploads at once, until they are kept or dropped", async () => {
  const { shelf } = world({ uploads: 2 });
  const one = shelf.begin();
  const two = shelf.begin();
  expect(shelf.checkRoom("ann")).rejects.toThrow("2 uploads at once");
  await one.keep(facts());
  await shelf.checkRoom("ann");
  shelf.begin();
  expect(shelf.checkRoom("ann")).rejects.toThrow("2 uploads at once");
  await two.drop();
  await shelf.checkRoom("ann");
});

test("what has expired is gone at once and swept later, unless somebody reads it", async () => {
  const { clock, store, shelf, add } = world();
  const short = await add("short", { expires_after_s: 3_600 });
  const read = await add("read", { expires_after_s: 3_600 });
  await shelf.use(read.id, "batch_1");
  await clock.advance(3_599_000);
  expect(await shelf.get("ann", short.id)).toBeDefined();
  await clock.advance(2_000);
  expect(await shelf.get("ann", short.id)).toBeUndefined();
  await shelf.sweep();
  expect(await textOf(shelf.read(short))).toBe("");
  expect(await textOf(shelf.read(read))).toBe("read");
  await shelf.unuse(read.id, "batch_1");
  await shelf.sweep();
  expect(await store.list("", 10)).toEqual([]);
});

test("half an upload that a killed frontend left goes when it has not grown for a while", async () => {
  const { clock, store, contents, shelf, add } = world();
  const kept = await add("kept");
  const [dead, live, own] = [shelf.begin(), shelf.begin(), shelf.begin()];
  for (const upload of [dead, live, own]) await upload.append(encoder.encode("part"));
  // Another frontend sweeps; the first one's uploads are none of its own.
  const other = new FileShelf({ store, contents, clock, random: new SeededRandom(2) });
  for (let minute = 0; minute < 10; minute++) {
    await other.sweep();
    await clock.advance(60_000);
    await live.append(encoder.encode("more"));
  }
  expect(await contents.names("file-")).toEqual([kept.content, live.id].sort());
  // A server's own uploads are as old as they are.
  await own.append(encoder.encode("part"));
  for (let minute = 0; minute < 10; minute++) {
    await shelf.sweep();
    await clock.advance(60_000);
  }
  expect(await contents.names("file-")).toContain(own.id);
  expect((await live.keep(facts())).bytes).toBe(44);
  await clock.advance(600_000);
  for (let i = 0; i < 3; i++) await other.sweep();
  expect(await textOf(contents.read(live.id))).toHaveLength(44);
});

test("bytes of a file that is made again are swept after an hour without a record", async () => {
  const { clock, contents, shelf, add } = world();
  const kept = await add("kept");
  await shelf.begin(kept.id).append(encoder.encode("made again, and left"));
  await shelf.begin(kept.id).append(encoder.encode("made again, and left"));
  await shelf.sweep();
  expect((await contents.names("file-")).length).toBe(3);
  await clock.advance(3_700_000);
  await shelf.sweep();
  expect(await contents.names("file-")).toEqual([kept.content]);
});

test("a store that fails is the caller's to hear of", async () => {
  const store: Store = Object.assign(new MemoryStore(), {
    list: async () => Promise.reject(new Error("the disk is full")),
  });
  const clock = new VirtualClock();
  const contents = new StoreContents(store);
  const shelf = new FileShelf({ store, contents, clock, random: new SeededRandom(1) });
  expect(shelf.checkRoom("ann")).rejects.toThrow("the disk is full");
});
