import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type GgufErrorCode,
  ggufNumbers,
  ggufStringSpans,
  parseGguf,
} from "../../../llm/model/gguf.ts";
import { writeGguf } from "../../support/engine/gguf-writer.ts";
import { TINY_MODEL } from "../../support/tokens/vocabularies.ts";

const FILE = writeGguf(
  {
    "general.architecture": { type: "string", value: "llama" },
    "llama.context_length": { type: "u32", value: 4096 },
    "llama.big": { type: "u64", value: 2 ** 40 },
    "llama.epsilon": { type: "f32", value: 0.5 },
    "some.flag": { type: "bool", value: true },
    words: { type: "strings", value: ["a", "", "ümläut 🦙"] },
    scores: { type: "f32s", value: [1.5, -2] },
  },
  [
    { name: "a", shape: [64, 2], type: 0, data: new Uint8Array(512) },
    { name: "b", shape: [32], type: 8, data: new Uint8Array(34) },
  ],
);

function codeOf(bytes: Uint8Array, file_bytes = bytes.length): GgufErrorCode | "need" | "header" {
  const parsed = parseGguf(bytes, file_bytes);
  if (parsed.kind !== "error") return parsed.kind;
  expect(parsed.error.message).not.toContain("\n");
  return parsed.error.code;
}

test("metadata, arrays and tensors are read as written", () => {
  const parsed = parseGguf(FILE, FILE.length);
  if (parsed.kind !== "header") throw new Error(parsed.kind);
  const { metadata, tensors, data_offset, min_file_bytes } = parsed.header;
  expect(metadata.get("llama.context_length")).toBe(4096);
  expect(metadata.get("llama.big")).toBe(2 ** 40);
  expect(metadata.get("llama.epsilon")).toBe(0.5);
  expect(metadata.get("some.flag")).toBe(true);
  const words = metadata.get("words");
  const scores = metadata.get("scores");
  if (typeof words !== "object" || typeof scores !== "object") throw new Error("no arrays");
  const spans = ggufStringSpans(words)!;
  const texts = [0, 1, 2].map((i) =>
    new TextDecoder().decode(words.bytes.subarray(spans[2 * i], spans[2 * i + 1])),
  );
  expect(texts).toEqual(["a", "", "ümläut 🦙"]);
  expect(Array.from(ggufNumbers(scores)!)).toEqual([1.5, -2]);
  expect(ggufNumbers(words)).toBeUndefined();
  expect(ggufStringSpans(scores)).toBeUndefined();
  expect(tensors.map((tensor) => [tensor.name, tensor.size_bytes])).toEqual([
    ["a", 512],
    ["b", 34],
  ]);
  expect(data_offset % 32).toBe(0);
  expect(min_file_bytes).toBe(data_offset + 512 + 34);
});

test("a prefix asks for more until it is enough, and never says wrong", () => {
  let length = 1;
  for (let rounds = 0; ; rounds++) {
    const parsed = parseGguf(FILE.subarray(0, length), FILE.length);
    if (parsed.kind === "header") break;
    if (parsed.kind === "error") throw parsed.error;
    expect(parsed.bytes).toBeGreaterThan(length);
    expect(parsed.bytes).toBeLessThanOrEqual(FILE.length);
    expect(rounds).toBeLessThan(20);
    length = parsed.bytes;
  }
  for (let size = 0; size < FILE.length; size++) {
    expect(["need", "header"]).toContain(codeOf(FILE.subarray(0, size), FILE.length));
  }
});

test("a file cut anywhere is said to be cut", () => {
  for (let size = 0; size < FILE.length; size++) {
    expect(codeOf(FILE.slice(0, size))).toBe("gguf_truncated");
  }
});

test("other files and versions are named", () => {
  expect(codeOf(new TextEncoder().encode("PK\u0003\u0004 and so on, this is a zip"))).toBe(
    "gguf_not_gguf",
  );
  expect(codeOf(writeGguf({}, [], 1))).toBe("gguf_unsupported_version");
  expect(codeOf(writeGguf({}, [], 0x03000000))).toBe("gguf_big_endian");
  expect(codeOf(writeGguf({}, [], 2))).toBe("header");
});

/** The file with a u64 written over the place. */
function withCount(offset: number, value: bigint): Uint8Array {
  const copy = FILE.slice();
  new DataView(copy.buffer).setBigUint64(offset, value, true);
  return copy;
}

test("huge counts are refused without being tried", () => {
  for (const offset of [8, 16, 24]) {
    for (const value of [2n ** 63n, 2n ** 40n]) {
      expect(["gguf_corrupt", "gguf_truncated"]).toContain(codeOf(withCount(offset, value)));
    }
  }
  // Without a known file size neither may a count ask for more for ever.
  const parsed = parseGguf(withCount(16, 2n ** 50n));
  expect(parsed.kind === "error" && parsed.error.code).toBe("gguf_corrupt");
});

test("damage gives an answer, never another kind of throw", () => {
  const place = fc.tuple(fc.nat({ max: 700 }), fc.nat({ max: 255 }));
  const property = fc.property(fc.array(place, { minLength: 1, maxLength: 6 }), (changes) => {
    const copy = FILE.slice();
    for (const [offset, value] of changes) copy[offset % copy.length] = value;
    expect(["header", "need", "error"]).toContain(parseGguf(copy, copy.length).kind);
    expect(["header", "need", "error"]).toContain(parseGguf(copy).kind);
  });
  fc.assert(property, { numRuns: 3000 });
});

test("the tiny model needs its first megabytes only", async () => {
  const file = Bun.file(TINY_MODEL);
  const prefix = new Uint8Array(await file.slice(0, 1 << 20).arrayBuffer());
  const parsed = parseGguf(prefix, file.size);
  if (parsed.kind !== "header") throw new Error(parsed.kind);
  expect(parsed.header.min_file_bytes).toBeLessThanOrEqual(file.size);
});
