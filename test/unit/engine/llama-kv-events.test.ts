/** Records of the native prefix cache as KV events: pure, then against the engine's own answers. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { LlamaKvEvents } from "../../../actors/engine/llama/kv-events.ts";
import {
  type LlamaEngine,
  type LlamaOptions,
  openLlama,
} from "../../../actors/engine/llama/llama.ts";
import { blockHashes } from "../../../llm/blocks/block-hash.ts";
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import { buildShim } from "../../../native/build.ts";
import { TR } from "../../../native/index.ts";
import { EngineDriver, GREEDY, request } from "../../support/engine/engine-driver.ts";
import { randomGguf } from "../../support/engine/random-gguf.ts";
import { KvReplay, replayOf } from "../../support/worlds/kv-replay.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-kv-events-"));
const PLAIN = join(folder, "plain.gguf");
/** A model whose window is so long. */
const windowedOf = (window: number) => join(folder, `windowed-${window}.gguf`);
await Bun.write(PLAIN, randomGguf());
for (const window of [12, 48]) {
  await Bun.write(windowedOf(window), randomGguf([], { window }));
}
beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it
afterAll(() => rmSync(folder, { recursive: true }));

/** The same for the same seed: ordinary tokens. */
function tokensOf(seed: number, length: number): number[] {
  let state = Math.imul(seed + 1, 2654435761);
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 20 + ((state >>> 8) % 200);
  });
}

describe.each([16, 64])("blocks of %d tokens", (BLOCK) => {
  /** Its window is shorter than a block. */
  const WINDOWED = windowedOf((BLOCK / 4) * 3);

  const stored = (block: number, parent: number, index: number, tokens: readonly number[]) => [
    8 + BLOCK,
    TR.REC_KV_STORED,
    block,
    parent + 1,
    index,
    0,
    0,
    0,
    ...tokens,
  ];
  const removed = (block: number) => [3, TR.REC_KV_REMOVED, block];

  function reader(total_blocks = 8) {
    const kv = new LlamaKvEvents(total_blocks, BLOCK);
    const replay = new KvReplay();
    const said: KvEvent[] = [];
    kv.log.onEvent((event) => {
      replay.take(event);
      said.push(event);
    });
    const read = (...records: readonly number[][]) => {
      const words = Uint32Array.from(records.flat());
      kv.read(words, words.length);
      return said.splice(0);
    };
    return { kv, replay, read };
  }

  test("neighbouring blocks of one sequence are one event with Dynamo's names", () => {
    const { read, replay } = reader();
    const tokens = tokensOf(1, 3 * BLOCK);
    const names = blockHashes(Uint32Array.from(tokens), BLOCK);
    const block = (i: number) => tokens.slice(i * BLOCK, (i + 1) * BLOCK);
    const events = read(stored(4, -1, 0, block(0)), stored(0, 4, 1, block(1)));
    expect(events).toEqual([
      {
        kind: "stored",
        event_id: 0,
        dp_rank: 0,
        tier: "device",
        parent_hash: undefined,
        start_block: 0,
        sequence_hashes: names.sequence_hashes.slice(0, 2),
        local_hashes: names.local_hashes.slice(0, 2),
      },
    ]);
    const [later] = read(stored(7, 0, 2, block(2)));
    expect(later).toMatchObject({ parent_hash: names.sequence_hashes[1]!, start_block: 2 });
    expect(replay.match(names.sequence_hashes)).toBe(3);
    expect(replay.faults).toEqual([]);
  });

  test("a number is used again within one read: each event names what it meant then", () => {
    const { read, replay, kv } = reader();
    const [a, b] = [tokensOf(1, BLOCK), tokensOf(2, BLOCK)];
    const [name_a, name_b] = [a, b].map((tokens) => {
      return blockHashes(Uint32Array.from(tokens), BLOCK).sequence_hashes[0]!;
    });
    const events = read(stored(2, -1, 0, a), removed(2), stored(2, -1, 0, b), removed(2));
    expect(events.map(({ kind }) => kind)).toEqual(["stored", "removed", "stored", "removed"]);
    expect(events.map((e) => (e.kind === "cleared" ? 0n : e.sequence_hashes[0]))).toEqual([
      name_a,
      name_a,
      name_b,
      name_b,
    ]);
    expect(replay.held.size).toBe(0);
    expect([...kv.dump().blocks]).toEqual([]);
  });

  test("two branches, removed blocks together, and a reset", () => {
    const { read, replay, kv } = reader();
    const [root, left, right] = [1, 2, 3].map((seed) => tokensOf(seed, BLOCK));
    const events = read(
      stored(0, -1, 0, root!),
      stored(1, 0, 1, left!),
      stored(2, 0, 1, right!),
      removed(1),
      removed(2),
    );
    expect(
      events.map((e) => [e.kind, e.kind === "cleared" ? 0 : e.sequence_hashes.length]),
    ).toEqual([
      ["stored", 2],
      ["stored", 1],
      ["removed", 2],
    ]);
    const after = read(
      [2, TR.REC_KV_LOST],
      [2, TR.REC_KV_RESET],
      stored(5, -1, 0, right!),
      stored(6, 5, 1, left!),
    );
    expect(after.map(({ kind }) => kind)).toEqual(["cleared", "stored"]);
    expect(kv.resyncs).toBe(1);
    expect(replay.faults).toEqual([]);
    expect(replayOf(kv.dump()).held).toEqual(replay.held);
    expect(kv.dump().last_event_id).toBe(kv.log.last_event_id);
  });

  // ── the engine ───────────────────────────────────────────────────────────────────────────────

  const SIZES = { context_length: 512, block_size: BLOCK };
  let engine: LlamaEngine | undefined;
  afterEach(async () => {
    await engine?.close();
    engine = undefined;
  });

  async function open(options: Partial<LlamaOptions> = {}) {
    await engine?.close();
    engine = await openLlama({ model: PLAIN, ...SIZES, ...options });
    const replay = new KvReplay();
    engine.kv_events!.onEvent((event) => replay.take(event));
    const windowed = (options.model ?? PLAIN) !== PLAIN; // broken blocks are still held for a while
    return { engine, driver: new EngineDriver(engine), replay, windowed };
  }

  type World = Awaited<ReturnType<typeof open>>;

  /** Everything that can be named: all that was ever asked and answered. */
  class Known {
    readonly sequences: number[][] = [];
    readonly named = new Map<bigint, readonly number[]>();

    add(tokens: number[]): void {
      this.sequences.push(tokens);
      const names = blockHashes(Uint32Array.from(tokens), BLOCK).sequence_hashes;
      for (const [i, name] of names.entries())
        this.named.set(name, tokens.slice(0, (i + 1) * BLOCK));
    }
  }

  /** A request for `tokens` reports exactly what the events so far say is cached. */
  async function probe({ driver, replay }: World, tokens: readonly number[]): Promise<void> {
    const asked = [...tokens, 7]; // the last token of a prompt is always computed
    const names = blockHashes(Uint32Array.from(asked), BLOCK).sequence_hashes;
    const most = Math.floor((asked.length - 1) / BLOCK);
    const expected = BLOCK * Math.min(most, replay.match(names));
    const [answer] = await driver.run([request(999_999, asked, 1)]);
    expect(answer!.finished!.cached_tokens).toBe(expected);
  }

  async function agrees(world: World, known: Known): Promise<void> {
    const { engine, replay } = world;
    const { cached_blocks, used_blocks } = engine.stats();
    expect(replay.faults).toEqual([]);
    expect(used_blocks).toBe(0);
    if (world.windowed) expect(cached_blocks).toBeGreaterThanOrEqual(replay.held.size);
    else expect(cached_blocks).toBe(replay.held.size);
    expect(replayOf(engine.kvDump!()).held).toEqual(replay.held);
    for (const hash of replay.held.keys()) expect(known.named.has(hash)).toBe(true);
    const ends = replay.leaves().map((hash) => known.named.get(hash)!);
    for (const tokens of ends.slice(0, 4)) await probe(world, tokens);
    const step = Math.ceil(known.sequences.length / 8);
    for (let i = 0; i < known.sequences.length; i += step) {
      await probe(world, known.sequences[i]!.slice(0, 511));
    }
    expect(replay.faults).toEqual([]);
  }

  const op = fc.record({
    prefix: fc.integer({ min: 0, max: 3 }),
    prefix_blocks: fc.integer({ min: 0, max: 3 }),
    own: fc.integer({ min: 1, max: 150 }),
    answer: fc.integer({ min: 1, max: 140 }),
    continues: fc.boolean(),
    cancel: fc.option(fc.nat(20), { freq: 4 }),
    pump: fc.nat(30),
  });

  type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;

  async function play(world: World, known: Known, ops: readonly Op[]) {
    const { driver, engine } = world;
    const handles: number[] = [];
    const prompts = new Map<number, number[]>();
    for (const [handle, o] of ops.entries()) {
      const before = handles.length > 0 ? driver.answer(handles.at(-1)!) : undefined;
      const base =
        o.continues && before?.finished
          ? [...prompts.get(handles.at(-1)!)!, ...before.tokens].slice(0, 300)
          : tokensOf(o.prefix, o.prefix_blocks * BLOCK);
      const prompt = [...base, ...tokensOf(1000 + handle * 7 + o.own, o.own)].slice(0, 370);
      prompts.set(handle, prompt);
      driver.answers.delete(handle);
      expect(
        engine.submit(request(handle, prompt, o.answer, { sampling: GREEDY })),
      ).toBeUndefined();
      handles.push(handle);
      if (o.cancel !== null) engine.cancel(handles[o.cancel % handles.length]!);
      for (let i = 0; i < o.pump; i++) if (!driver.pump(3)) await Bun.sleep(0);
    }
    await driver.until(() => handles.every((handle) => driver.answer(handle).finished));
    for (const handle of handles)
      known.add([...prompts.get(handle)!, ...driver.answer(handle).tokens]);
  }

  function property(options: Partial<LlamaOptions>, runs: number) {
    return fc.assert(
      fc.asyncProperty(fc.array(op, { minLength: 10, maxLength: 40 }), async (ops) => {
        const world = await open(options);
        const known = new Known();
        await play(world, known, ops);
        await agrees(world, known);
      }),
      { numRuns: runs, interruptAfterTimeLimit: 20_000 },
    );
  }

  test("the events are exactly what a request finds, with room", async () => {
    await property({ kv_tokens: 16384 }, 5);
  }, 30_000);

  test("the events are exactly what a request finds, under eviction and preemption", async () => {
    await property({ kv_tokens: 768, max_num_seqs: 12, max_queue: 64 }, 8);
  }, 30_000);

  test("a window that takes cells from cached blocks: what is broken is removed at once", async () => {
    await property({ model: WINDOWED, kv_tokens: 768, max_num_seqs: 12, max_queue: 64 }, 8);
  }, 30_000);

  test("a window that holds several blocks, or less than one", async () => {
    const sizes = { kv_tokens: 768, max_num_seqs: 12, max_queue: 64 };
    await property({ model: windowedOf(48), ...sizes }, 8);
  }, 30_000);

  test("blocks that lost cells to a window are told as removed before they are given up", async () => {
    const world = await open({ model: WINDOWED, kv_tokens: 1024 });
    const known = new Known();
    let unlisted_most = 0;
    for (let i = 0; i < 30; i++) {
      const prompt = tokensOf(4000 + i, 3 * BLOCK + 30);
      known.add(prompt);
      await world.driver.run([request(1, prompt, 1)]);
      const unlisted = world.engine.stats().cached_blocks - world.replay.held.size;
      unlisted_most = Math.max(unlisted_most, unlisted);
      await probe(world, known.sequences[Math.floor(i / 2)]!);
    }
    expect(unlisted_most).toBeGreaterThan(0);
    expect(world.replay.faults).toEqual([]);
    expect(replayOf(world.engine.kvDump!()).held).toEqual(world.replay.held);
  });

  test("answers from cached blocks are those of an engine without a cache, with a window too", async () => {
    const asked = Array.from({ length: 24 }, (_, i) => {
      return request(i, [...tokensOf(i % 3, 3 * BLOCK), ...tokensOf(500 + (i % 8), 20)], 60);
    });
    const options = { model: WINDOWED, kv_tokens: 768, max_num_seqs: 6 };
    const cached = await open(options);
    const tokens = (await cached.driver.run(asked)).map((answer) => answer.tokens);
    expect(cached.engine.stats().cached_tokens_total).toBeGreaterThan(0);
    await cached.engine.close();
    engine = await openLlama({ ...options, ...SIZES, prefix_cache: false });
    const expected = await new EngineDriver(engine).run(asked);
    let same = 0;
    for (const [i, answer] of expected.entries()) {
      const parted = answer.tokens.findIndex((token, at) => token !== tokens[i]![at]);
      same += parted < 0 ? 60 : parted;
    }
    // Batch shapes differ, so an answer may part where two tokens are equally likely.
    expect(same / 24).toBeGreaterThan(50);
  }, 20_000);

  test("one content, computed twice at the same time, is one block", async () => {
    const { driver, replay, engine } = await open({ kv_tokens: 4096 });
    // Both begin alone: the second is admitted when the first is in its first chunk or later.
    const prompt = tokensOf(5, 200);
    await driver.run([0, 1, 2, 3].map((h) => request(h, prompt, 150, { choice: h })));
    expect(replay.faults).toEqual([]); // "stored twice" would be one
    const names = blockHashes(Uint32Array.from([...prompt, ...driver.answer(0).tokens]), BLOCK);
    expect(replay.match(names.sequence_hashes)).toBe(names.sequence_hashes.length);
    expect(replayOf(engine.kvDump!()).held).toEqual(replay.held);
  });

  test("a prompt for a single token is stored before its end is told", async () => {
    const { driver, replay } = await open({ kv_tokens: 4096 });
    const prompt = tokensOf(6, 4 * BLOCK);
    await driver.run([request(1, prompt, 1)]);
    expect(replay.match(blockHashes(Uint32Array.from(prompt), BLOCK).sequence_hashes)).toBe(4);
  });

  test("nobody reads for a while: a mark, then the whole cache again", async () => {
    const world = await open({ kv_tokens: 512, max_queue: 128 });
    const { engine, driver, replay } = world;
    const known = new Known();
    for (let handle = 0; handle < 60; handle++) {
      const prompt = tokensOf(2000 + handle, 3 * BLOCK);
      known.add(prompt);
      expect(engine.submit(request(handle, prompt, 1))).toBeUndefined();
    }
    // stats() reads no events: 60 × 3 blocks stored and as many removed do not fit.
    while (engine.stats().prompt_tokens_total < 60 * 3 * BLOCK) await Bun.sleep(1);
    while (engine.stats().running > 0) await Bun.sleep(1);
    expect(replay.events).toBe(0);
    // The list may come in pieces.
    const listed = () => replay.clears > 0 && replay.held.size === engine.stats().cached_blocks;
    for (; !listed(); await Bun.sleep(1)) driver.pump();
    await agrees(world, known);
    expect(engine.kv_resyncs).toBe(1);
    const more = tokensOf(3000, 3 * BLOCK);
    await driver.run([request(1, more, 1)]);
    expect(replay.match(blockHashes(Uint32Array.from(more), BLOCK).sequence_hashes)).toBe(3);
    expect(replay.faults).toEqual([]);
  }, 20_000);

  test("without a prefix cache there are no events, and the description says so", async () => {
    engine = await openLlama({ model: PLAIN, ...SIZES, prefix_cache: false });
    const driver = new EngineDriver(engine);
    await driver.run([request(1, tokensOf(1, 200), 4)]);
    expect(engine.kv_events).toBeUndefined();
    expect(engine.kvDump).toBeUndefined();
    expect(engine.describe().build).toContain("no prefix cache");
    expect(engine.stats().cached_blocks).toBe(0);
  });
});
