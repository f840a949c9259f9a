import { expect, test } from "bun:test";
import { join } from "node:path";
import { parseLine } from "../../../llm/parsers/parse-line.ts";

const root = join(import.meta.dir, "../../..");

async function parse(flags: readonly string[], input: string) {
  const child = Bun.spawn(["bun", "cluster/parse.ts", ...flags], {
    cwd: root,
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { out, error, code: await child.exited };
}

const TOOLS = [{ type: "function", function: { name: "f", parameters: { type: "object" } } }];
const LINE = {
  tool_call_parser: "hermes",
  reasoning_parser: "qwen3",
  tools: TOOLS,
  finish: "stop",
  deltas: ["<think>a</thi", 'nk>b<tool_call>{"name": "f", "argu', 'ments": {}}</tool_call>'],
};
const ANSWER = {
  content: "b",
  reasoning_content: "a",
  tool_calls: [{ name: "f", arguments: "{}" }],
  finish_reason: "tool_calls",
};

test("one line in is one line out", async () => {
  const lines = [JSON.stringify(LINE), "", "nonsense", JSON.stringify({ ...LINE, tools: null })];
  const { out, code } = await parse(["--json-lines"], lines.join("\n"));
  const [first, second, third, ...rest] = out.trimEnd().split("\n");
  expect(JSON.parse(first ?? "")).toEqual(ANSWER);
  expect(Object.keys(JSON.parse(second ?? ""))).toEqual(["error"]);
  expect(JSON.parse(third ?? "").tool_calls).toEqual([]);
  expect(rest).toEqual([]);
  expect(code).toBe(0);
});

test("a text is told in words", async () => {
  const flags = ["--tool-call-parser", "hermes", "--reasoning-parser=qwen3"];
  const { out, code } = await parse(flags, LINE.deltas.join(""));
  // Without tools there are no calls.
  expect(out.split("\n")[0]).toMatch(/^reasoning +"a"$/);
  expect(out).toContain("finish     stop");
  expect(code).toBe(0);
});

test("what is wrong is said in one line", async () => {
  const cases: [string[], RegExp][] = [
    [["--tool-call-parser", "hermez"], /did you mean hermes\?/],
    [["--reasoning-parser", "qwen"], /no reasoning parser "qwen"; did you mean qwen3\?/],
    [["--tools", "/no/such/file"], /cannot be read/],
    [["--tols", "x"], /did you mean --tools\?/],
    [["--tools"], /needs a value/],
  ];
  for (const [flags, says] of cases) {
    const { error, code } = await parse(flags, "");
    expect(error).toMatch(says);
    expect(error.trimEnd().split("\n")).toHaveLength(1);
    expect(code).toBe(2);
  }
});

test("bad lines say which field", () => {
  const errorOf = (line: unknown) => JSON.parse(parseLine(JSON.stringify(line))).error as string;
  expect(errorOf(7)).toContain("no JSON object");
  expect(errorOf({})).toContain('"deltas"');
  expect(errorOf({ ...LINE, deltas: [1] })).toContain('"deltas"');
  expect(errorOf({ ...LINE, tools: [{}] })).toContain('"tools[0]"');
  expect(errorOf({ ...LINE, finish: 1 })).toContain('"finish"');
  expect(errorOf({ ...LINE, request: [] })).toContain('"request"');
  expect(errorOf({ ...LINE, tool_call_parser: "x" })).toContain('no tool parser "x"');
  expect(errorOf({ ...LINE, reasoning_parser: 3 })).toContain('"reasoning_parser"');
});

test("names are found from a template", async () => {
  const flags = ["--template", "deploy/models/tiny/chat_template.jinja"];
  const { out, error } = await parse(flags, "<think>a</think>b");
  expect(error).toContain("tool hermes, reasoning qwen3");
  expect(out).toMatch(/content +"b"/);
});
