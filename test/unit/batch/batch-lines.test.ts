/** Lines of a batch's file, their checks, their records and the forms of their answers. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { newState } from "../../../actors/batch/batch-record.ts";
import { type CheckedLine, LineChecker } from "../../../actors/batch/check-line.ts";
import { type Line, LineReader } from "../../../actors/batch/line-reader.ts";
import { recordBytes, recordOf } from "../../../actors/batch/line-record.ts";
import { answerLine, errorLine, usageIn } from "../../../actors/batch/output-line.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function linesIn(bytes: Uint8Array, sizes: readonly number[], line_bytes = 1_000) {
  const reader = new LineReader(line_bytes);
  const lines: Line[] = [];
  let at = 0;
  for (const size of sizes) {
    lines.push(...reader.push(bytes.slice(at, at + size)));
    at += size;
  }
  lines.push(...reader.push(bytes.slice(at)), ...reader.end());
  return lines.map(({ number, bytes: line }) => [number, line && decoder.decode(line)] as const);
}

test("lines are the same however the file is cut; blank ones count for the numbers alone", () => {
  const word = fc.constantFrom("a", "é", "\r", "\n", "\r\n", " ", "\t", "{}", "\ufeff");
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), fc.array(fc.nat(5)), (words, sizes) => {
      const text = words.join("");
      const expected = text
        .split("\n")
        .map((line) => line.replace(/\r$/, ""))
        .map((line, i) => [i + 1, i === 0 ? line.replace(/^\ufeff/, "") : line] as const)
        .filter(([, line]) => !/^[ \t\r]*$/.test(line));
      expect(linesIn(encoder.encode(text), sizes)).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

test("a byte order mark, CRLF, no line end at the end, an empty file", () => {
  expect(linesIn(encoder.encode("\ufeff1\r\n\r\n2"), [])).toEqual([
    [1, "1"],
    [3, "2"],
  ]);
  expect(linesIn(new Uint8Array(0), [])).toEqual([]);
  expect(linesIn(encoder.encode("\ufeff"), [1, 1])).toEqual([]);
});

test("a line that is too long is said to be so, and the next one is read", () => {
  const text = `${"x".repeat(11)}\n${"y".repeat(10)}\r\n${"z".repeat(5_000)}\n1`;
  for (const sizes of [[], [3, 3, 3], Array.from({ length: 900 }, () => 7)]) {
    expect(linesIn(encoder.encode(text), sizes, 10)).toEqual([
      [1, undefined],
      [2, "y".repeat(10)],
      [3, undefined],
      [4, "1"],
    ]);
  }
});

const parse = (bytes: Uint8Array): unknown => JSON.parse(decoder.decode(bytes));
const good = { custom_id: "a", method: "POST", url: "/v1/x", body: { model: "m" } };

function checked(...lines: readonly (object | string | undefined)[]): CheckedLine[] {
  const checker = new LineChecker({ endpoint: "/v1/x", line_bytes: 9, parse });
  return lines.map((line, i) => {
    const text = typeof line === "string" ? line : JSON.stringify(line);
    const bytes = line === undefined ? undefined : encoder.encode(text);
    return checker.check({ number: i + 1, bytes });
  });
}

test("what is wrong with a line is named, and its line", () => {
  const wrong: readonly (readonly [object | string | undefined, string, string | null])[] = [
    [undefined, "line_too_large", null],
    ["{", "invalid_json_line", null],
    ["[]", "invalid_json_line", null],
    ["null", "invalid_json_line", null],
    [{ ...good, custom_id: undefined }, "missing_required_parameter", "custom_id"],
    [{ ...good, custom_id: "" }, "missing_required_parameter", "custom_id"],
    [{ ...good, custom_id: 7 }, "missing_required_parameter", "custom_id"],
    [{ ...good, custom_id: "x".repeat(513) }, "invalid_value", "custom_id"],
    [{ ...good, method: "GET" }, "invalid_method", "method"],
    [{ ...good, url: "/v1/y" }, "mismatched_url", "url"],
    [{ ...good, body: [] }, "invalid_value", "body"],
    [{ ...good, body: undefined }, "invalid_value", "body"],
    [{ ...good, body: { stream: true } }, "invalid_value", "body.stream"],
  ];
  for (const [line, code, param] of wrong) {
    const [result] = checked(line);
    expect(result).toMatchObject({ kind: "bad", error: { code, param, line: 1 } });
  }
  expect(checked(good)).toEqual([
    { kind: "request", number: 1, custom_id: "a", body: { model: "m" } },
  ]);
});

test("of two lines with one custom_id the first is asked", () => {
  const [first, second, third] = checked(good, good, { ...good, custom_id: "b" });
  expect(first?.kind).toBe("request");
  expect(second).toMatchObject({ kind: "bad", custom_id: "a" });
  expect(second).toMatchObject({ error: { code: "duplicate_custom_id", line: 2 } });
  expect(third?.kind).toBe("request");
});

test("a record is read as it was written, and no part of it is taken for a record", () => {
  const usage = { ...newState.usage, input_tokens: 3, output_tokens: 4 };
  const line = answerLine("r", 'x"\t', { status: 200, request_id: "q", body: '{"a":\n"é\\n"}' });
  const record = { number: 12, ok: true, usage, model: "m", line };
  const bytes = recordBytes(record);
  expect(bytes.at(-1)).toBe(0x0a);
  expect(bytes.indexOf(0x0a)).toBe(bytes.length - 1);
  const whole = bytes.subarray(0, -1);
  expect(recordOf(whole)).toEqual(record);
  for (let end = 0; end < whole.length; end += 1) {
    expect(recordOf(whole.subarray(0, end))).toBeUndefined();
    expect(recordOf(Buffer.concat([whole.subarray(0, end), whole]))).toEqual(
      end === 0 ? record : undefined,
    );
  }
});

test("output lines have the form of OpenAI's batch guide", () => {
  const body = '{"id":"c","usage":{"prompt_tokens":2}}';
  expect(JSON.parse(answerLine("r1", "a", { status: 200, request_id: "q", body }))).toEqual({
    id: "r1",
    custom_id: "a",
    response: { status_code: 200, request_id: "q", body: JSON.parse(body) },
    error: null,
  });
  const error = { code: "c", message: "m", param: null, line: 3 };
  expect(JSON.parse(errorLine("r2", null, error))).toEqual({
    ...{ id: "r2", custom_id: null },
    response: null,
    error,
  });
});

test("usage is read from chats, embeddings and responses", () => {
  const chat = {
    prompt_tokens: 5,
    completion_tokens: 7,
    prompt_tokens_details: { cached_tokens: 2 },
    completion_tokens_details: { reasoning_tokens: 1 },
  };
  const expected = { input_tokens: 5, cached_tokens: 2, output_tokens: 7, reasoning_tokens: 1 };
  expect(usageIn({ model: "m", usage: chat })).toEqual({ model: "m", usage: expected });
  const response = {
    ...{ input_tokens: 5, output_tokens: 7 },
    input_tokens_details: { cached_tokens: 2 },
    output_tokens_details: { reasoning_tokens: 1 },
  };
  expect(usageIn({ usage: response }).usage).toEqual(expected);
  expect(usageIn({ usage: { prompt_tokens: 4 } }).usage.input_tokens).toBe(4);
  for (const odd of [null, 1, {}, { usage: null }, { usage: { prompt_tokens: "x" } }]) {
    expect(usageIn(odd).usage).toEqual(newState.usage);
  }
});
