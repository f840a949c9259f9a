/** Regions and movers through the door of actors: layouts, files, a device, what is refused. */
import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildShim } from "../../../native/build.ts";
import { KV, type KvDone, type KvJob, NativeMovers, openKvShim } from "../../../native/kv/index.ts";
import { buildStandIn } from "../../support/cuda/stand-in.ts";

const PLANES = 4;
const PLANE_BYTES = 1024;
const BLOCK_BYTES = PLANES * PLANE_BYTES;
const BLOCKS = 8;
const numbers = Array.from({ length: BLOCKS }, (_, i) => i);

const folder = mkdtempSync(join(tmpdir(), "troupe-kv-"));
const cuda = await buildStandIn(folder);
const shim = openKvShim((await buildShim()).source);
const movers = new NativeMovers(shim, { threads: 2, jobs: 4, cuda });
let wake: () => void = () => {};
movers.onWake(() => wake());

afterAll(async () => {
  await movers.close();
  rmSync(folder, { recursive: true });
});

async function ended(job: KvJob): Promise<KvDone> {
  const woken = new Promise<void>((resolve) => {
    wake = resolve;
  });
  expect(movers.submit(job)).toBe(KV.OK);
  await woken;
  const [done] = movers.done();
  expect(done?.id).toBe(job.id);
  return done!;
}

const contiguous = (region: number, blocks: readonly number[] = numbers) => ({
  ...{ region, blocks, block_stride: BLOCK_BYTES, plane_stride: PLANE_BYTES },
});
const apart = (region: number) => ({
  ...{ region, blocks: numbers, block_stride: PLANE_BYTES, plane_stride: PLANE_BYTES * BLOCKS },
});
const shape = { planes: PLANES, plane_bytes: PLANE_BYTES };

function filled(region: number): Uint8Array {
  const bytes = movers.bytes(region, BLOCKS * BLOCK_BYTES);
  bytes.forEach((_, i) => {
    bytes[i] = (i * 131 + (i >> 8)) & 255;
  });
  return bytes;
}

const kinds = cuda === undefined ? (["shared"] as const) : (["shared", "device"] as const);

describe.each(kinds)("blocks in %s memory", (kind) => {
  test("are what they were when they come back, whatever the layout", async () => {
    const name = `/troupe-movers-${process.pid}`;
    const home = movers.region("host", BLOCKS * BLOCK_BYTES);
    const away = movers.region(kind, BLOCKS * BLOCK_BYTES, { name });
    const back = movers.region("host", BLOCKS * BLOCK_BYTES);
    const bytes = filled(home);
    const reversed = numbers.toReversed();
    const out = { kind: "copy", id: 1, ...shape, from: apart(home) } as const;
    const { codes, sums } = await ended({ ...out, to: contiguous(away, reversed) });
    expect([...codes]).toEqual(numbers.map(() => KV.OK));
    const third = Buffer.concat(
      Array.from({ length: PLANES }, (_, p) => {
        const from = p * PLANE_BYTES * BLOCKS + 3 * PLANE_BYTES;
        return bytes.subarray(from, from + PLANE_BYTES);
      }),
    );
    expect(sums[3]).toBe(Bun.hash.xxHash3(third));
    expect(movers.sum(third)).toBe(Bun.hash.xxHash3(third));
    const home_again = { kind: "copy", id: 2, ...shape, sums, to: apart(back) } as const;
    await ended({ ...home_again, from: contiguous(away, reversed) });
    expect(Buffer.compare(movers.bytes(back, bytes.length), bytes)).toBe(0);
    for (const region of [home, away, back]) expect(movers.freeRegion(region)).toBe(KV.OK);
    if (kind === "shared") expect(movers.unlink(name)).toBe(KV.OK);
    expect(movers.memory().map((use) => use.bytes)).toEqual([0, 0, 0]);
  });
});

test("checksums are XXH3's, at every length", () => {
  for (let n = 1; n < 1_300; n += 1) {
    const bytes = Uint8Array.from({ length: n }, (_, i) => (i * 37 + n) & 255);
    expect(movers.sum(bytes)).toBe(Bun.hash.xxHash3(bytes));
  }
});

test("a file is read as it was written, and one that was not is told from it", async () => {
  const home = movers.region("host", BLOCKS * BLOCK_BYTES);
  const bytes = filled(home);
  const before = bytes.slice();
  const paths = numbers.map((i) => join(folder, `${i}.kv`));
  const identity = [5n, 6n] as const;
  const files = { ...shape, paths, identity };
  const stored = await ended({ kind: "store", id: 3, ...files, from: contiguous(home) });
  expect([...stored.codes]).toEqual(numbers.map(() => KV.OK));
  expect(readdirSync(folder).filter((name) => name.endsWith(".kv"))).toHaveLength(BLOCKS);
  bytes.fill(0);
  writeFileSync(paths[2]!, "torn");
  writeFileSync(paths[4]!, new Uint8Array(20_000));
  // Whole, but of another block.
  copyFileSync(paths[1]!, paths[6]!);
  const loaded = await ended({ kind: "load", id: 4, ...files, to: contiguous(home) });
  const wanted = numbers.map(() => KV.OK as number);
  [wanted[2], wanted[4], wanted[6]] = [KV.ERR_TORN, KV.ERR_FOREIGN, KV.ERR_FOREIGN];
  expect([...loaded.codes]).toEqual(wanted);
  expect(loaded.sums[7]).toBe(stored.sums[7]!);
  const seventh = [7 * BLOCK_BYTES, 8 * BLOCK_BYTES] as const;
  expect(Buffer.compare(bytes.subarray(...seventh), before.subarray(...seventh))).toBe(0);
  const foreign = { ...files, identity: [5n, 7n] as const };
  const other = await ended({ kind: "load", id: 5, ...foreign, to: contiguous(home) });
  expect(other.codes[0]).toBe(KV.ERR_FOREIGN);
  await ended({ kind: "remove", id: 6, planes: 0, plane_bytes: 0, paths });
  expect(readdirSync(folder).filter((name) => name.endsWith(".kv"))).toEqual([]);
  movers.freeRegion(home);
});

test("a job that does not fit its regions is refused", () => {
  const home = movers.region("host", BLOCKS * BLOCK_BYTES);
  const job = { kind: "sum", id: 7, ...shape } as const;
  expect(movers.submit({ ...job, from: contiguous(home, [BLOCKS]) })).toBe(KV.ERR_BAD);
  expect(movers.submit({ ...job, from: contiguous(40) })).toBe(KV.ERR_BAD);
  expect(movers.submit({ ...job })).toBe(KV.ERR_BAD);
  expect(movers.message()).toBe("the job does not fit its regions");
  expect(movers.freeRegion(home)).toBe(KV.OK);
});

test("more memory than is free is refused before any of it is taken", () => {
  const name = `/troupe-large-${process.pid}`;
  expect(movers.region("shared", 2 ** 45, { name })).toBe(KV.ERR_MEMORY);
  expect(movers.message()).toBe("so much memory is not free: give less");
  expect(readdirSync("/dev/shm")).not.toContain(name.slice(1));
});

test("a segment's name is there once", () => {
  const name = `/troupe-once-${process.pid}`;
  const first = movers.region("shared", 4096, { name });
  expect(movers.region("shared", 4096, { name })).toBe(KV.ERR_SYSTEM);
  const second = movers.region("shared", 4096, { name, create: false });
  movers.bytes(first, 4096)[9] = 77;
  expect(movers.bytes(second, 4096)[9]).toBe(77);
  for (const region of [first, second]) movers.freeRegion(region);
  expect(movers.unlink(name)).toBe(KV.OK);
  expect(movers.unlink(name)).toBe(KV.ERR_MISSING);
});
