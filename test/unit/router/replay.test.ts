import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { mockerOptions } from "../../../actors/engine/mocker/options.ts";
import { polynomialTiming } from "../../../actors/engine/mocker/timing.ts";
import type { KvPolicyOptions } from "../../../actors/router/policy/kv-policies.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { EventHeap } from "../../bench/replay/event-heap.ts";
import { htmlReport } from "../../bench/replay/html-report.ts";
import { KvReplayRouter, PlainReplayRouter } from "../../bench/replay/replay-router.ts";
import { reportOf } from "../../bench/replay/report.ts";
import { requestLines } from "../../bench/replay/request-lines.ts";
import { type ReplaySettings, simulate } from "../../bench/replay/simulate.ts";
import { readSyntheticOptions, syntheticTrace } from "../../bench/replay/synthetic.ts";
import { readTrace, type TraceRequest, withPriorities } from "../../bench/replay/trace.ts";

const mocker = mockerOptions({ block_size: 512, num_gpu_blocks: 256 });
const limits = { block_size: 512, total_blocks: 256, batch_tokens: mocker.max_num_batched_tokens };
const settings = {
  workers: 4,
  mocker,
  timing: polynomialTiming,
  trace_block_size: 512,
  arrival_speedup: 1,
  lag_ms: 0,
  concurrency: 0,
};
const synthetic = (text: string) => syntheticTrace(readSyntheticOptions(text), 512);

function kv(
  trace: readonly TraceRequest[],
  policy: KvPolicyOptions = { name: "adaptive" },
  more: Partial<ReplaySettings> = {},
) {
  const random = new SeededRandom(1);
  const router = new KvReplayRouter(policy, settings.workers, limits, random);
  return simulate(trace, { ...settings, ...more }, router);
}

function plain(trace: readonly TraceRequest[], mode: "round-robin" | "least-loaded") {
  return simulate(trace, settings, new PlainReplayRouter(mode, 4, new SeededRandom(1)));
}

test("what happens next comes out in order, equal times in the order they came", () => {
  const heap = new EventHeap<number>();
  const random = new SeededRandom(5);
  const times = Array.from({ length: 500 }, () => Math.floor(random.unit() * 40));
  for (const [number, at_ms] of times.entries()) heap.push(at_ms, number);
  const expected = times.map((at_ms, event) => ({ at_ms, event }));
  expected.sort((a, b) => a.at_ms - b.at_ms || a.event - b.event);
  expect(Array.from({ length: 500 }, () => heap.pop()!)).toEqual(expected);
  expect(heap.pop()).toBeUndefined();
});

test("one request alone takes what the timing says", () => {
  const row = { timestamp: 10, input_length: 1_000, output_length: 3, hash_ids: [1, 2] };
  const result = kv(readTrace(JSON.stringify(row), 512));
  const [record] = result.records;
  expect(record).toMatchObject({ arrival_ms: 10, routed_ms: 10, cached_tokens: 0 });
  const used = (blocks: number) => ({
    sequences: 1,
    used_kv_tokens: blocks * 512,
    total_kv_tokens: 256 * 512,
    context_tokens: 1_000,
  });
  const first_ms = polynomialTiming.prefillMs(1_000) + polynomialTiming.decodeMs(used(2));
  expect(record!.first_token_ms).toBeCloseTo(10 + first_ms, 9);
  expect(record!.end_ms).toBeCloseTo(10 + first_ms + 2 * polynomialTiming.decodeMs(used(2)), 9);
});

test("the same settings give the same result; every request ends", () => {
  const trace = synthetic("requests=300,isl=6000,osl=40,rate=12,groups=6");
  const [a, b] = [kv(trace), kv(trace)];
  expect(a).toEqual(b);
  for (const record of a.records) {
    expect(record.end_ms).toBeGreaterThanOrEqual(record.first_token_ms);
    expect(record.first_token_ms).toBeGreaterThan(record.routed_ms);
    expect(record.routed_ms).toBeGreaterThanOrEqual(record.arrival_ms);
  }
});

test("routing by cache finds what is cached; news may be late", () => {
  const trace = synthetic("requests=600,isl=8000,osl=30,rate=8,groups=40,shared=0.8");
  const reuse = (result: ReturnType<typeof kv>) => reportOf(result, 0).prefix_reuse;
  const blind = reuse(plain(trace, "round-robin"));
  const aware = reuse(kv(trace));
  expect(aware).toBeGreaterThan(blind + 0.1);
  expect(reuse(kv(trace, { name: "dynamo" }))).toBeGreaterThan(blind + 0.1);
  const late = reuse(kv(trace, { name: "adaptive" }, { lag_ms: 100 }));
  expect(Math.abs(late - aware)).toBeLessThan(0.05);
});

test("with nothing shared the default is no worse than least-loaded", () => {
  const trace = synthetic("requests=800,isl=4000,osl=60,rate=14,groups=0");
  const ttft = (result: ReturnType<typeof kv>) => reportOf(result, 0).ttft_ms.mean;
  expect(ttft(kv(trace))).toBeLessThan(1.05 * ttft(plain(trace, "least-loaded")));
});

test("overload: the default keeps first tokens coming, and nobody waits for ever", () => {
  const trace = synthetic("requests=1200,isl=6000,osl=30,rate=60,groups=80,shared=0.8");
  const ours = reportOf(kv(trace), 0);
  const blind = reportOf(plain(trace, "round-robin"), 0);
  expect(ours.requests).toBe(1_200);
  expect(ours.ttft_ms.mean).toBeLessThan(0.7 * blind.ttft_ms.mean);
  expect(ours.ttft_ms.p99).toBeLessThan(blind.ttft_ms.p99);
});

const waits = (records: ReturnType<typeof kv>["records"], priority: number) =>
  records
    .filter((each) => each.strict_priority === priority)
    .map((each) => each.first_token_ms - each.arrival_ms)
    .sort((a, b) => a - b);
const p99Of = (records: ReturnType<typeof kv>["records"], priority: number) => {
  const all = waits(records, priority);
  return all[Math.floor(0.99 * all.length)]!;
};

test.each([
  ["calm", 8],
  ["busy", 20],
  ["overload", 60],
])("%s: no priority class has a worse p99 than under round-robin", (_, rate) => {
  const text = `requests=1200,isl=6000,osl=30,rate=${rate},groups=80,shared=0.8`;
  const trace = withPriorities(synthetic(text), 3);
  const { records } = kv(trace);
  const { records: blind } = plain(trace, "round-robin");
  for (const priority of [0, 1, 2]) {
    expect(waits(records, priority).length).toBeGreaterThan(300);
    expect(p99Of(records, priority)).toBeLessThan(p99Of(blind, priority));
  }
  if (rate === 60) expect(p99Of(records, 2)).toBeLessThan(0.5 * p99Of(records, 0));
});

test("late news, small caches, bursts, classes, sessions: every request ends", () => {
  const count = (...values: number[]) => fc.constantFrom(...values);
  const shape = fc.record({
    isl: count(500, 4_000, 20_000),
    osl: count(5, 60),
    rate: count(2, 15, 60),
    groups: count(0, 3, 40),
    turns: count(1, 4),
    burst: count(1, 32),
    seed: fc.nat(1_000),
  });
  const world = fc.record({
    lag_ms: count(0, 0.5, 1, 10, 300),
    blocks: count(70, 128, 512),
    concurrency: count(0, 20),
    weight: count(0.000_001, 1, 3),
  });
  fc.assert(
    fc.property(shape, world, (each, { lag_ms, blocks, concurrency, weight }) => {
      const keys = Object.entries(each).map(([key, value]) => `${key}=${value}`);
      const trace = synthetic(`requests=120,${keys.join(",")}`).map((request, i) =>
        i % 3 === 0 ? { ...request, policy_class: "some" } : request,
      );
      const small = mockerOptions({ block_size: 512, num_gpu_blocks: blocks });
      const policy = { name: "adaptive", queue: { classes: [{ name: "some", weight }] } } as const;
      const room = { ...limits, total_blocks: blocks };
      const router = new KvReplayRouter(policy, 4, room, new SeededRandom(each.seed));
      const more = { lag_ms, concurrency, mocker: small };
      const { records } = simulate(trace, { ...settings, ...more }, router);
      for (const { end_ms, refused } of records) {
        expect(end_ms >= 0 || refused !== undefined).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
}, 30_000);

test("a replay in which nothing goes on says so instead of running for ever", () => {
  const trace = synthetic("requests=4,isl=2000,osl=400,rate=100,spread=0");
  const stuck = () => kv(trace, { name: "adaptive" }, { happenings_max: 50 });
  expect(stuck).toThrow(/no request goes on at \d+ ms, 4 not ended; 0: \d+ running/);
});

test("turns come after answers and think time; a fixed concurrency is kept", () => {
  const trace = synthetic("requests=120,turns=4,isl=1500,osl=20,think_ms=500,rate=20");
  const { records } = kv(trace);
  for (const [i, { after, delay_ms }] of trace.entries()) {
    for (const other of after) {
      expect(records[i]!.arrival_ms).toBeCloseTo(records[other]!.end_ms + delay_ms, 6);
    }
  }
  const closed = kv(synthetic("requests=60,isl=3000,osl=20"), undefined, { concurrency: 5 });
  for (const { arrival_ms } of closed.records) {
    const live = closed.records.filter((r) => r.arrival_ms <= arrival_ms && r.end_ms > arrival_ms);
    expect(live.length).toBeLessThanOrEqual(5);
  }
});

test("what cannot be served is refused and said, not lost", () => {
  const trace = synthetic("requests=3,isl=200000,osl=5,groups=0,spread=0");
  const { records } = kv(trace);
  for (const { refused } of records)
    expect(refused).toContain("larger than the cache of any worker");
  expect(reportOf({ records, workers: [], machines: [], end_ms: 0 }, 0)).toMatchObject({
    requests: 0,
    refused: 3,
  });
});

test("the report: figures, lines and a page that loads nothing", () => {
  const result = kv(synthetic("requests=100,isl=2000,osl=20"));
  const report = reportOf(result, 5);
  expect(report.per_worker.reduce((sum, { requests }) => sum + requests, 0)).toBe(100);
  const rows = requestLines(result.records)
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(rows).toHaveLength(100);
  expect(rows[0].ttft_ms).toBeGreaterThan(0);
  const page = htmlReport("<kv>", report, result);
  expect(page).toContain("Replay: &lt;kv&gt;");
  expect(page.match(/<polyline/g)).toHaveLength(5);
  expect(page).not.toMatch(/NaN|src=|href=|undefined/);
});

async function replay(...flags: readonly string[]) {
  const command = ["bun", "test/bench/replay.ts", ...flags];
  const child = Bun.spawn(command, {
    cwd: `${import.meta.dir}/../../..`,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { out, error, code: await child.exited };
}

test("the command prints one JSON object with the promised keys", async () => {
  const { out, code } = await replay("synthetic:requests=50", "--workers", "2", "--json");
  expect(code).toBe(0);
  const report = JSON.parse(out);
  for (const key of ["requests", "duration_ms", "wall_ms", "prefix_reuse", "per_worker"]) {
    expect(report).toHaveProperty(key);
  }
  for (const key of ["ttft_ms", "itl_ms", "e2e_ms"]) {
    expect(Object.keys(report[key])).toEqual(["mean", "p50", "p90", "p99"]);
  }
  expect(report.goodput).toBeUndefined();
});

test("ids that agree in 32 bits are two; the numbers 1 and the text 1 as well", () => {
  const row = (timestamp: number, ids: string) =>
    `{"timestamp":${timestamp},"input_length":1024,"output_length":1,"hash_ids":[${ids}]}`;
  const reuse = (...ids: readonly string[]) => {
    const rows = ids.map((each, i) => row(10_000 * i, each));
    const report = reportOf(kv(readTrace(rows.join("\n"), 512)), 0);
    return report.prefix_reuse;
  };
  expect(reuse("1,2", "4294967297,4294967298")).toBe(0);
  expect(reuse("9007199254740992,2", "9007199254740993,2")).toBe(0);
  expect(reuse("1,2", '"1","2"')).toBe(0);
  // The last block of a prompt is computed again: its last token is to be drawn from.
  expect(reuse("4294967297,4294967298", "4294967297,4294967298")).toBe(0.25);
  expect(reuse('"a","b"', '"a","c"')).toBe(0.25);
});

test("a line whose ids and length disagree is named, exit 2", async () => {
  const folder = mkdtempSync(join(tmpdir(), "replay-trace-"));
  try {
    const file = join(folder, "trace.jsonl");
    const good = '{"timestamp":0,"input_length":20,"output_length":2,"hash_ids":[7]}';
    writeFileSync(file, `${good}\r\n\r\n${good.replace("[7]", "[7,8]")}\r\n`);
    const { error, code } = await replay(file);
    expect(code).toBe(2);
    expect(error).toContain(
      "line 3: 2 hash_ids for input_length 20: in blocks of 512 tokens it has 1",
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("goodput: its share and rate are those of the records within both limits", async () => {
  const args = ["synthetic:requests=200,rate=20,isl=6000,osl=30", "--workers", "2", "--json"];
  const file = join(tmpdir(), `replay-goodput-${process.pid}.jsonl`);
  const limits = ["--ttft-ms", "900", "--itl-ms", "30"];
  const { out } = await replay(...args, ...limits, "--requests", file);
  const report = JSON.parse(out);
  const records = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  rmSync(file);
  const good = records.filter(
    ({ ttft_ms, e2e_ms, output_length }) =>
      ttft_ms <= 900 && (e2e_ms - ttft_ms) / (output_length - 1) <= 30,
  ).length;
  expect(good).toBeGreaterThan(0);
  expect(good).toBeLessThan(200);
  expect(report.goodput.share).toBeCloseTo(good / 200, 4);
  expect(report.goodput.req_per_s).toBeCloseTo((1_000 * good) / report.duration_ms, 2);
});

test.each([
  [["nowhere.jsonl"], "nowhere.jsonl"],
  [["synthetic", "--router-mode", "magic"], "--router-mode magic: use kv or one of"],
  [["synthetic", "--router-objective", "x"], "--router-objective x: use one of ttft, e2e, goodput"],
  [["synthetic", "--ttft-ms", "0"], "--ttft-ms must be above 0"],
  [["synthetic", "--itl-ms", "fast"], "--itl-ms must be a number"],
  [["synthetic", "--workers", "0"], "--workers must be a whole number from 1 to 4096"],
  [["synthetic", "--block-size", "100"], "must divide --trace-block-size 512"],
  [["synthetic", "--frobnicate"], "frobnicate"],
])("a wrong call is one clear line and exit 2: %p", async (flags, message) => {
  const { error, code } = await replay(...flags);
  expect(code).toBe(2);
  expect(error).toContain(message);
});
