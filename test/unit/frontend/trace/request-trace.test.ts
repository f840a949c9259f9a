/** The request trace: its lines, its bounded queue, its files, and what replay reads of it. */
import { expect, test } from "bun:test";
import type { Prepared } from "../../../../actors/frontend/prompt/prepare-request.ts";
import { RequestEntry } from "../../../../actors/frontend/requests/request-entry.ts";
import { RequestTraces } from "../../../../actors/frontend/trace/request-traces.ts";
import {
  type RequestFacts,
  sequenceNames,
  traceLines,
} from "../../../../actors/frontend/trace/trace-record.ts";
import { TraceWriter } from "../../../../actors/frontend/trace/trace-writer.ts";
import { blockHashes } from "../../../../llm/blocks/block-hash.ts";
import { VirtualClock } from "../../../../runtime/simulation/virtual-clock.ts";
import { readTrace, traceBlockSize } from "../../../bench/replay/trace.ts";
import { memoryFiles } from "../../../sim/world/files.ts";
import { fakeModel } from "../../../support/worlds/frontend-fakes.ts";
import { testSystem } from "../../../support/worlds/test-system.ts";

const facts = (id: string, more: Partial<RequestFacts> = {}): RequestFacts => ({
  ...{ request_id: id, x_request_id: undefined, session_id: undefined, key: "team" },
  ...{ endpoint: "chat_completions", model: "toy", received_ms: 1_000_000, ended_ms: 1_000_400 },
  ...{ ttft_ms: 100, last_token_ms: 1_000_400, input_tokens: 5, output_tokens: 4 },
  ...{ cached_tokens: 0, outcome: "success", finish_reasons: ["length"], workers: ["worker-0"] },
  ...{ prompt: Uint32Array.of(1, 2, 3, 4, 5), block_size: 2, body: undefined },
  ...more,
});

test("a line has Dynamo's fields, and blocks have their names", () => {
  const line = traceLines(facts("a", { session_id: "s" }));
  expect(JSON.parse(line)).toMatchObject({
    ...{ schema: "dynamo.request.trace.v1", event_type: "request_end", event_source: "dynamo" },
    ...{ event_time_unix_ms: 1_000_400, agent_context: { session_id: "s" } },
    request: {
      ...{ request_id: "a", model: "toy", input_tokens: 5, output_tokens: 4 },
      ...{ request_received_ms: 1_000_000, ttft_ms: 100, total_time_ms: 400, avg_itl_ms: 100 },
      ...{ key: "team", outcome: "success", finish_reason_metadata: { finish_reason: "length" } },
      replay: { trace_block_size: 2, input_length: 5 },
    },
  });
  const prompt = Uint32Array.of(1, 2, 3, 4, 5);
  const names = sequenceNames(prompt, 2);
  // The same names as those in the workers' caches, and one for the block that is not full.
  expect(names.slice(0, 2)).toEqual([...blockHashes(prompt, 2).sequence_hashes]);
  expect(line).toContain(`"input_sequence_hashes":[${names.join(",")}]`);
  expect(names).toHaveLength(3);
});

test("what a client sent is kept only when asked for", () => {
  const body = { messages: [{ role: "user", content: "secret" }] };
  expect(traceLines(facts("a"))).not.toContain("secret");
  const [payload = "", end = ""] = traceLines(facts("a", { body })).split("\n");
  expect(JSON.parse(payload)).toMatchObject({
    ...{ event_type: "request_payload", payload: { request: body, payload_complete: false } },
  });
  expect(JSON.parse(end).event_type).toBe("request_end");
});

test("replay reads the lines: times from the first on, shared beginnings, sessions in order", () => {
  const at = (received_ms: number, ended_ms: number) => ({ received_ms, ended_ms });
  const trace = [
    facts("b", { ...at(1_002_000, 1_002_500), session_id: "s" }),
    facts("a", { ...at(1_000_000, 1_000_400), session_id: "s" }),
    facts("c", { ...at(1_001_000, 1_001_200), session_id: "t", prompt: Uint32Array.of(1, 2, 9) }),
    facts("many", { prompt: undefined, session_id: "u" }),
    facts("none", { output_tokens: 0, session_id: "u" }),
  ];
  const text = trace.map((each) => traceLines({ ...each, body: {} })).join("");
  expect(traceBlockSize(text)).toBe(2);
  const read = readTrace(text, 2);
  const of = (id: string) => read.find((each) => each.id === id)!;
  expect(read.map(({ id }) => id).sort()).toEqual(["a", "b", "c"]);
  expect(of("a")).toMatchObject({ arrival_ms: 0, input_length: 5, output_length: 4 });
  expect(of("c").arrival_ms).toBe(1_000);
  expect(of("b")).toMatchObject({ arrival_ms: undefined, delay_ms: 1_600, session: "s" });
  expect(of("b").hash_ids).toEqual(of("a").hash_ids);
  expect(of("c").hash_ids[0]).toBe(of("a").hash_ids[0]!);
  expect(of("c").hash_ids[1]).not.toBe(of("a").hash_ids[1]!);
  expect(() => readTrace(`${text}{"schema":"x"}`, 2)).toThrow("line 11: schema must be");
});

const prepared = (tokens: number): Prepared =>
  ({
    makes: "generation",
    generation: {
      ...{ dialect: { name: "chat_completions" }, model: fakeModel(), counted_each: 1 },
      answers: [{ prompt: new Uint32Array(tokens) }],
    },
  }) as never;
const usage = { prompt_tokens: 1, completion_tokens: 2, cached_tokens: 0 };

const noStages = { begin() {}, end() {}, stage() {} };

function finish(traces: RequestTraces, id: string, tokens = 1): void {
  const arrival = { id, request: new Request("http://h/"), path: "/", arrived_ms: 0 };
  const parts = { stages: noStages, ended: () => {}, may_follow: false };
  const entry = new RequestEntry(new VirtualClock(), arrival, "chat_completions", parts);
  traces.follow(entry, { headers: {} }, prepared(tokens), {});
  entry.tokens(2, 1);
  entry.finished(usage);
  entry.disconnected();
}

test("a queue that nobody empties drops and counts", () => {
  const traces = new RequestTraces(testSystem().clock, false);
  for (let i = 0; i < 5_000; i++) finish(traces, `${i}`);
  expect([traces.waiting, traces.dropped]).toEqual([4_096, 904]);
  const large = new RequestTraces(testSystem().clock, false);
  for (let i = 0; i < 5; i++) finish(large, `${i}`, 4 * 1024 * 1024);
  expect([large.waiting, large.dropped]).toEqual([3, 2]);
  expect(large.take(1).map(({ request_id }) => request_id)).toEqual(["0"]);
  finish(large, "5", 4 * 1024 * 1024);
  expect(large.waiting).toBe(3);
});

test("files turn by size, the oldest go, and nothing waits when the process ends", async () => {
  const { system, clock } = testSystem();
  const files = memoryFiles(new Map());
  Object.assign(system.capabilities, { files });
  const traces = new RequestTraces(clock, false);
  const options = { path: "/trace.jsonl", traces, file_bytes: 2_000, files: 3 };
  const writer = await system.spawnReady(() => new TraceWriter(options), { name: "trace" });
  for (let i = 0; i < 20; i++) {
    finish(traces, `r${i}`);
    await clock.advance(250);
  }
  finish(traces, "last");
  system.stop(writer);
  await clock.advance(1_000);
  expect(await files.list("/")).toEqual(["trace.jsonl", "trace.jsonl.1", "trace.jsonl.2"]);
  const ids: string[] = [];
  for (const name of ["/trace.jsonl.2", "/trace.jsonl.1", "/trace.jsonl"]) {
    const text = new TextDecoder().decode(await files.read(name));
    expect(text.length).toBeLessThanOrEqual(2_000);
    for (const line of text.trim().split("\n")) ids.push(JSON.parse(line).request.request_id);
  }
  expect(ids.at(-1)).toBe("last");
  // Those that are left are the newest, each once.
  expect(ids.slice(0, -1)).toEqual(
    Array.from({ length: ids.length - 1 }, (_, i) => `r${20 - ids.length + 1 + i}`),
  );
});
