/** A block in a store has the header that files of blocks have, and nothing of it is trusted. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import {
  BLOCK_HEADER_BYTES,
  blockKind,
  readStored,
  stored,
} from "../../../actors/kv/object/header.ts";
import { buildShim } from "../../../native/build.ts";
import { KV, NativeMovers, openKvShim } from "../../../native/kv/index.ts";
import { blockBytes } from "../../support/block-peers.ts";

const SIZE = 4096;
const kind = blockKind("00112233445566778899aabbccddeeff");
const folder = mkdtempSync(join(tmpdir(), "troupe-header-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a block comes out as it went in; of another kind or size it is foreign", () => {
  const bytes = blockBytes(7n, SIZE);
  const whole = stored(kind, bytes, Bun.hash.xxHash3(bytes));
  const read = readStored(kind, whole, SIZE);
  if (typeof read === "string") throw new Error(read);
  expect(Buffer.compare(read.bytes, bytes)).toBe(0);
  expect(read.sum).toBe(Bun.hash.xxHash3(bytes));
  expect(readStored(blockKind("10112233445566778899aabbccddeeff"), whole, SIZE)).toBe("foreign");
  expect(readStored(kind, whole, SIZE * 2)).toBe("foreign");
});

test("whatever bit turns and wherever it is cut, it is not trusted", () => {
  const bytes = blockBytes(9n, SIZE);
  const whole = stored(kind, bytes, Bun.hash.xxHash3(bytes));
  fc.assert(
    fc.property(fc.nat(whole.length * 8 - 1), (bit) => {
      const odd = whole.slice();
      odd[bit >> 3] = odd[bit >> 3]! ^ (1 << (bit & 7));
      expect(["torn", "foreign", "corrupt"]).toContain(readStored(kind, odd, SIZE) as string);
    }),
  );
  fc.assert(
    fc.property(fc.nat(whole.length - 1), (length) => {
      expect(readStored(kind, whole.subarray(0, length), SIZE)).toBe("torn");
    }),
  );
});

test("the header is the one of files", async () => {
  const movers = new NativeMovers(openKvShim((await buildShim()).source), { threads: 1, jobs: 1 });
  const region = movers.region("host", SIZE);
  const bytes = blockBytes(11n, SIZE);
  movers.bytes(region, SIZE).set(bytes);
  const woken = new Promise<void>((resolve) => movers.onWake(resolve));
  const path = join(folder, "block");
  const from = { region, blocks: [0], block_stride: SIZE, plane_stride: SIZE };
  const shape = { planes: 1, plane_bytes: SIZE };
  const job = { kind: "store", id: 1, ...shape, from, paths: [path], identity: kind } as const;
  expect(movers.submit(job)).toBe(KV.OK);
  await woken;
  const [done] = movers.done();
  expect(done?.codes[0]).toBe(KV.OK);
  const ours = stored(kind, bytes, done!.sums[0]!);
  const theirs = readFileSync(path);
  const header = BLOCK_HEADER_BYTES;
  expect(Buffer.compare(ours.subarray(0, header), theirs.subarray(0, header))).toBe(0);
  movers.freeRegion(region);
  await movers.close();
});
