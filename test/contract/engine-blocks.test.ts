/**
 * What every engine promises that exports blocks: in another engine they give the same answers,
 * without the prefill. See actors/engine/block-port.ts.
 */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BlockMove } from "../../actors/engine/block-port.ts";
import type { Engine } from "../../actors/engine/engine.ts";
import { openLlama } from "../../actors/engine/llama/llama.ts";
import { MockerEngine } from "../../actors/engine/mocker/mocker.ts";
import { blockHashes } from "../../llm/blocks/block-hash.ts";
import { buildShim } from "../../native/build.ts";
import { NativeMovers, openKvShim } from "../../native/kv/index.ts";
import { bytesAt } from "../../native/kv/memory.ts";
import { EngineDriver, request } from "../support/engine/engine-driver.ts";
import { randomGguf } from "../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-blocks-"));
const MODEL = join(folder, "random.gguf");
await Bun.write(MODEL, randomGguf());
const movers = new NativeMovers(openKvShim((await buildShim()).source), { threads: 1, jobs: 1 });
const opened: Engine[] = [];

type Options = {
  readonly kv_tokens?: number;
  readonly max_num_seqs?: number;
  readonly block?: number;
};
const CONTEXT = 1024;

const ENGINES: readonly {
  readonly name: string;
  readonly block: number;
  readonly open: (options: Options) => Promise<Engine>;
}[] = [
  ...[16, 32, 64].map((block) => ({
    ...{ name: `llama, blocks of ${block}`, block },
    open: ({ block: block_size = block, ...options }: Options) =>
      openLlama({ model: MODEL, context_length: CONTEXT, block_size, ...options }),
  })),
  {
    ...{ name: "mocker", block: 64 },
    open: async ({ kv_tokens = 16_384, block: block_size = 64 }) => {
      const num_gpu_blocks = kv_tokens / block_size;
      const shape = { num_gpu_blocks, block_size, max_model_len: CONTEXT };
      return new MockerEngine({ ...shape, speedup_ratio: 0 }, { memory: bytesAt });
    },
  },
];

afterEach(async () => {
  for (const engine of opened.splice(0)) await engine.close();
});
afterAll(async () => {
  await movers.close();
  rmSync(folder, { recursive: true });
});

class Mover {
  readonly driver: EngineDriver;
  readonly #moved = new Map<number, readonly BlockMove[]>();
  #next = 1;

  constructor(readonly engine: Engine) {
    this.driver = new EngineDriver(engine);
    engine.blocks!.onMoved((handle, blocks) => this.#moved.set(handle, blocks));
  }

  get port() {
    return this.engine.blocks!;
  }

  /** Within 10 s. */
  async moved(start: (handle: number) => unknown): Promise<readonly BlockMove[]> {
    const handle = this.#next++;
    expect(start(handle)).toBeUndefined();
    for (let tries = 0; tries < 10_000; tries += 1) {
      this.driver.pump();
      const blocks = this.#moved.get(handle);
      if (blocks !== undefined) return blocks;
      await Bun.sleep(1);
    }
    throw new Error("the blocks were not moved in 10 s");
  }

  async cached(prompt: readonly number[], tokens = 1): Promise<readonly [number, string]> {
    const [answer] = await this.driver.run([request(this.#next++, prompt, tokens)]);
    expect(answer!.faults).toEqual([]);
    return [answer!.finished!.cached_tokens, answer!.tokens.join(" ")];
  }
}

function prompt(seed: number, length: number): number[] {
  let state = seed * 2654435761;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 20 + ((state >>> 8) % 200);
  });
}

const FULL = 384; // whole blocks of each size
const LENGTH = FULL + 3; // an answer fills no further one

describe.each([...ENGINES])("engine $name", ({ block, open }) => {
  const BLOCKS = FULL / block;
  const hashesOf = (tokens: readonly number[]) =>
    blockHashes(Uint32Array.from(tokens), block).sequence_hashes;

  async function mover(options: Options = {}): Promise<Mover> {
    const engine = await open(options);
    opened.push(engine);
    return new Mover(engine);
  }

  /** The blocks of the prompt in memory, made by a first engine, and what that one answers. */
  async function exported(tokens: readonly number[]) {
    const first = await mover();
    const [, text] = await first.cached(tokens, 12);
    const bytes = first.port.bytes();
    expect(bytes).toBeGreaterThanOrEqual(64);
    const stride = Math.ceil(bytes / 4096) * 4096;
    const region = movers.region("host", stride * BLOCKS);
    const base = movers.address(region);
    const addresses = Array.from({ length: BLOCKS }, (_, i) => base + i * stride);
    const hashes = hashesOf(tokens);
    const targets = addresses.map((address, i) => ({ hash: hashes[i]!, address }));
    expect(await first.moved((handle) => first.port.out(handle, targets, bytes))).toEqual(
      Array.from({ length: BLOCKS }, () => "moved" as const),
    );
    return { first, text, bytes, region, addresses, targets };
  }

  test("an engine answers from blocks that another one has computed", async () => {
    const tokens = prompt(1, LENGTH);
    const { text, bytes, addresses } = await exported(tokens);
    const second = await mover();
    const into = { tokens: Uint32Array.from(tokens), first: 0, addresses };
    const moves = await second.moved((handle) => second.port.in(handle, into, bytes));
    expect(new Set(moves)).toEqual(new Set(["moved"]));
    // What came in is news, as what is computed is.
    const dump = second.engine.kvDump!();
    expect([...dump.blocks].flatMap((run) => [...run.sequence_hashes])).toEqual([
      ...hashesOf(tokens),
    ]);
    expect(await second.cached(tokens, 12)).toEqual([FULL, text]);
    // Again: they are there.
    await second.moved((handle) => second.port.in(handle, into, bytes));
    expect(second.engine.stats().cached_blocks).toBe(BLOCKS);
  });

  test("blocks of more beginnings than answers at a time all go out", async () => {
    const first = await mover({ max_num_seqs: 4 });
    const prompts = Array.from({ length: 8 }, (_, i) => prompt(20 + i, 65));
    for (const tokens of prompts) await first.cached(tokens);
    const together = [0, 1, 2, 3].map((i) => request(100 + i, prompt(40 + i, 65), 1));
    await first.driver.run(together);
    const bytes = first.port.bytes();
    const address = movers.address(movers.region("host", Math.ceil(bytes / 4096) * 4096));
    for (const tokens of prompts) {
      const targets = [{ hash: hashesOf(tokens)[0]!, address }];
      const moves = await first.moved((handle) => first.port.out(handle, targets, bytes));
      expect(moves).toEqual(["moved"]);
    }
  });

  test("blocks come in behind what is cached, and not behind what is not", async () => {
    const tokens = prompt(2, LENGTH);
    const { text, bytes, addresses } = await exported(tokens);
    const second = await mover();
    const row = Uint32Array.from(tokens);
    const first = 128 / block;
    const late = { tokens: row, first, addresses: addresses.slice(first) };
    const none = await second.moved((handle) => second.port.in(handle, late, bytes));
    expect(none).toEqual(Array.from({ length: BLOCKS - first }, () => "gone" as const));
    expect((await second.cached(tokens.slice(0, 130)))[0]).toBe(0);
    await second.moved((handle) => second.port.in(handle, late, bytes));
    expect(await second.cached(tokens, 12)).toEqual([FULL, text]);
  });

  test("a block that is gone, or another one by now, is not copied", async () => {
    const tokens = prompt(3, LENGTH);
    const { first, bytes, targets } = await exported(tokens);
    const unknown = [{ hash: 5n, address: targets[0]!.address }, targets[1]!];
    const moves = await first.moved((handle) => first.port.out(handle, unknown, bytes));
    expect(moves).toEqual(["gone", "moved"]);
    expect(first.engine.clearCache!()).toBe(true);
    await first.cached(prompt(4, LENGTH)); // the places have other blocks now
    const stale = await first.moved((handle) => first.port.out(handle, targets, bytes));
    expect(new Set(stale)).toEqual(new Set(["gone"]));
  });

  test("bytes that are no block do not come in, and leave nothing behind", async () => {
    const tokens = prompt(5, LENGTH);
    const { text, bytes, region, addresses } = await exported(tokens);
    movers.bytes(region, bytes).fill(7, 0, 64);
    const second = await mover();
    const into = { tokens: Uint32Array.from(tokens), first: 0, addresses };
    const moves = await second.moved((handle) => second.port.in(handle, into, bytes));
    expect(new Set(moves)).toEqual(new Set(["odd"]));
    const short = await second.moved((handle) => second.port.in(handle, into, bytes / 2));
    expect(new Set(short)).toEqual(new Set(["odd"]));
    expect(await second.cached(tokens, 12)).toEqual([0, text]);
    expect(second.engine.stats().used_blocks).toBe(0);
  });

  test("blocks of another size do not come in", async () => {
    const tokens = prompt(5, LENGTH);
    const { text, bytes, addresses } = await exported(tokens);
    const second = await mover({ block: block === 64 ? 16 : 64 });
    const into = { tokens: Uint32Array.from(tokens), first: 0, addresses: addresses.slice(0, 1) };
    expect(await second.moved((handle) => second.port.in(handle, into, bytes))).toEqual(["odd"]);
    expect(await second.cached(tokens, 12)).toEqual([0, text]);
  });

  test("blocks come in where there is room that nobody uses, and no further", async () => {
    const tokens = prompt(6, LENGTH);
    const { bytes, addresses } = await exported(tokens);
    const second = await mover({ kv_tokens: 1024 });
    for (let seed = 10; seed < 14; seed += 1) await second.cached(prompt(seed, 330));
    const into = { tokens: Uint32Array.from(tokens), first: 0, addresses };
    await second.moved((handle) => second.port.in(handle, into, bytes));
    expect((await second.cached(tokens))[0]).toBe(FULL);
  });

  test("while answers are made, blocks move and no answer changes", async () => {
    const tokens = prompt(7, LENGTH);
    const { first, bytes, addresses, targets } = await exported(tokens);
    const alone = await first.cached(prompt(8, 100), 60);
    const running = first.cached(prompt(8, 100), 60);
    for (let i = 0; i < 5; i += 1) {
      const handle = 5_000 + i;
      expect(first.port.out(handle, targets, bytes)).toBeUndefined();
      expect(
        first.port.in(
          handle + 100,
          { tokens: Uint32Array.from(tokens), first: 0, addresses },
          bytes,
        ),
      ).toBeUndefined();
    }
    expect((await running)[1]).toBe(alone[1]);
  });

  test("what is asked for beyond the limits is refused", async () => {
    const { first, bytes, targets } = await exported(prompt(9, LENGTH));
    expect(first.port.out(1, [], bytes)?.code).toBe("bad_request");
    const into = {
      tokens: new Uint32Array(2048),
      first: CONTEXT / block - 6,
      addresses: new Array(8).fill(targets[0]!.address),
    };
    expect(first.port.in(2, into, bytes)?.code).toBe("context_overflow");
    const codes = Array.from(
      { length: 40 },
      (_, i) => first.port.out(100 + i, targets, bytes)?.code,
    );
    expect(codes.filter((code) => code === "queue_full").length).toBeGreaterThan(0);
  });
});
