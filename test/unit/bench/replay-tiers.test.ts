/** Blocks that leave their engine in a replay: what it saves and costs, and that it adds up. */
import { expect, test } from "bun:test";
import { mockerOptions } from "../../../actors/engine/mocker/options.ts";
import { polynomialTiming } from "../../../actors/engine/mocker/timing.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { KvReplayRouter } from "../../bench/replay/replay-router.ts";
import { reportOf } from "../../bench/replay/report.ts";
import { type ReplaySettings, simulate } from "../../bench/replay/simulate.ts";
import { readSyntheticOptions, syntheticTrace } from "../../bench/replay/synthetic.ts";
import { readTrace, type TraceRequest } from "../../bench/replay/trace.ts";

const BLOCK = 512;
const WORKERS = 4;
/** A block of 512,000 bytes takes 1 ms each way, and 2 ms to or from a disk. */
const TIMED = {
  kv_bytes_per_token: 1_000,
  d2h_bandwidth_gbps: 0.512,
  h2d_bandwidth_gbps: 0.512,
  host_offload_latency_ms: 0,
} as const;
const SHAPE = {
  host_blocks: 1_000,
  disk_blocks: 0,
  disk: { bytes_per_ms: 256_000, latency_ms: 0 },
  workers_per_machine: 1,
};

function replay(
  trace: readonly TraceRequest[],
  tiers: Partial<typeof SHAPE> | undefined,
  { num_gpu_blocks = 64, workers = WORKERS, prefill = 0 } = {},
) {
  const mocker = mockerOptions({ block_size: BLOCK, num_gpu_blocks, ...TIMED });
  const settings: ReplaySettings = {
    ...{ workers, mocker, timing: polynomialTiming, trace_block_size: BLOCK },
    ...{ arrival_speedup: 1, lag_ms: 0, concurrency: 0, prefill },
    ...(tiers === undefined ? {} : { tiers: { ...SHAPE, ...tiers } }),
  };
  const limits = { block_size: BLOCK, total_blocks: num_gpu_blocks, batch_tokens: 8192 };
  const policy = { name: "adaptive", conditional: { mode: "off" } } as const;
  const router = new KvReplayRouter(policy, workers, limits, new SeededRandom(1), prefill);
  return simulate(trace, settings, router);
}

const PROMPT = 20_500;

type Row = readonly [timestamp: number, first_id: number, output_length?: number];

const rows = (...each: readonly Row[]) =>
  readTrace(
    each
      .map(([timestamp, first_id, output_length = 2]) => {
        const hash_ids = Array.from({ length: 41 }, (_, i) => first_id + i);
        return JSON.stringify({ timestamp, input_length: PROMPT, output_length, hash_ids });
      })
      .join("\n"),
    BLOCK,
  );

/** One worker of 64 blocks: the second prompt evicts the first one, which comes once more. */
const RETURNS = rows([0, 0], [5_000, 1_000], [10_000, 0]);

test("a prompt that the engine has lost comes back from host memory, as long as its bytes take", () => {
  const one = { workers: 1 };
  const [cold] = replay(RETURNS, undefined, one).records;
  const { records } = replay(RETURNS, {}, one);
  const [, , warm] = records;
  expect(warm).toMatchObject({ cached_tokens: 40 * BLOCK });
  const ttft = (record: typeof warm) => record!.first_token_ms - record!.arrival_ms;
  // Some of its first blocks are in the engine still.
  const blocks = warm!.host_tokens! / BLOCK;
  expect(blocks).toBeGreaterThan(15);
  const least = polynomialTiming.prefillMs(20) + blocks;
  expect(ttft(warm)).toBeGreaterThan(least);
  expect(ttft(warm)).toBeLessThan(least + 60);
  expect(ttft(cold)).toBeGreaterThan(400);
});

test("what host memory has given up comes from the disk", () => {
  const trace = rows([0, 0], [5_000, 1_000], [10_000, 2_000], [15_000, 3_000], [20_000, 0]);
  const small = { host_blocks: 60 };
  const without = replay(trace, small, { workers: 1 }).records[4];
  const { records, machines } = replay(trace, { ...small, disk_blocks: 1_000 }, { workers: 1 });
  expect(without!.cached_tokens).toBeLessThan(40 * BLOCK);
  expect(records[4]!.disk_tokens).toBeGreaterThan(0);
  expect(records[4]!.cached_tokens).toBe(40 * BLOCK);
  expect(machines[0]!.disk!.registered).toBe(160);
});

test("workers of one machine share its memory", () => {
  const trace = syntheticTrace(
    readSyntheticOptions("requests=300,isl=8000,osl=30,rate=6,groups=40,shared=0.8"),
    BLOCK,
  );
  const reuse = (workers_per_machine: number, host_blocks: number) => {
    const result = replay(trace, { workers_per_machine, host_blocks });
    expect(result.machines).toHaveLength(WORKERS / workers_per_machine);
    return reportOf(result, 0).reuse_by_tier!;
  };
  const none = reportOf(replay(trace, undefined), 0);
  expect(none.reuse_by_tier).toBeUndefined();
  const own = reuse(1, 100);
  const shared = reuse(4, 400);
  expect(own.host).toBeGreaterThan(0.05);
  expect(shared.host).toBeGreaterThan(own.host);
  expect(own.device + own.host).toBeGreaterThan(none.prefix_reuse);
});

test("any load: slots add up in the end, nobody holds any, and the result is always the same", () => {
  const trace = syntheticTrace(
    readSyntheticOptions("requests=400,isl=6000,osl=40,rate=12,groups=20,shared=0.7"),
    BLOCK,
  );
  for (const workers_per_machine of [1, 3]) {
    const shape = { workers_per_machine, host_blocks: 90, disk_blocks: 150 };
    const { records, machines } = replay(trace, shape);
    expect(records.every(({ end_ms }) => end_ms > 0)).toBe(true);
    for (const { host, disk, unaccounted } of machines) {
      expect(unaccounted).toBe(0);
      for (const tier of [host, disk!]) {
        expect(tier).toMatchObject({ held: 0, staged: 0 });
        expect(tier.evicted).toBeGreaterThan(0);
      }
    }
    expect(replay(trace, shape).records).toEqual(records);
  }
});

const PAIR = { num_gpu_blocks: 64, workers: 2, prefill: 1 } as const;

test("a prompt is computed by one worker and answered by the other, block by block", () => {
  const [record] = replay(rows([0, 0]), undefined, PAIR).records;
  expect(record).toMatchObject({ worker: 1, cached_tokens: 0 });
  // Passes of 16, 16 and 8 blocks and a rest: only the blocks of the last one are waited for.
  const { prefillMs } = polynomialTiming;
  const computed_ms = 2 * prefillMs(8192) + prefillMs(PROMPT - 2 * 8192);
  expect(record!.computed_ms).toBeCloseTo(computed_ms, 6);
  expect(record!.handed_ms).toBeCloseTo(computed_ms + 9, 6);
  // Its first token was drawn there. The second one needs the prompt's last 20 tokens here, too.
  expect(record!.first_token_ms).toBe(record!.handed_ms!);
  const second_ms = record!.end_ms - record!.first_token_ms;
  expect(second_ms).toBeGreaterThan(prefillMs(20));
  expect(second_ms).toBeLessThan(prefillMs(21) + 60);
});

test("an answer of one token is drawn where it is made", () => {
  const [record] = replay(rows([0, 0, 1]), undefined, PAIR).records;
  const { prefillMs } = polynomialTiming;
  const computed_ms = 2 * prefillMs(8192) + prefillMs(40 * BLOCK - 2 * 8192);
  expect(record!.computed_ms).toBeCloseTo(computed_ms, 6);
  const first_ms = record!.first_token_ms - record!.handed_ms!;
  expect(first_ms).toBeGreaterThan(prefillMs(20));
  expect(first_ms).toBeLessThan(prefillMs(20) + 60);
  expect(record!.end_ms).toBe(record!.first_token_ms);
});

test("what is there already does not go over; reuse counts what nobody computed", () => {
  const { records } = replay(rows([0, 0], [3_000, 0]), undefined, PAIR);
  const [, second] = records;
  expect(second!.cached_tokens).toBeGreaterThanOrEqual(39 * BLOCK);
  expect(second!.first_token_ms - second!.arrival_ms).toBeLessThan(100);
});

test("pairs with tiers, any load: all ends, slots add up, and the result is always the same", () => {
  const trace = syntheticTrace(
    readSyntheticOptions("requests=300,isl=6000,osl=40,rate=6,groups=20,shared=0.7"),
    BLOCK,
  );
  const shape = { workers_per_machine: 2, host_blocks: 90, disk_blocks: 150 };
  const pairs = { num_gpu_blocks: 96, workers: 4, prefill: 2 };
  const result = replay(trace, shape, pairs);
  expect(result.records.every(({ end_ms }) => end_ms > 0)).toBe(true);
  for (const { host, disk, unaccounted } of result.machines) {
    expect(unaccounted).toBe(0);
    for (const tier of [host, disk!]) expect(tier).toMatchObject({ held: 0, staged: 0 });
  }
  const report = reportOf(result, 0);
  expect(report.hand_off!.share).toBeGreaterThan(0.5);
  expect(report.per_worker.map(({ requests }) => requests > 0)).toEqual([true, true, true, true]);
  expect(replay(trace, shape, pairs).records).toEqual(result.records);
});
