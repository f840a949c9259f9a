/** What the mocker is beyond what every engine is. */
import { describe, expect, test } from "bun:test";
import { KvEventLog } from "../../../actors/engine/kv-event-log.ts";
import { drawnToken, drawOf } from "../../../actors/engine/mocker/drawn-token.ts";
import {
  MockerEngine,
  type MockerRequest,
  openMocker,
} from "../../../actors/engine/mocker/mocker.ts";
import { MockerOptionsError } from "../../../actors/engine/mocker/options.ts";
import { blockHashes, blockSeed } from "../../../llm/blocks/block-hash.ts";
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import { textTokens } from "../../../llm/tokens/text-tokens.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { EngineDriver, GREEDY, request } from "../../support/engine/engine-driver.ts";
import { CacheReplica } from "../../support/engine/mocker-world.ts";
import { byteTokenizer } from "../../support/tokens/byte-tokenizer.ts";

const INSTANT = { speedup_ratio: 0 } as const;
const tokens = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
const seeded = (seed: bigint) => ({ sampling: { ...GREEDY, seed } });

async function answerOf(engine: MockerEngine, asked: MockerRequest) {
  return (await new EngineDriver(engine).run([asked]))[0]!;
}

describe("tokens", () => {
  test("depend on seed, choice and index, not on prompt, engine or load", async () => {
    const one = new MockerEngine(INSTANT);
    const other = new MockerEngine({ ...INSTANT, dp_size: 3, block_size: 16 });
    const first = await answerOf(one, request(1, tokens(100), 50, seeded(7n)));
    const second = await answerOf(other, request(9, tokens(30, 500), 50, seeded(7n)));
    expect(second.tokens).toEqual(first.tokens);
    const differing = [
      request(2, tokens(100), 50, seeded(8n)),
      request(3, tokens(100), 50, seeded(7n + (1n << 32n))),
      request(4, tokens(100), 50, { ...seeded(7n), choice: 1 }),
    ];
    for (const each of differing) {
      const answer = await answerOf(one, each);
      expect(answer.tokens).not.toEqual(first.tokens);
    }
    expect(new Set(first.tokens).size).toBeGreaterThan(45);
  });

  test("are drawn from the ids that read as text", async () => {
    const tokenizer = byteTokenizer;
    const drawable = { vocab_size: tokenizer.vocab_size, tokens: textTokens(tokenizer) };
    const answer = await answerOf(
      new MockerEngine(INSTANT, { drawable }),
      request(1, tokens(10), 500),
    );
    const bytes = answer.tokens.flatMap((token) => [...tokenizer.tokenBytes(token)]);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
    expect(text).toMatch(/^[\x20-\x7e]{500}$/);
  });

  test("are spread evenly", () => {
    const counts = new Uint32Array(16);
    const draw = drawOf(123n, 0);
    for (let i = 0; i < 16_000; i++) counts[drawnToken({ vocab_size: 16 }, draw, i, undefined)]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe("cache events", () => {
  test("name the blocks of real tokens as every router does", async () => {
    const engine = new MockerEngine(INSTANT);
    const events = eventsOf(engine);
    await answerOf(engine, request(1, tokens(130), 2));
    const { local_hashes, sequence_hashes } = blockHashes(Uint32Array.from(tokens(130)), 64);
    expect(events).toEqual([
      {
        kind: "stored",
        event_id: 0,
        dp_rank: 0,
        tier: "device",
        parent_hash: undefined,
        start_block: 0,
        sequence_hashes,
        local_hashes,
      },
    ]);
  });

  test("a salt or an adapter shares nothing with others", async () => {
    const engine = new MockerEngine(INSTANT);
    await engine.loadAdapter("a");
    const prompt = tokens(200);
    const cached: (number | undefined)[] = [];
    for (const of of [{}, { salt: "a" }, { adapter: "a" }, { salt: "a" }, {}]) {
      const answer = await answerOf(engine, { ...request(1, prompt, 1), ...of });
      cached.push(answer.finished?.cached_tokens);
    }
    expect(cached).toEqual([0, 0, 0, 192, 192]);
    const salted = blockHashes(Uint32Array.from(prompt), 64, blockSeed({ salt: "a" }));
    const dumped = [...engine.kvDump().blocks].flatMap((run) => [...run.sequence_hashes]);
    expect(dumped).toContain(salted.sequence_hashes[2]!);
  });

  test("ids are one sequence over ranks; a dump and the events after it give the cache", async () => {
    const options = { ...INSTANT, dp_size: 2, num_gpu_blocks: 8, block_size: 4, max_num_seqs: 2 };
    const engine = new MockerEngine(options);
    const events = eventsOf(engine);
    const replicas = [new CacheReplica(), new CacheReplica()];
    const load = async (from: number) => {
      const asked = tokens(6).map((i) => {
        return { ...request(from + i, tokens(9, 5 * ((from + i) % 4)), 8), dp_rank: i % 2 };
      });
      await new EngineDriver(engine).run(asked);
    };
    await load(0);
    const dump = engine.kvDump();
    expect(dump.last_event_id).toBe(engine.kv_events.last_event_id);
    for (const run of dump.blocks) replicas[run.dp_rank]!.apply(run);
    await load(100);
    engine.clearCache();
    await load(200);
    const after = events.slice(dump.last_event_id + 1);
    expect(new Set(after.map(({ kind }) => kind))).toEqual(
      new Set(["stored", "removed", "cleared"]),
    );
    for (const [i, event] of after.entries()) {
      expect(event.event_id).toBe(dump.last_event_id + 1 + i);
      replicas[event.dp_rank]!.apply(event);
    }
    const cached = replicas.reduce((sum, { parents }) => sum + parents.size, 0);
    expect(cached).toBe(engine.stats().cached_blocks);
    expect(cached).toBeGreaterThan(0);
  });

  test("an event with another number than the next is refused", () => {
    const log = new KvEventLog();
    log.append({ kind: "cleared", event_id: log.nextId(), dp_rank: 0, tier: "device" });
    const wrong = { kind: "cleared", event_id: 99, dp_rank: 0, tier: "device" } as const;
    expect(() => log.append(wrong)).toThrow(RangeError);
    expect(log.last_event_id).toBe(0);
  });
});

/** All from here on. */
function eventsOf(engine: MockerEngine): readonly KvEvent[] {
  const events: KvEvent[] = [];
  engine.kv_events.onEvent((event) => events.push(event));
  return events;
}

describe("ranks", () => {
  test("a request goes to the rank it names, or to the one with the least to do", () => {
    const engine = new MockerEngine({ dp_size: 3 });
    const events = eventsOf(engine);
    engine.submit({ ...request(1, tokens(1000), 4), dp_rank: 1 });
    for (const handle of [2, 3]) engine.submit(request(handle, tokens(100), 4));
    engine.step(0);
    const ranks = events.map(({ dp_rank }) => dp_rank);
    expect(ranks.sort()).toEqual([0, 1, 2]);
    expect(engine.submit({ ...request(4, [1], 1), dp_rank: 3 })?.message).toContain("0..2");
  });

  test("each is busy by itself: the engine is due when the first of them is", () => {
    const engine = new MockerEngine({ dp_size: 2 });
    engine.submit({ ...request(1, tokens(8000), 4), dp_rank: 0 });
    const long_ms = engine.step(0)!;
    engine.submit({ ...request(2, tokens(10), 4), dp_rank: 1 });
    expect(engine.step(0)!).toBeLessThan(long_ms);
  });
});

test("the sums of all passes say what they cost", () => {
  const engine = new MockerEngine({ dp_size: 2, num_gpu_blocks: 10 });
  engine.submit({ ...request(1, tokens(64), 2), dp_rank: 0 });
  engine.submit({ ...request(2, tokens(128), 1), dp_rank: 1 });
  let now_ms = 0;
  for (let due = engine.step(0); due !== undefined; due = engine.step(now_ms)) now_ms += due;
  const { busy_ms, decode_share, ...counts } = engine.passSums();
  expect(counts).toEqual({
    prefill_passes: 2,
    prefill_tokens: 192,
    prefill_tokens_squared: 64 * 64 + 128 * 128,
    decode_passes: 3,
  });
  expect(decode_share).toBeCloseTo(0.1 + 0.2 + 0.2, 9);
  expect(busy_ms).toBeGreaterThan(now_ms);
});

describe("options", () => {
  test.each([
    [{ num_gpu_blocks: 0 }, "num_gpu_blocks"],
    [{ block_size: 1.5 }, "block_size"],
    [{ speedup_ratio: -1 }, "speedup_ratio"],
    [{ speedup_ratio: Number.NaN }, "speedup_ratio"],
    [{ max_model_len: 2_000_000 }, "raise num_gpu_blocks"],
    [{ max_model_len: 0 }, "max_model_len"],
  ])("%j is refused with its name", (options, reason) => {
    expect(() => new MockerEngine(options)).toThrow(MockerOptionsError);
    expect(() => new MockerEngine(options)).toThrow(reason);
  });

  test("a prompt that one pass can never take is refused", () => {
    const engine = new MockerEngine({ enable_chunked_prefill: false });
    expect(engine.submit(request(1, tokens(8192), 1))).toBeUndefined();
    expect(engine.submit(request(2, tokens(8193), 1))?.code).toBe("context_overflow");
  });

  test("a handle that is live is refused", () => {
    const engine = new MockerEngine(INSTANT);
    expect(engine.submit(request(1, [1], 1))).toBeUndefined();
    expect(engine.submit(request(1, [2], 1))?.code).toBe("bad_request");
  });

  test("starting takes its time", async () => {
    const clock = new VirtualClock();
    let opened = false;
    const opening = openMocker({ startup_time: 2 }, {}, clock).then(() => {
      opened = true;
    });
    await clock.advance(1999);
    expect(opened).toBe(false);
    await clock.advance(1);
    await opening;
    expect(opened).toBe(true);
  });

  test("speed-up divides the time, decode speed-up that of decoding once more", () => {
    const durationMs = (options: object) => {
      const engine = new MockerEngine(options);
      engine.submit(request(1, tokens(64), 2));
      const prefill_ms = engine.step(0)!;
      return [prefill_ms, engine.step(prefill_ms)!];
    };
    const [prefill_ms, decode_ms] = durationMs({});
    const [fast_prefill_ms, fast_decode_ms] = durationMs({ speedup_ratio: 4 });
    expect(fast_prefill_ms).toBeCloseTo(prefill_ms! / 4, 9);
    expect(fast_decode_ms).toBeCloseTo(decode_ms! / 4, 9);
    expect(durationMs({ decode_speedup_ratio: 2 })[1]).toBeCloseTo(decode_ms! / 2, 9);
  });
});
