import { expect, test } from "bun:test";
import fc from "fast-check";
import { AnswerParser } from "../../bench/load/answer-parser.ts";

const head = (more: string) => `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${more}\r\n`;
const event = (text: string) => `id: r:1\ndata: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`;
const role = 'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n';
const usage =
  'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens": 3,' +
  '"prompt_tokens_details":{"cached_tokens":4}}}\n\n';
const done = "data: [DONE]\n\n";
const stream = role + event(" a") + event(' \\"text\\":\\"b') + event("é…") + usage + done;

function chunked(body: Buffer, sizes: readonly number[]): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, i = 0; at < body.length; i += 1) {
    const part = body.subarray(at, at + (sizes[i % sizes.length] ?? 1));
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n"));
    at += part.length;
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

function parse(bytes: Buffer, cuts: readonly number[] = [bytes.length]) {
  const times: number[] = [];
  const parser = new AnswerParser({ onText: (now_ms) => times.push(now_ms) });
  let whole = false;
  let read = 0;
  for (let at = 0; at < bytes.length && !whole; read += 1) {
    const part = bytes.subarray(at, at + (cuts[read % cuts.length] ?? 1));
    // A socket may use its buffer again for what it reads next.
    const reused = Buffer.from(part);
    whole = parser.take(reused, read);
    reused.fill(0);
    at += part.length;
  }
  return { parser, times, whole, read };
}

const sizes = fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 12 });

test("an answer reads the same however it is cut into chunks and reads", () => {
  fc.assert(
    fc.property(sizes, sizes, (chunks, cuts) => {
      const body = chunked(Buffer.from(stream), chunks);
      const bytes = Buffer.concat([Buffer.from(head("Transfer-Encoding: chunked\r\n")), body]);
      const { parser, times, whole } = parse(bytes, cuts);
      expect(whole).toBe(true);
      expect(times.length).toBe(3);
      expect(parser).toMatchObject({
        status: 200,
        error: "",
        prompt_tokens: 7,
        completion_tokens: 3,
        cached_tokens: 4,
      });
    }),
  );
});

test("an event counts at the read that completes it", () => {
  const text = head("") + role + event(" a") + event(" b") + done;
  const cut = text.indexOf(event(" b")) + 20;
  const { times, parser, whole } = parse(Buffer.from(text), [cut, text.length]);
  expect(times).toEqual([0, 1]);
  // Without a length or chunks, the server's close is the end.
  expect(whole).toBe(false);
  expect(parser.closed()).toBe(true);
  expect(parser.error).toBe("");
});

test("a refusal, an error in the stream, a broken stream and another type are errors", () => {
  const body = '{"error":{"message":"too long"}}';
  const refusal = `HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const refused = parse(Buffer.from(refusal));
  expect(refused.whole).toBe(true);
  expect(refused.parser.error).toBe(`HTTP 400: ${body}`);
  expect(refused.parser.closing).toBe(true);
  const failed = parse(
    Buffer.from(`${head("")}${event("a")}data: {"error":{"message":"lost"}}\n\n`),
  );
  expect(failed.parser.error).toContain("lost");
  const broken = parse(Buffer.from(head("") + event("a")));
  expect(broken.parser.error).toContain("[DONE]");
  const json = parse(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
  expect(json.parser.error).toContain("not an event stream");
});

test("what is not HTTP is refused", () => {
  expect(() => parse(Buffer.from("SSH-2.0-x\r\n\r\n"))).toThrow("not an HTTP answer");
});
