import { expect, test } from "bun:test";
import { readSyntheticOptions, syntheticTrace } from "../bench/replay/synthetic.ts";
import { readTrace } from "../bench/replay/trace.ts";

const lines = (...rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join("\n");
const row = { timestamp: 0, input_length: 10, output_length: 2, hash_ids: [1, 2, 3] };

test("mooncake: one request a line, aliases, blank lines", () => {
  const other = { created_time: 7, input_tokens: 5, output_tokens: 0, hash_ids: [1, 9] };
  const trace = readTrace(`${lines(row)}\n\n${lines(other)}\n`, 4);
  expect(trace).toHaveLength(2);
  expect(trace[0]).toMatchObject({
    arrival_ms: 0,
    input_length: 10,
    hash_ids: [1, 2, 3],
    after: [],
  });
  // An answer has at least one token: nothing else says when the prompt was done.
  expect(trace[1]).toMatchObject({ arrival_ms: 7, input_length: 5, output_length: 1 });
});

test("mooncake: turns of a session wait for the answer before, then think", () => {
  const trace = readTrace(
    lines(
      { ...row, session_id: "s", timestamp: 100 },
      { ...row, session_id: "s", delay: 50 },
      { ...row, session_id: "t", timestamp: 0 },
      { ...row, session_id: "t", timestamp: 400 },
    ),
    4,
  );
  expect(trace[1]).toMatchObject({ after: [0], delay_ms: 50, arrival_ms: undefined });
  expect(trace[3]).toMatchObject({ after: [2], delay_ms: 400 });
});

test("mooncake-delta: a prompt is the prompt and the answer before it, and what is new", () => {
  const rows = [
    { timestamp: 0, session_id: "s", input_length: 4, output_length: 2, hash_ids: [1] },
    { session_id: "s", input_length: 2, output_length: 1, hash_ids: [2], delay: 5 },
    { timestamp: 0, session_id: "u", input_length: 6, output_length: 2, hash_ids: [1, 7] },
  ];
  const trace = readTrace(lines(...rows), 4, "mooncake-delta");
  expect(trace.map(({ input_length }) => input_length)).toEqual([4, 8, 6]);
  const [first, second, third] = trace.map(({ hash_ids }) => hash_ids);
  expect(second).toHaveLength(2);
  expect(second![0]).toBe(first![0]!);
  expect(third![0]).toBe(first![0]!);
  expect(third![1]).not.toBe(second![1]!);
});

test("agentic_mooncake: branches wait for all they name, delay and tool time add up", () => {
  const rows = [
    { ...row, request_id: "root", timestamp: 3 },
    { ...row, request_id: "a", wait_for: ["root"], delay: 2, tool_wait_ms: 30 },
    { ...row, request_id: "b", wait_for: ["root"] },
    { ...row, request_id: "join", wait_for: ["a", "b"] },
  ];
  const trace = readTrace(lines(...rows), 4);
  expect(trace.map(({ after }) => after)).toEqual([[], [0], [0], [1, 2]]);
  expect(trace[1]).toMatchObject({ delay_ms: 32, arrival_ms: undefined });
});

test.each([
  ["not JSON", 'oops{"a"', "line 2: not JSON"],
  ["not an object", "[1]", "line 2: not a JSON object"],
  ["no length", lines({ timestamp: 1, hash_ids: [] }), "line 2: output_length is missing"],
  [
    "a negative time",
    lines({ ...row, timestamp: -1 }),
    "line 2: timestamp must be a number from 0",
  ],
  ["no time", lines({ ...row, timestamp: undefined }), "line 2: timestamp is missing"],
  ["half a token", lines({ ...row, input_length: 1.5 }), "line 2: input_length must be a whole"],
  ["too few ids", lines({ ...row, hash_ids: [1] }), "line 2: 1 hash_ids for 10 tokens"],
  ["ids that are none", lines({ ...row, hash_ids: ["x"] }), "line 2: hash_ids must be a list"],
  ["an unknown dependency", lines({ ...row, wait_for: ["x"] }), 'line 2: wait_for names "x"'],
  ["a name twice", lines({ ...row, request_id: "line 1" }), "line 2: request_id line 1 is there"],
])("a malformed line is named: %s", (_name, bad, message) => {
  expect(() => readTrace(`${lines(row)}\n${bad}`, 4)).toThrow(message);
});

test("an empty trace is a mistake", () => {
  expect(() => readTrace("\n\n", 512)).toThrow("the trace has no requests");
});

test("synthetic: the same seed gives the same trace; groups share, others do not", () => {
  const options = readSyntheticOptions("requests=300,isl=2048,groups=3,shared=0.5,osl=10");
  const trace = syntheticTrace(options, 512);
  expect(trace).toHaveLength(300);
  expect(syntheticTrace(options, 512)).toEqual(trace);
  expect(syntheticTrace({ ...options, seed: 2 }, 512)).not.toEqual(trace);
  const firsts = new Set(trace.map(({ hash_ids }) => hash_ids.slice(0, 2).join()));
  expect(firsts.size).toBe(3);
  const alone = syntheticTrace(readSyntheticOptions("requests=100,groups=0"), 512);
  const ids = alone.flatMap(({ hash_ids }) => hash_ids);
  expect(new Set(ids).size).toBe(ids.length);
});

test("synthetic: sessions grow, a sine swings, bursts come at once", () => {
  const sessions = syntheticTrace(readSyntheticOptions("requests=40,turns=4,isl=1000"), 512);
  for (let i = 1; i < 4; i++) {
    expect(sessions[i]).toMatchObject({ after: [i - 1] });
    const full = Math.floor(sessions[i - 1]!.input_length / 512);
    const shared = sessions[i]!.hash_ids.slice(0, full);
    expect(shared).toEqual(sessions[i - 1]!.hash_ids.slice(0, full));
  }
  const swinging = syntheticTrace(readSyntheticOptions("requests=6000,sine=0.9,period=60"), 512);
  const phase = (at_ms: number) => Math.sin((2 * Math.PI * at_ms) / 60_000) > 0;
  const high = swinging.filter(({ arrival_ms }) => phase(arrival_ms!)).length;
  expect(high).toBeGreaterThan(3_700);
  const bursts = syntheticTrace(readSyntheticOptions("requests=100,burst=10"), 512);
  expect(new Set(bursts.map(({ arrival_ms }) => arrival_ms)).size).toBe(10);
});

test("synthetic: a wrong key or value is named", () => {
  expect(() => readSyntheticOptions("requsts=3")).toThrow("unknown key requsts");
  expect(() => readSyntheticOptions("isl=many")).toThrow(
    'isl must be a number from 0 on, not "many"',
  );
  expect(() => readSyntheticOptions("rate=0")).toThrow("rate must be above 0");
});
