import { expect, test } from "bun:test";
import type { LoadPlan } from "../../bench/load/plan.ts";
import { runLoad } from "../../bench/load/run-load.ts";
import { summarize } from "../../bench/load/summary.ts";
import type { TraceRequest } from "../../bench/replay/trace.ts";

type Handler = (index: number) => Promise<Response> | Response;

const sse = { headers: { "content-type": "text/event-stream" } };
const answer = (tokens: number) => {
  const token = 'data: {"choices":[{"delta":{"content":" x"}}]}\n\n';
  const usage = `data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":${tokens}}}\n\n`;
  return new Response(`${token.repeat(tokens)}${usage}data: [DONE]\n\n`, sse);
};

/** Runs a plan against a server on loopback; what it was asked comes back with the result. */
async function against(handler: Handler, over: Partial<LoadPlan>) {
  const asked: { at_ms: number; words: number }[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const at_ms = performance.now();
      const { messages } = (await request.json()) as { messages: { content: string }[] };
      const words = (messages[0]?.content ?? "").trim().split(" ").length;
      return handler(asked.push({ at_ms, words }) - 1);
    },
  });
  const plan: LoadPlan = {
    url: `http://127.0.0.1:${server.port}`,
    model: "m",
    endpoint: "chat",
    source: { kind: "synthetic", isl: 20, osl: 3, shared: 0.5 },
    full_length: true,
    arrival: { kind: "closed", concurrency: 4 },
    requests: 40,
    duration_ms: 20_000,
    timeout_ms: 10_000,
    warm_up: 0,
    max_connections: 64,
    seed: 1,
    ...over,
  };
  try {
    const begun_ms = performance.now();
    const result = await runLoad(plan);
    return { asked, begun_ms, result, summary: summarize(plan, result) };
  } finally {
    await server.stop(true);
  }
}

test("a closed loop sends what it was told to, and warm-up does not count", async () => {
  let live = 0;
  let most = 0;
  const { asked, summary } = await against(
    async () => {
      live += 1;
      most = Math.max(most, live);
      await Bun.sleep(2);
      live -= 1;
      return answer(3);
    },
    { warm_up: 10 },
  );
  expect(asked.length).toBe(50);
  expect(most).toBe(4);
  expect(summary).toMatchObject({ requests: 40, completed: 40, errors: 0, tokens_mean: 3 });
  expect(summary.events_per_token).toBe(1);
});

test("a stalled server shows in the latency of every request that was due meanwhile", async () => {
  const stall_ms = 400;
  let stalled: Promise<void> | undefined;
  const { summary, result } = await against(
    async (index) => {
      if (index === 20) stalled = Bun.sleep(stall_ms);
      await stalled;
      return answer(1);
    },
    { arrival: { kind: "rate", per_s: 200, process: "constant" }, requests: 120 },
  );
  expect(summary.completed).toBe(120);
  // 80 requests fall due in the 400 ms; on average they wait half of it. Counted from when a slot
  // was free (coordinated omission) one alone would have waited.
  const waited = result.records.filter((record) => record.ttft_ms > stall_ms / 4);
  expect(waited.length).toBeGreaterThan(40);
  // They left when they were due all the same.
  expect(new Set(result.records.map((record) => Math.round(record.due_ms))).size).toBe(120);
});

test("an open loop short of connections counts the wait for one", async () => {
  const { summary, result } = await against(
    async () => {
      await Bun.sleep(20);
      return answer(1);
    },
    {
      arrival: { kind: "rate", per_s: 500, process: "constant" },
      requests: 30,
      max_connections: 1,
    },
  );
  expect(summary.completed).toBe(30);
  const last = result.records.at(-1);
  // One at a time, 20 ms each: the last, due after 58 ms, begins after 580.
  expect(last?.sent_ms).toBeGreaterThan(400);
  expect(last?.ttft_ms).toBeGreaterThanOrEqual(last?.sent_ms ?? 0);
});

const row = (over: Partial<TraceRequest>): TraceRequest => ({
  id: "r",
  arrival_ms: 0,
  after: [],
  delay_ms: 0,
  input_length: 20,
  output_length: 1,
  hash_ids: [1, 2],
  session: undefined,
  strict_priority: 0,
  policy_class: undefined,
  ...over,
});

test("a trace keeps its schedule in compressed time; a turn waits for the one before", async () => {
  const rows = [
    row({ arrival_ms: 1000, input_length: 11 }),
    row({ arrival_ms: undefined, after: [0], delay_ms: 400, input_length: 12 }),
    row({ arrival_ms: 1400, input_length: 13 }),
  ];
  const { asked, begun_ms, summary } = await against(
    async (index) => {
      if (index === 0) await Bun.sleep(80);
      return answer(1);
    },
    {
      source: { kind: "trace", rows, block_tokens: 16 },
      arrival: { kind: "trace", speedup: 10 },
    },
  );
  expect(summary.completed).toBe(3);
  // Due at 0, at 40, and 40 after an answer that took 80.
  expect(asked.map(({ words }) => words)).toEqual([11, 13, 12]);
  const [first = 0, second = 0, third = 0] = asked.map(({ at_ms }) => at_ms);
  // The first one may come late itself.
  expect(second - begun_ms).toBeGreaterThan(39);
  expect(third - first).toBeGreaterThan(115);
});

test("refusals, broken streams and answers that never end are counted, each for itself", async () => {
  const { summary } = await against(
    (index) => {
      if (index % 4 === 0) return Response.json({ error: { message: "no" } }, { status: 503 });
      if (index % 4 === 1) return new Response("data: {}\n\n", sse);
      if (index % 4 === 2) return new Promise<Response>(() => {});
      return answer(2);
    },
    { requests: 8, arrival: { kind: "closed", concurrency: 1 }, timeout_ms: 300 },
  );
  expect(summary).toMatchObject({ requests: 8, completed: 2, errors: 6 });
  const kinds = Object.entries(summary.error_kinds).map(([kind, count]) => [
    kind.slice(0, 8),
    count,
  ]);
  expect(kinds).toEqual([
    ["HTTP 503", 2],
    ["the stre", 2],
    ["no whole", 2],
  ]);
});

test("a server that is not there is an error, not a hang", async () => {
  const { summary } = await against(() => answer(1), {
    url: "http://127.0.0.1:1",
    requests: 3,
  });
  expect(summary).toMatchObject({ requests: 3, completed: 0, errors: 3 });
});

test("the duration ends a run whatever is left of its requests", async () => {
  const { summary } = await against(() => answer(1), { requests: 1_000_000, duration_ms: 300 });
  expect(summary.errors).toBe(0);
  expect(summary.requests).toBeGreaterThan(0);
  expect(summary.requests).toBeLessThan(1_000_000);
});
