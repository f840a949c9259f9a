/** How long blocks take from a simulated engine to memory and back, and what they say there. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { BlockMove } from "../../../actors/engine/block-port.ts";
import { Link } from "../../../actors/engine/mocker/link.ts";
import { MockerEngine } from "../../../actors/engine/mocker/mocker.ts";
import { blockHashes } from "../../../llm/blocks/block-hash.ts";
import { request } from "../../support/engine/engine-driver.ts";

const BLOCK = 64;
const tokens = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
/** 64 KB a block, which 64 MB/s carry in 1 ms. */
const TIMED = {
  kv_bytes_per_token: 1_000,
  d2h_bandwidth_gbps: 0.064,
  h2d_bandwidth_gbps: 0.032,
  host_offload_latency_ms: 0.5,
} as const;

/** An engine in virtual time whose moves are written down, with memory of its own. */
class MovingEngine {
  readonly engine: MockerEngine;
  readonly memory = new Map<number, Uint8Array>();
  readonly moved: (readonly [at_ms: number, handle: number, blocks: readonly BlockMove[]])[] = [];
  readonly ended: (readonly [at_ms: number, handle: number, cached_tokens: number])[] = [];
  now_ms = 0;

  constructor(options: ConstructorParameters<typeof MockerEngine>[0]) {
    const memory = (address: number, bytes: number) => {
      if (!this.memory.has(address)) this.memory.set(address, new Uint8Array(bytes));
      return this.memory.get(address)!;
    };
    this.engine = new MockerEngine(options, { memory });
    this.engine.blocks!.onMoved((handle, blocks) => this.moved.push([this.now_ms, handle, blocks]));
  }

  get port() {
    return this.engine.blocks!;
  }

  /** One step; when the next one is due. */
  step(): number | undefined {
    const delay_ms = this.engine.step(this.now_ms);
    for (const event of this.engine.poll(1_000)) {
      if (event.kind !== "finished") continue;
      this.ended.push([this.now_ms, event.handle, event.cached_tokens]);
    }
    return delay_ms;
  }

  run(): void {
    for (let steps = 0; steps < 10_000; steps++) {
      const delay_ms = this.step();
      if (delay_ms === undefined) return;
      this.now_ms += delay_ms;
    }
    throw new Error("the engine is never idle");
  }

  out(handle: number, prompt: readonly number[], base = 0) {
    const { sequence_hashes } = blockHashes(Uint32Array.from(prompt), BLOCK);
    const blocks = Array.from(sequence_hashes, (hash, i) => ({ hash, address: base + i }));
    return this.port.out(handle, blocks, this.port.bytes());
  }

  in(handle: number, prompt: readonly number[], first = 0, base = 0) {
    const count = Math.floor(prompt.length / BLOCK) - first;
    const addresses = Array.from({ length: count }, (_, i) => base + first + i);
    const into = { tokens: Uint32Array.from(prompt), first, addresses };
    return this.port.in(handle, into, this.port.bytes());
  }
}

const moves = (count: number, move: BlockMove = "moved") => new Array<BlockMove>(count).fill(move);

test("a link carries one copy after the other, and its latency holds nobody up", () => {
  const link = new Link({ bytes_per_ms: 10, latency_ms: 3 });
  expect([link.carry(100, 0), link.carry(50, 0), link.carry(10, 100)]).toEqual([13, 18, 104]);
  expect(new Link({ bytes_per_ms: 0, latency_ms: 0 }).carry(1e9, 7)).toBe(7);
});

test("any copies: none is faster than its bytes, and all take no longer than the sum", () => {
  const copy = fc.record({ bytes: fc.nat(1_000), wait_ms: fc.nat(50) });
  fc.assert(
    fc.property(fc.array(copy), (copies) => {
      const link = new Link({ bytes_per_ms: 20, latency_ms: 2 });
      let ready_ms = 0;
      let before_ms = 0;
      for (const { bytes, wait_ms } of copies) {
        ready_ms += wait_ms;
        const there_ms = link.carry(bytes, ready_ms);
        expect(there_ms).toBeGreaterThanOrEqual(ready_ms + bytes / 20 + 2 - 1e-9);
        expect(there_ms).toBeGreaterThanOrEqual(before_ms);
        before_ms = there_ms;
      }
      const all = copies.reduce((sum, { bytes }) => sum + bytes / 20, 0);
      expect(before_ms).toBeLessThanOrEqual(ready_ms + all + 2 + 1e-9);
    }),
  );
});

describe("a move", () => {
  test("takes the time of its bytes, each way after the one before it", () => {
    const prompt = tokens(3 * BLOCK + 1);
    const first = new MovingEngine(TIMED);
    first.engine.submit(request(1, prompt, 1));
    first.run();
    const from_ms = first.now_ms;
    first.out(1, prompt);
    first.out(2, prompt, 100);
    first.run();
    const times = first.moved.map(([at_ms, handle, blocks]) => [at_ms - from_ms, handle, blocks]);
    expect(times).toEqual([
      [3.5, 1, moves(3)],
      [6.5, 2, moves(3)],
    ]);
    const second = new MovingEngine(TIMED);
    for (const [address, bytes] of first.memory) second.memory.set(address, bytes);
    second.in(1, prompt);
    second.in(2, prompt, 1, 100);
    second.run();
    expect(second.moved).toEqual([
      [6.5, 1, moves(3)],
      [10.5, 2, moves(2)],
    ]);
    second.engine.submit(request(1, prompt, 1));
    second.run();
    expect(second.ended[0]?.[2]).toBe(3 * BLOCK);
  });

  test("takes nothing of the passes beside it", () => {
    const alone = new MovingEngine(TIMED);
    const busy = new MovingEngine(TIMED);
    for (const world of [alone, busy]) {
      world.engine.submit(request(1, tokens(300), 1));
      world.run();
      world.engine.submit(request(2, tokens(500, 1_000), 20));
      if (world === busy) for (let i = 0; i < 8; i++) world.out(i, tokens(300), 10 * i);
      if (world === busy) for (let i = 0; i < 8; i++) world.in(10 + i, tokens(300), 2, 10 * i);
      world.run();
    }
    expect(busy.moved).toHaveLength(16);
    expect(busy.ended).toEqual(alone.ended);
  });

  test("of a block that a pass computes begins when the pass ends", () => {
    const world = new MovingEngine(TIMED);
    const prompt = tokens(BLOCK + 1);
    world.engine.submit(request(1, prompt, 1));
    const pass_ms = world.step()!;
    world.out(1, prompt);
    world.run();
    expect(world.moved).toEqual([[pass_ms + 1.5, 1, moves(1)]]);
  });

  test("of a block that goes meanwhile says so, and leaves its memory as it was", () => {
    const world = new MovingEngine(TIMED);
    const prompt = tokens(2 * BLOCK + 1);
    world.engine.submit(request(1, prompt, 1));
    world.run();
    world.out(1, prompt);
    world.step();
    world.engine.clearCache();
    world.run();
    expect(world.moved[0]?.[2]).toEqual(moves(2, "gone"));
    expect(world.memory.size).toBe(0);
  });

  test("of bytes with another block's name brings in what lies before it", () => {
    const world = new MovingEngine(TIMED);
    const prompt = tokens(3 * BLOCK + 1);
    world.engine.submit(request(1, prompt, 1));
    world.run();
    world.out(1, prompt);
    world.run();
    world.engine.clearCache();
    world.memory.set(1, world.memory.get(2)!);
    world.in(2, prompt);
    world.run();
    expect(world.moved.at(-1)?.[2]).toEqual(["moved", "odd", "odd"]);
    expect(world.engine.stats()).toMatchObject({ used_blocks: 0, cached_blocks: 1 });
  });

  test("brings in as much as nobody uses", () => {
    const world = new MovingEngine({ ...TIMED, num_gpu_blocks: 8 });
    const prompt = tokens(4 * BLOCK + 1);
    world.engine.submit(request(1, prompt, 1));
    world.run();
    world.out(1, prompt);
    world.run();
    world.engine.clearCache();
    // Six of the eight blocks are in use while it runs.
    world.engine.submit(request(2, tokens(5 * BLOCK + 1, 1_000), 60));
    world.step();
    world.in(2, prompt);
    world.run();
    expect(world.moved.at(-1)?.[2]).toEqual(["moved", "moved", "no_room", "no_room"]);
  });
});

test("of several ranks no block moves: a move does not say whose", () => {
  const engine = new MockerEngine({ dp_size: 2 });
  expect(engine.describe().capabilities.exports_blocks).toBe(false);
  expect(engine.blocks).toBeUndefined();
});
