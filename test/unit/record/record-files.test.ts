/** The files that a process records into: they rotate, keep to their bound, and count losses. */
import { expect, test } from "bun:test";
import { PROTOCOL_VERSION } from "../../../proto/index.ts";
import type { Files } from "../../../runtime/capabilities.ts";
import { openFolder } from "../../../runtime/observe/record/read-folder.ts";
import { RecordFiles } from "../../../runtime/observe/record/record-files.ts";
import { FORMAT } from "../../../runtime/observe/record/record-format.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { memoryFiles } from "../../sim/world/files.ts";

const said: string[] = [];
const log = { log: (_level: string, text: string) => void said.push(text) };
const KIB = 1024;

function openFiles(files: Files, clock: VirtualClock, bytes_max: number, started_ms = 5) {
  const header = {
    ...{ protocol_version: PROTOCOL_VERSION, format: FORMAT, version: "1", node: "n", role: "r" },
    ...{ pid: 1, started_ms, seed: 1 },
  };
  return RecordFiles.open({ folder: "/r", bytes_max, header, clock, files, log });
}

const frame = (link: number, bytes = 10 * KIB) => ({
  frame: { link, out: false, at_ms: 0, frame: new Uint8Array(bytes) },
});

async function allOf(files: Files) {
  const folder = await openFolder("/r", files);
  const names = folder.processes.flatMap((process) => process.names);
  const records = (await Promise.all(names.map(folder.read))).flat();
  let bytes = 0;
  for (const name of names) bytes += (await files.size_bytes(`/r/${name}`)) ?? 0;
  return { ...folder, names, records, bytes };
}

test("what is added is in the files a moment later", async () => {
  const clock = new VirtualClock();
  const files = memoryFiles(new Map());
  const record = await openFiles(files, clock, 2 ** 20);
  expect(record.add(frame(7))).toBe(true);
  await clock.advance(200);
  const { records, problems } = await allOf(files);
  expect(problems).toEqual([]);
  expect(records.map((each) => each.frame?.link)).toEqual([undefined, 7]);
});

test("files follow one another, and the oldest go before all are too many", async () => {
  const clock = new VirtualClock();
  const files = memoryFiles(new Map());
  const bytes_max = 512 * KIB;
  for (const started_ms of [1_000, 2_000]) {
    const record = await openFiles(files, clock, bytes_max, started_ms);
    for (let i = 0; i < 200; i++) {
      record.add(frame(i));
      if (i % 10 === 9) await clock.advance(200);
    }
    await record.close();
    const { bytes, names, records } = await allOf(files);
    expect(bytes).toBeLessThanOrEqual(bytes_max);
    expect(bytes).toBeGreaterThan(bytes_max / 2);
    expect(names.length).toBeGreaterThan(4);
    const links = records.flatMap((each) => each.frame?.link ?? []);
    expect(links.at(-1)).toBe(199);
    expect(record.dropped_records).toBe(0);
  }
  // The second start took the room of the first one.
  const { processes } = await allOf(files);
  expect(processes.map(({ header }) => header.started_ms)).toEqual([2_000]);
});

test("a slow disk loses records, which are counted, and no memory", async () => {
  const clock = new VirtualClock();
  const base = memoryFiles(new Map());
  let go: () => void = () => {};
  let slow = false;
  const append: Files["append"] = async (path, bytes) => {
    if (slow) await new Promise<void>((resolve) => (go = resolve));
    await base.append(path, bytes);
  };
  const record = await openFiles({ ...base, append }, clock, 2 ** 30);
  slow = true;
  let taken = 0;
  for (let i = 0; i < 4_000; i++) if (record.add(frame(i))) taken++;
  expect(taken).toBeGreaterThan(1_000);
  expect(taken).toBeLessThan(2_000);
  expect(record.dropped_records).toBe(4_000 - taken);
  slow = false;
  go();
  await record.flush();
  record.add(frame(9_999));
  await record.close();
  const { records } = await allOf(base);
  expect(records.flatMap((each) => each.frame ?? []).length).toBe(taken + 1);
  expect(records.flatMap((each) => each.dropped?.records ?? [])).toEqual([4_000 - taken]);
});

test("a full disk leaves a gap, and recording goes on when there is room", async () => {
  const clock = new VirtualClock();
  const base = memoryFiles(new Map());
  let full = false;
  const append: Files["append"] = async (path, bytes) => {
    // As a disk does it: a part is written.
    if (full) await base.append(path, bytes.subarray(0, 100));
    if (full) throw new Error("ENOSPC: no space left on device");
    await base.append(path, bytes);
  };
  const record = await openFiles({ ...base, append }, clock, 2 ** 30);
  record.add(frame(1));
  await clock.advance(200);
  full = true;
  record.add(frame(2));
  await clock.advance(200);
  full = false;
  await clock.advance(2_000);
  record.add(frame(3));
  await record.close();
  const { records, problems } = await allOf(base);
  expect(records.flatMap((each) => each.frame?.link ?? [])).toEqual([1, 3]);
  expect(record.dropped_records).toBeGreaterThan(0);
  expect(problems).toEqual([expect.stringContaining("ends inside a record")]);
});

test("a folder that cannot be written to is said at the start", async () => {
  const clock = new VirtualClock();
  const base = memoryFiles(new Map());
  const append = async () => {
    throw new Error("EROFS: read-only file system");
  };
  const opened = openFiles({ ...base, append }, clock, 2 ** 20);
  await expect(opened).rejects.toThrow("cannot be written to");
});

test("a folder without a recording is said in one line", async () => {
  await expect(openFolder("/r", memoryFiles(new Map()))).rejects.toThrow("/r cannot be read");
  const foreign = memoryFiles(new Map([["/r/a.rec", new TextEncoder().encode("something else")]]));
  await expect(openFolder("/r", foreign)).rejects.toThrow("a.rec is no file of a recording");
  const other = memoryFiles(new Map([["/r/notes.txt", new Uint8Array(3)]]));
  await expect(openFolder("/r", other)).rejects.toThrow("no files of a recording");
});

test("a recording of another protocol is named, and others beside it are read", async () => {
  const clock = new VirtualClock();
  const files = memoryFiles(new Map());
  await (await openFiles(files, clock, 2 ** 20)).close();
  const header = {
    ...{ protocol_version: 1, format: FORMAT, version: "0.0.1", node: "old", role: "r" },
    ...{ pid: 1, started_ms: 1, seed: 1 },
  };
  const options = { folder: "/r", bytes_max: 2 ** 20, header, clock, files, log };
  await (await RecordFiles.open(options)).close();
  const { processes, problems } = await openFolder("/r", files);
  expect(processes.map((each) => each.header.node)).toEqual(["n"]);
  expect(problems).toEqual([expect.stringContaining("use troupe 0.0.1, which wrote it")]);
});

test("a folder that is removed is made again, and each gap is told once", async () => {
  const clock = new VirtualClock();
  const base = memoryFiles(new Map());
  let isThere = true;
  let mayMake = false;
  const append: Files["append"] = async (path, bytes) => {
    if (!isThere) throw new Error("ENOENT");
    await base.append(path, bytes);
  };
  const makeFolder: Files["makeFolder"] = async (path) => {
    if (!isThere && !mayMake) throw new Error("EACCES");
    isThere = true;
    await base.makeFolder(path);
  };
  const record = await openFiles({ ...base, append, makeFolder }, clock, 2 ** 20);
  isThere = false;
  said.splice(0);
  for (let i = 0; i < 20; i++) {
    record.add(frame(i));
    await clock.advance(1_000);
  }
  expect(said).toEqual(["the recording has a gap: its folder cannot be written to"]);
  mayMake = true;
  for (let i = 20; i < 25; i++) {
    record.add(frame(i));
    await clock.advance(1_000);
  }
  expect(said.slice(1)).toEqual(["the recording goes on, after a gap"]);
  const { records } = await allOf(base);
  const links = records.flatMap((each) => each.frame?.link ?? []);
  expect(links).toContain(24);
});
