import { expect, test } from "bun:test";
import { readSyntheticOptions, syntheticTrace } from "../../bench/replay/synthetic.ts";
import { readTrace } from "../../bench/replay/trace.ts";

const lines = (...rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join("\n");
const row = { timestamp: 0, input_length: 10, output_length: 2, hash_ids: [1, 2, 3] };

test("mooncake: one request a line, aliases, blank lines", () => {
  const other = { created_time: 7, input_tokens: 5, output_tokens: 0, hash_ids: [1, 9] };
  const trace = readTrace(`${lines(row)}\n\n${lines(other)}\n`, 4);
  expect(trace).toHaveLength(2);
  expect(trace[0]).toMatchObject({
    arrival_ms: 0,
    input_length: 10,
    hash_ids: [0, 1, 2],
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
  [
    "too few ids",
    lines({ ...row, hash_ids: [1, 2] }),
    "line 2: 2 hash_ids for input_length 10: in blocks of 4 tokens it has 3",
  ],
  [
    "too many ids",
    lines({ ...row, input_length: 8 }),
    "line 2: 3 hash_ids for input_length 8: in blocks of 4 tokens it has 2",
  ],
  ["no list of ids", lines({ ...row, hash_ids: "1" }), "line 2: hash_ids must be a list of whole"],
  [
    "ids that are none",
    lines({ ...row, hash_ids: [1, null, 3] }),
    "line 2: hash_ids must be whole",
  ],
  ["half an id", lines({ ...row, hash_ids: [1, 2, 2.5] }), "not 2.5"],
  [
    "an id of more than 64 bits",
    '{"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[18446744073709551616]}',
    "line 2: hash_ids must be whole numbers of 64 bits or texts, not 18446744073709551616",
  ],
  ["an unknown dependency", lines({ ...row, wait_for: ["x"] }), 'line 2: wait_for names "x"'],
  ["a name twice", lines({ ...row, request_id: "line 1" }), "line 2: request_id line 1 is there"],
])("a malformed line is named: %s", (_name, bad, message) => {
  expect(() => readTrace(`${lines(row)}\n${bad}`, 4)).toThrow(message);
});

/** JSON as it stands in the file: what JavaScript's own numbers could not say. */
const withIds = (...ids: readonly string[]) =>
  `{"timestamp":0,"input_length":${4 * ids.length},"output_length":1,"hash_ids":[${ids.join()}]}`;

test("ids are of 64 bits or any text; two that differ anywhere are two", () => {
  const ids = [
    ...["0", "1", "4294967297", "-1", "9007199254740992", "9007199254740993"],
    ...["9223372036854775807", "18446744073709551615", "-9223372036854775808"],
    ...['"1"', '"a"', '""', '"4294967297"', '"18446744073709551615"', '"\u00e9"'],
  ];
  const text = [withIds(...ids), withIds(...ids.toReversed())].join("\n");
  const [there, back] = readTrace(text, 4);
  expect(there!.hash_ids).toEqual(ids.map((_, i) => i));
  expect(back!.hash_ids).toEqual(there!.hash_ids.toReversed());
});

test("names of sessions and requests keep all their digits", () => {
  const long = (last: number, rest: string) =>
    lines(row).replace("{", `{"request_id":900719925474099${last},${rest}`);
  const trace = readTrace(
    [long(2, ""), long(3, ""), long(4, '"wait_for":[9007199254740993],')].join("\n"),
    4,
  );
  expect(trace[2]!.after).toEqual([1]);
  const session = (last: number) =>
    lines(row).replace("{", `{"session_id":900719925474099${last},`);
  const two = readTrace(`${session(2)}\n${session(3)}`, 4);
  expect(two.map(({ after }) => after)).toEqual([[], []]);
});

test("a byte order mark, CRLF, blank lines and no end of line are no part of a row", () => {
  const rows = [row, { ...row, timestamp: 5 }].map((each) => lines(each));
  const plain = readTrace(rows.join("\n"), 4);
  const text = `\uFEFF\r\n${rows[0]}\r\n  \r\n${rows[1]}\r\n\r\n`;
  expect(readTrace(text, 4).map(({ id: _, ...rest }) => rest)).toEqual(
    plain.map(({ id: _, ...rest }) => rest),
  );
  expect(() => readTrace(`\uFEFF${rows[0]}\r\n\r\noops\r\n`, 4)).toThrow("line 3: not JSON");
});

test("rows may be in any order; turns of a session follow each other by their times", () => {
  const at = (timestamp: number, more: object = {}) => ({ ...row, timestamp, ...more });
  const mixed = readTrace(
    lines(at(90), at(400, { session_id: "s" }), at(10), at(50, { session_id: "s" })),
    4,
  );
  expect(mixed.map(({ arrival_ms }) => arrival_ms)).toEqual([90, undefined, 10, 50]);
  expect(mixed[1]).toMatchObject({ after: [3], delay_ms: 350 });
  const untimed = lines(
    at(90, { session_id: "s" }),
    { ...row, timestamp: undefined, session_id: "s", delay: 5 },
    at(10),
  );
  expect(readTrace(untimed, 4)[1]).toMatchObject({ after: [0], delay_ms: 5 });
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
    'isl must be a number from 0 to 10000000, not "many"',
  );
  expect(() => readSyntheticOptions("rate=0")).toThrow("rate must be above 0");
});
