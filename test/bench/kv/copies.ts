/**
 * Blocks from memory to memory and to files, beside what the machine itself does: `memcpy`, and
 * `dd` with direct I/O. Both sides of a ratio take turns, so that other work disturbs them alike.
 */
import { dlopen } from "bun:ffi";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildShim } from "../../../native/build.ts";
import { KV, type KvJob, NativeMovers, openKvShim } from "../../../native/kv/index.ts";
import type { Report } from "../bench.ts";
import { median, rounded } from "../statistics.ts";
import { block_size } from "./block-size.ts";

/** As of the 270M model: 18 layers, keys and values, 256 numbers of 16 bits a token. */
const PLANES = 36;
const PLANE_BYTES = block_size * 512;
const BLOCK_BYTES = PLANES * PLANE_BYTES;
/** 144 MiB: more than the caches of a processor hold. */
const BLOCKS = 8_192 / block_size;
const TOTAL = BLOCKS * BLOCK_BYTES;
const ROUNDS = 9;
const BLOCKS_A_JOB = BLOCKS / 8;
const THREADS = 2;

const numbers = Array.from({ length: BLOCKS }, (_, i) => i);
const shape = { planes: PLANES, plane_bytes: PLANE_BYTES };
const together = (region: number, blocks = numbers) => ({
  ...{ region, blocks, block_stride: BLOCK_BYTES, plane_stride: PLANE_BYTES },
});
/** One plane of all blocks behind the other, as an engine's layers are. */
const byLayer = (region: number) => ({
  ...{ region, blocks: numbers, block_stride: PLANE_BYTES, plane_stride: PLANE_BYTES * BLOCKS },
});

class Timed {
  readonly movers: NativeMovers;
  #wake: () => void = () => {};
  #next = 1;

  constructor(movers: NativeMovers) {
    this.movers = movers;
    movers.onWake(() => this.#wake());
  }

  region(bytes = TOTAL): number {
    const region = this.movers.region("host", bytes);
    if (region < 0) throw new Error(`no region: ${this.movers.message()}`);
    // Every page is there before a clock runs.
    this.movers.bytes(region, bytes).fill(7);
    return region;
  }

  /** Bytes a second of jobs over all blocks, which are on their way together. */
  async rate(...jobs: readonly Omit<KvJob, "id">[]): Promise<number> {
    const started_ns = Bun.nanoseconds();
    for (const job of jobs) {
      const code = this.movers.submit({ ...job, id: this.#next++ });
      if (code !== KV.OK) throw new Error(`code ${code}: ${this.movers.message()}`);
    }
    for (let left = jobs.length; left > 0; ) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      for (const { codes } of this.movers.done()) {
        const failed = codes.find((code) => code !== KV.OK);
        if (failed !== undefined) throw new Error(`code ${failed}: ${this.movers.message()}`);
        left -= 1;
      }
      if (left > 0) await woken;
    }
    return TOTAL / ((Bun.nanoseconds() - started_ns) / 1e9);
  }
}

const gigabytes = (rates: readonly number[]) => rounded(median(rates) / 1e9, 2);
const ratio = (own: readonly number[], other: readonly number[]) =>
  rounded(median(own.map((rate, i) => rate / other[i]!)), 3);

/** Host memory to host memory, alike and between two layouts, beside `memcpy`. */
async function hostCopies(timed: Timed, report: Report): Promise<void> {
  const [from, to] = [timed.region(), timed.region()];
  const { symbols } = dlopen("libc.so.6", {
    memcpy: { args: ["ptr", "ptr", "u64"], returns: "ptr" },
  });
  const memcpyRate = () => {
    const [source, target] = [timed.movers.bytes(from, TOTAL), timed.movers.bytes(to, TOTAL)];
    const started_ns = Bun.nanoseconds();
    symbols.memcpy(target, source, TOTAL);
    return TOTAL / ((Bun.nanoseconds() - started_ns) / 1e9);
  };
  const cases = {
    copy: { from: together(from), to: together(to) },
    gather: { from: byLayer(from), to: together(to) },
    scatter: { from: together(from), to: byLayer(to) },
  };
  memcpyRate();
  for (const [name, places] of Object.entries(cases)) {
    const own: number[] = [];
    const libc: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      libc.push(memcpyRate());
      own.push(await timed.rate({ kind: "copy", ...shape, ...places }));
    }
    const figures = { gb_per_s: gigabytes(own), memcpy_gb_per_s: gigabytes(libc) };
    report({ case: `host ${name}`, ...figures, ratio: ratio(own, libc) });
  }
  for (const region of [from, to]) timed.movers.freeRegion(region);
}

/** Bytes a second of `dd` with direct I/O on a file of the same size. */
async function ddRate(args: readonly string[]): Promise<number> {
  const started_ns = Bun.nanoseconds();
  const child = Bun.spawn(["dd", "bs=1M", `count=${TOTAL / 2 ** 20}`, ...args], {
    stderr: "pipe",
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`dd ${args.join(" ")}: ${said}`);
  return TOTAL / ((Bun.nanoseconds() - started_ns) / 1e9);
}

/** A file a block with header and checksum, beside one long file without. */
async function diskCopies(timed: Timed, folder: string, report: Report): Promise<void> {
  const home = timed.region();
  // As the keeper of a machine moves them: some blocks a job, on both threads.
  const jobs = Array.from({ length: BLOCKS / BLOCKS_A_JOB }, (_, job) => {
    const blocks = numbers.slice(job * BLOCKS_A_JOB, (job + 1) * BLOCKS_A_JOB);
    const paths = blocks.map((i) => join(folder, `${i}.kv`));
    return { files: { ...shape, paths, identity: [1n, 2n] as const }, at: together(home, blocks) };
  });
  const long = join(folder, "dd");
  const own = { store: [] as number[], load: [] as number[] };
  const dd = { store: [] as number[], load: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    dd.store.push(await ddRate(["if=/dev/zero", `of=${long}`, "oflag=direct"]));
    own.store.push(
      await timed.rate(
        ...jobs.map(({ files, at }) => ({ kind: "store" as const, ...files, from: at })),
      ),
    );
    dd.load.push(await ddRate([`if=${long}`, "of=/dev/null", "iflag=direct"]));
    own.load.push(
      await timed.rate(
        ...jobs.map(({ files, at }) => ({ kind: "load" as const, ...files, to: at })),
      ),
    );
    for (const { files } of jobs) for (const path of files.paths) rmSync(path);
    rmSync(long);
  }
  for (const way of ["store", "load"] as const) {
    const figures = { gb_per_s: gigabytes(own[way]), dd_gb_per_s: gigabytes(dd[way]) };
    report({ case: `disk ${way}`, ...figures, ratio: ratio(own[way], dd[way]) });
  }
  timed.movers.freeRegion(home);
}

export async function benchCopies(report: Report): Promise<void> {
  const parent = process.env.TROUPE_BENCH_DISK ?? tmpdir();
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, "troupe-bench-kv-"));
  const shim = openKvShim((await buildShim()).source);
  const movers = new NativeMovers(shim, { threads: THREADS, jobs: BLOCKS / BLOCKS_A_JOB });
  try {
    const timed = new Timed(movers);
    await hostCopies(timed, report);
    await diskCopies(timed, folder, report);
  } finally {
    await movers.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
