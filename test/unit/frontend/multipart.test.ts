/** A form is read the same however its bytes are cut, and what is no form is said. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { boundaryOf, FormReader } from "../../../actors/frontend/http/multipart.ts";

type Part = { readonly name: string; readonly filename: string | undefined; bytes: number[] };

function read(chunks: readonly Uint8Array[], boundary: string) {
  const reader = new FormReader(boundary);
  const parts: (Part & { ended: boolean })[] = [];
  for (const chunk of chunks) {
    for (const event of reader.push(chunk)) {
      if (event.kind === "part") parts.push({ ...event.part, bytes: [], ended: false });
      else if (event.kind === "data") parts.at(-1)!.bytes.push(...event.bytes);
      else parts.at(-1)!.ended = true;
    }
  }
  return { parts, complete: reader.complete };
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...chunks, bytes.subarray(at)];
}

const hostile = fc.constantFrom("\r\n", "\r", "--", "\r\n--b", "b", "--b--", "\0", "é", "x");

test("whatever a file holds and however the body is cut, its bytes come through", async () => {
  const content = fc.array(hostile, { maxLength: 30 }).map((words) => words.join(""));
  await fc.assert(
    fc.asyncProperty(content, fc.array(fc.nat(40), { maxLength: 40 }), async (text, sizes) => {
      const form = new FormData();
      form.append("purpose", "batch");
      form.append("file", new File([text], 'a "b".jsonl'));
      form.append("expires_after[seconds]", "3600");
      const request = new Request("http://x/", { method: "POST", body: form });
      const boundary = boundaryOf(request.headers.get("content-type"));
      const bytes = await request.bytes();
      const { parts, complete } = read(cut(bytes, sizes), boundary);
      expect(complete).toBe(true);
      expect(parts.map(({ name }) => name)).toEqual(["purpose", "file", "expires_after[seconds]"]);
      expect(parts[1]!.filename).toBe('a "b".jsonl');
      expect(Buffer.from(parts[1]!.bytes).toString()).toBe(Buffer.from(text).toString());
      expect(parts.every(({ ended }) => ended)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("a body that is cut short is not complete", async () => {
  const form = new FormData();
  form.append("file", new File(["0123456789"], "a"));
  const request = new Request("http://x/", { method: "POST", body: form });
  const boundary = boundaryOf(request.headers.get("content-type"));
  const bytes = await request.bytes();
  const closing = Buffer.from(bytes).lastIndexOf("--") + 2;
  for (let end = 0; end < closing; end += 1) {
    expect(read([bytes.subarray(0, end)], boundary).complete).toBe(false);
  }
  expect(read([bytes.subarray(0, closing)], boundary).complete).toBe(true);
});

test("what is no form is refused", () => {
  expect(() => boundaryOf("application/json")).toThrow("multipart/form-data");
  expect(() => boundaryOf("multipart/form-data")).toThrow("multipart/form-data");
  expect(() => boundaryOf(null)).toThrow("multipart/form-data");
  expect(boundaryOf('multipart/form-data; charset=x; boundary="a b"')).toBe("a b");
  const text = (body: string) => [Buffer.from(body)];
  expect(() => read(text("--b\r\nX-Y: z\r\n\r\n1\r\n--b--"), "b")).toThrow("has no name");
  expect(() => read(text("--bx\r\n"), "b")).toThrow("line end");
  expect(() => read(text(`--b\r\n${"x".repeat(20_000)}`), "b")).toThrow("head of a part");
});
