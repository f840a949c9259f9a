/**
 * The door to native/kv: memory for blocks, and the threads that carry them. The calls are those of
 * kv/kv.h, with objects in place of structs; nothing here decides anything.
 */

import { cc, dlopen, type Pointer, toArrayBuffer } from "bun:ffi";
import { type ShimSource, WakePipe } from "../index.ts";

// Every integer is declared i32 and passed as `x | 0`, never by way of an array beside a pointer,
// which would make a double of it: see ../index.ts.
const SYMBOLS = {
  tr_kv_open: { args: ["i32", "i32", "ptr"], returns: "ptr" },
  tr_kv_close: { args: ["ptr"], returns: "void" },
  tr_kv_message: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  tr_kv_wake_fd: { args: ["ptr"], returns: "i32" },
  tr_kv_region: { args: ["ptr", "i32", "i32", "i32", "ptr", "i32", "i32"], returns: "i32" },
  tr_kv_region_free: { args: ["ptr", "i32"], returns: "i32" },
  tr_kv_region_memory: { args: ["ptr", "i32"], returns: "ptr" },
  tr_kv_unlink: { args: ["ptr"], returns: "i32" },
  tr_kv_sweep: { args: ["ptr"], returns: "i32" },
  tr_kv_map: { args: ["ptr", "i32", "i32"], returns: "ptr" },
  tr_kv_unmap: { args: ["ptr", "i32", "i32"], returns: "void" },
  tr_kv_ipc_handle: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  tr_kv_ipc_open: { args: ["ptr", "ptr", "i32", "i32", "i32"], returns: "i32" },
  tr_kv_memory: { args: ["ptr", "ptr"], returns: "i32" },
  tr_kv_submit: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr", "i32"], returns: "i32" },
  tr_kv_done: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  tr_kv_sum: { args: ["ptr", "i32", "ptr"], returns: "void" },
} as const;

function openSymbols(source: ShimSource) {
  return source.kind === "library"
    ? dlopen(source.path, SYMBOLS).symbols
    : cc({ source: source.path, symbols: SYMBOLS }).symbols;
}

export type KvShim = ReturnType<typeof openSymbols>;

export const openKvShim = (source: ShimSource): KvShim => openSymbols(source);

/** Codes of kv.h, in its order. */
export const KV = {
  OK: 0,
  ERR_FULL: -1,
  ERR_BAD: -2,
  ERR_MEMORY: -3,
  ERR_SYSTEM: -4,
  ERR_MISSING: -5,
  ERR_TORN: -6,
  ERR_FOREIGN: -7,
  ERR_CORRUPT: -8,
  ERR_NO_SPACE: -9,
  ERR_NO_DEVICE: -10,
  ERR_DEVICE: -11,
  ALIGN: 4096,
  MAX_BLOCKS: 256,
} as const;

/** In the order of TR_KV_HOST, …; what a region's memory is. */
export const MEMORY_KINDS = ["host", "shared", "device"] as const;
export type MemoryKind = (typeof MEMORY_KINDS)[number];

const JOB_KINDS = { copy: 1, store: 2, load: 3, sum: 4, remove: 5 } as const;

/** Where the planes of each block lie in a region, in bytes. */
export type BlockLayout = { readonly block_stride: number; readonly plane_stride: number };

/** Blocks of one region, by number. */
export type BlockPlace = BlockLayout & {
  readonly region: number;
  readonly blocks: ArrayLike<number>;
};

export type KvJob = {
  readonly kind: keyof typeof JOB_KINDS;
  /** Given back with what became of it; a safe integer. */
  readonly id: number;
  /** Of one block: `planes` runs of `plane_bytes`. */
  readonly planes: number;
  readonly plane_bytes: number;
  readonly from?: BlockPlace;
  readonly to?: BlockPlace;
  /** The checksums that the blocks have to have. */
  readonly sums?: BigUint64Array;
  /** One a block, for store, load and remove. */
  readonly paths?: readonly string[];
  /** What files of blocks like these are told apart from others by. */
  readonly identity?: readonly [bigint, bigint];
};

/** What became of a job: for each block a code and its checksum. */
export type KvDone = {
  readonly id: number;
  readonly codes: Int32Array;
  readonly sums: BigUint64Array;
};

export type MemoryUse = {
  readonly kind: MemoryKind;
  readonly bytes: number;
  readonly most_bytes: number;
  readonly regions: number;
};

const cString = (text: string) => Buffer.from(`${text}\0`, "utf8");
const TWO_32 = 2 ** 32;
const low = (bytes: number) => (bytes % TWO_32) | 0;
const high = (bytes: number) => Math.floor(bytes / TWO_32) | 0;
const NO_PLACE: BlockPlace = { region: 0, blocks: [], block_stride: 0, plane_stride: 0 };
const DONE_WORDS = 4 * (3 + 3 * KV.MAX_BLOCKS);

/** Where a segment that another process made lies from now on; undefined: there is none like it. */
export function mapSegment(shim: KvShim, name: string, bytes: number): number | undefined {
  const at = shim.tr_kv_map(cString(name), low(bytes), high(bytes));
  return typeof at === "number" ? at : undefined;
}

/** Nothing may use it any more. */
export function unmapSegment(shim: KvShim, address: number, bytes: number): void {
  shim.tr_kv_unmap(address as Pointer, low(bytes), high(bytes));
}

/** Removes the name of a segment whose maker is gone; false: there is none, or the maker lives. */
export const sweepSegment = (shim: KvShim, name: string): boolean =>
  shim.tr_kv_sweep(cString(name)) === 1;

export type MoverOptions = {
  readonly threads: number;
  /** On their way at each thread at most. */
  readonly jobs: number;
  /** The driver's library; undefined: no device. */
  readonly cuda?: string | undefined;
};

/** The movers of one process. The owner calls `close` once, after which nothing else may be called. */
export class NativeMovers {
  readonly #shim: KvShim;
  readonly #kv: Pointer;
  readonly #wakes: WakePipe;
  readonly #words = new Uint32Array(DONE_WORDS);

  /** Throws where there is no memory or no thread. */
  constructor(shim: KvShim, { threads, jobs, cuda }: MoverOptions) {
    const kv = shim.tr_kv_open(threads | 0, jobs | 0, cuda === undefined ? null : cString(cuda));
    if (typeof kv !== "number") throw new Error("no memory or no thread for the movers of blocks");
    this.#shim = shim;
    this.#kv = kv;
    this.#wakes = new WakePipe(shim.tr_kv_wake_fd(kv));
  }

  /** Called whenever a job has ended. One listener. */
  onWake(listener: () => void): void {
    this.#wakes.listen(listener);
  }

  /** One line: why the last call here failed. */
  message(): string {
    const bytes = new Uint8Array(512);
    const length = this.#shim.tr_kv_message(this.#kv, bytes, bytes.length);
    return new TextDecoder().decode(bytes.subarray(0, Math.min(length, bytes.length - 1)));
  }

  /**
   * The number of a new region, or a code below 0. It may take the system a while to find so many
   * pages: call it at start.
   * @param name of a shared one, "/…"; `create: false` maps what another process made
   */
  region(
    kind: MemoryKind,
    bytes: number,
    at: { readonly name?: string; readonly create?: boolean; readonly device?: number } = {},
  ): number {
    const { name, create = true, device = 0 } = at;
    const text = name === undefined ? null : cString(name);
    const k = MEMORY_KINDS.indexOf(kind) | 0;
    const [from, to] = [low(bytes), high(bytes)];
    return this.#shim.tr_kv_region(this.#kv, k, from, to, text, Number(create) | 0, device | 0);
  }

  /** A code; ERR_FULL: jobs still use it. */
  freeRegion(region: number): number {
    return this.#shim.tr_kv_region_free(this.#kv, region | 0);
  }

  /** Some of a region's bytes, without a copy; valid until it is freed. Throws for a device's. */
  bytes(region: number, size: number, from = 0): Uint8Array {
    // An array has 4 GB at most, a region may have more.
    return new Uint8Array(toArrayBuffer((this.address(region) + from) as Pointer, 0, size));
  }

  /** Where a region of this process's memory begins. Throws for a device's. */
  address(region: number): number {
    const at = this.#shim.tr_kv_region_memory(this.#kv, region | 0);
    if (typeof at !== "number") throw new Error(`region ${region} is not in this process's memory`);
    return at;
  }

  /** Removes a shared segment's name. A code. */
  unlink(name: string): number {
    return this.#shim.tr_kv_unlink(cString(name));
  }

  /** By which another process opens a device's region; or a code. */
  ipcHandle(region: number): Uint8Array | number {
    const handle = new Uint8Array(64);
    const code = this.#shim.tr_kv_ipc_handle(this.#kv, region | 0, handle);
    return code === KV.OK ? handle : code;
  }

  ipcOpen(handle: Uint8Array, bytes: number, device = 0): number {
    return this.#shim.tr_kv_ipc_open(this.#kv, handle, low(bytes), high(bytes), device | 0);
  }

  memory(): readonly MemoryUse[] {
    const numbers = new Float64Array(MEMORY_KINDS.length * 3);
    this.#shim.tr_kv_memory(this.#kv, numbers);
    return MEMORY_KINDS.map((kind, i) => ({
      kind,
      bytes: numbers[i * 3]!,
      most_bytes: numbers[i * 3 + 1]!,
      regions: numbers[i * 3 + 2]!,
    }));
  }

  /** A code; everything is copied. Jobs end in any order. */
  submit(job: KvJob): number {
    const { from = NO_PLACE, to = NO_PLACE, sums, paths = [], identity = [0n, 0n] } = job;
    const blocks = Math.max(from.blocks.length, to.blocks.length, paths.length);
    const struct = new BigUint64Array(11);
    struct[0] = BigInt(job.id);
    struct[1] = BigInt(job.plane_bytes);
    struct[2] = BigInt(from.block_stride);
    struct[3] = BigInt(from.plane_stride);
    struct[4] = BigInt(to.block_stride);
    struct[5] = BigInt(to.plane_stride);
    struct.set(identity, 6);
    const words = new Uint32Array(struct.buffer, 64);
    words.set([JOB_KINDS[job.kind], job.planes, blocks, from.region, to.region, sums ? 1 : 0]);
    const texts = paths.length === 0 ? null : cString(paths.join("\0"));
    const size = (texts?.length ?? 0) | 0;
    const [out, into] = [numbersOf(from), numbersOf(to)];
    return this.#shim.tr_kv_submit(this.#kv, struct, out, into, sums ?? null, texts, size);
  }

  /** Jobs that ended since the last call, some of them: call again until there is none. */
  done(): readonly KvDone[] {
    const words = this.#words;
    const end = this.#shim.tr_kv_done(this.#kv, words, words.length | 0);
    const all: KvDone[] = [];
    for (let at = 0; at < end; ) {
      const id = words[at]! + words[at + 1]! * TWO_32;
      const blocks = words[at + 2]!;
      at += 3;
      const codes = new Int32Array(blocks);
      const sums = new BigUint64Array(blocks);
      const halves = new Uint32Array(sums.buffer);
      for (let b = 0; b < blocks; b += 1, at += 3) {
        codes[b] = words[at]!;
        halves[2 * b] = words[at + 1]!;
        halves[2 * b + 1] = words[at + 2]!;
      }
      all.push({ id, codes, sums });
    }
    return all;
  }

  /** The checksum of bytes that JavaScript has. */
  sum(bytes: Uint8Array): bigint {
    const halves = new Uint32Array(2);
    this.#shim.tr_kv_sum(bytes, bytes.length | 0, halves);
    return BigInt(halves[0]!) | (BigInt(halves[1]!) << 32n);
  }

  /** Waits for jobs that have begun, and gives every region back. */
  async close(): Promise<void> {
    await this.#wakes.end();
    this.#shim.tr_kv_close(this.#kv);
  }
}

const numbersOf = (place: BlockPlace) =>
  place.blocks.length === 0 ? null : Uint32Array.from(place.blocks);
