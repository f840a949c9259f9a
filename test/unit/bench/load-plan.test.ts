import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { arrivalsAtRate } from "../../bench/load/arrivals.ts";
import { LogHistogram } from "../../bench/load/log-histogram.ts";
import { LoadOptionsError, loadOptions } from "../../bench/load/options.ts";
import { Prompts } from "../../bench/load/prompts.ts";
import { requestBodies } from "../../bench/load/request-bodies.ts";

const url = ["--url", "http://127.0.0.1:8000"];
const options = (...args: string[]) => loadOptions([...url, ...args], {});

test("prompts share exactly their beginning, and repeat only with their seed", () => {
  const prompts = new Prompts({ isl: 200, shared: 0.5 }, 7);
  const [a, b] = [prompts.next(), prompts.next()];
  let common = 0;
  while (a[common] === b[common]) common += 1;
  const shared = a.slice(0, common).trim().split(" ").length;
  expect(shared).toBeGreaterThanOrEqual(80);
  expect(shared).toBeLessThanOrEqual(101);
  expect(new Prompts({ isl: 200, shared: 0.5 }, 7).next()).toBe(a);
  const other = new Prompts({ isl: 200, shared: 0.5 }, 8).next();
  expect(other.slice(0, 100)).not.toBe(a.slice(0, 100));
});

test("traced prompts share as many blocks as the trace says", () => {
  const prompts = new Prompts({ isl: 0, shared: 0 }, 3);
  const a = prompts.ofBlocks([1, 2, 3], 16, 40).trim().split(" ");
  const b = prompts.ofBlocks([1, 2, 9], 16, 48).trim().split(" ");
  expect([a.length, b.length]).toEqual([40, 48]);
  expect(a.slice(0, 32)).toEqual(b.slice(0, 32));
  expect(a.slice(32, 40)).not.toEqual(b.slice(32, 40));
  const other_run = new Prompts({ isl: 0, shared: 0 }, 4).ofBlocks([1], 16, 16);
  expect(other_run.trim().split(" ")).not.toEqual(a.slice(0, 16));
});

test("a body asks for the whole length unless told not to", () => {
  const body = (...args: string[]) => {
    const { plan } = options("--model", "m", "--osl", "9", ...args);
    const { path, payload } = requestBodies(plan).next().value ?? { path: "", payload: "{}" };
    return { path, ...(JSON.parse(payload) as Record<string, unknown>) };
  };
  expect(body()).toMatchObject({
    path: "/v1/chat/completions",
    model: "m",
    max_tokens: 9,
    min_tokens: 9,
    ignore_eos: true,
    stream: true,
  });
  expect(body("--any-length")).not.toHaveProperty("ignore_eos");
  expect(body("--endpoint", "completions")).toMatchObject({ path: "/v1/completions" });
  expect(typeof body("--endpoint", "completions")["prompt" as never]).toBe("string");
});

test("arrivals keep their rate, and constant ones their distance", () => {
  const take = (process: "poisson" | "constant") => {
    const arrivals = arrivalsAtRate(100, process, new SeededRandom(5));
    return Array.from({ length: 10_001 }, () => arrivals.next().value);
  };
  expect(take("constant")[10]).toBeCloseTo(100);
  const poisson = take("poisson");
  const gaps = poisson.slice(1).map((at, i) => at - (poisson[i] ?? 0));
  const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
  const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
  expect(mean).toBeGreaterThan(9.5);
  expect(mean).toBeLessThan(10.5);
  // Of an exponential distribution the deviation is the mean.
  expect(Math.sqrt(variance) / mean).toBeGreaterThan(0.93);
  expect(Math.sqrt(variance) / mean).toBeLessThan(1.07);
});

test("a rate that swings begins at its least, is highest in the middle, and repeats", () => {
  const swing = { high_per_s: 45, period_ms: 100_000 };
  const arrivals = arrivalsAtRate(5, "constant", new SeededRandom(5), swing);
  const times: number[] = [];
  for (let at_ms = 0; at_ms < 200_000; at_ms = arrivals.next().value) times.push(at_ms);
  const within = (from_s: number, until_s: number) =>
    times.filter((at_ms) => at_ms >= 1000 * from_s && at_ms < 1000 * until_s).length /
    (until_s - from_s);
  expect(Math.abs(within(0, 4) - 5)).toBeLessThan(2);
  expect(Math.abs(within(48, 52) - 45)).toBeLessThan(2);
  expect(Math.abs(within(98, 102) - 5)).toBeLessThan(2);
  expect(Math.abs(within(148, 152) - 45)).toBeLessThan(2);
  expect(within(0, 100)).toBeGreaterThan(23.5);
  expect(within(0, 100)).toBeLessThan(26.5);
  expect(options("--rate", "5", "--rate-high", "45", "--period", "100").plan.arrival).toEqual({
    ...{ kind: "rate", per_s: 5, process: "poisson", swing },
  });
});

test("the histogram's quantiles are within a bucket of the true ones", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.01, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300 }),
      fc.constantFrom(0, 0.5, 0.9, 0.99),
      (values, q) => {
        const histogram = new LogHistogram();
        for (const value of values) histogram.add(value);
        const sorted = [...values].sort((a, b) => a - b);
        const exact = sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
        expect(Math.abs(histogram.quantile(q) / exact - 1)).toBeLessThan(0.011);
        expect(histogram.max).toBe(sorted.at(-1) ?? 0);
      },
    ),
  );
});

test("every run is bounded, and its flags decide its shape", () => {
  const { plan } = options();
  expect(plan).toMatchObject({ requests: 1000, duration_ms: 60_000, timeout_ms: 120_000 });
  expect(plan.arrival).toEqual({ kind: "closed", concurrency: 8 });
  expect(options("--rate", "5").plan.arrival).toEqual({
    kind: "rate",
    per_s: 5,
    process: "poisson",
  });
  expect(loadOptions(url, { OPENAI_API_KEY: "k" }).plan.api_key).toBe("k");
  expect(options().plan.seed).not.toBe(options().plan.seed);
});

test("a trace brings its schedule, and a bad one names its line", () => {
  const folder = mkdtempSync(join(tmpdir(), "load-trace-"));
  try {
    const file = join(folder, "trace.jsonl");
    const row = { timestamp: 0, input_length: 40, output_length: 3, hash_ids: [1] };
    const text = [row, { ...row, timestamp: 500 }].map((one) => JSON.stringify(one)).join("\n");
    writeFileSync(file, text);
    const { plan } = options("--trace", file, "--speedup", "10");
    expect(plan.arrival).toEqual({ kind: "trace", speedup: 10 });
    expect(plan.requests).toBe(2);
    const closed = options("--trace", file, "--concurrency", "2").plan.arrival;
    expect(closed).toEqual({ kind: "closed", concurrency: 2 });
    writeFileSync(file, `${text}\n{"timestamp":1}`);
    expect(() => options("--trace", file)).toThrow(/line 3/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each([
  [[], "--url is missing"],
  [["--url", "localhost:8000"], "not an http(s) URL"],
  [[...url, "--isl", "0"], "--isl 0 must be a number from 1"],
  [[...url, "--requests", "2.5"], "whole number"],
  [[...url, "--duration", "100000"], "from 0.1 to 3600"],
  [[...url, "--rate", "1", "--concurrency", "2"], "choose one"],
  [[...url, "--arrival", "poisson"], "belongs to --rate"],
  [[...url, "--speedup", "2"], "belongs to the schedule"],
  [[...url, "--rate-high", "2"], "belongs to --rate"],
  [[...url, "--rate", "2", "--period", "60"], "give both"],
  [[...url, "--trace", "/nowhere"], "no readable file"],
  [[...url, "--endpoint", "chats"], "must be one of chat, completions"],
  [[...url, "--nonsense"], "--nonsense"],
] as const)("%j is refused", (args, problem) => {
  const refused = () => loadOptions(args as readonly string[], {});
  expect(refused).toThrow(LoadOptionsError);
  expect(refused).toThrow(problem);
});
