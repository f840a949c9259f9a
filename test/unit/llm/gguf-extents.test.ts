/**
 * Counts, offsets and sizes of a GGUF header are claims of a stranger: neither reader, the one in
 * llm and the one in C, may take a sum for small because it wrapped around.
 */

import { cc } from "bun:ffi";
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { parseGguf } from "../../../llm/model/gguf.ts";
import { randomGguf } from "../../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "gguf-"));
afterAll(() => rmSync(folder, { recursive: true }));

const { symbols } = cc({
  source: join(import.meta.dir, "../../support/engine/gguf-check.c"),
  symbols: { check_gguf: { args: ["ptr", "ptr", "i32"], returns: "i32" } },
});

/** The line of the reader in C; undefined: it takes the file. */
function complaintInC(file: Uint8Array): string | undefined {
  const path = join(folder, "model.gguf");
  writeFileSync(path, file);
  const message = Buffer.alloc(600);
  const code = symbols.check_gguf(Buffer.from(`${path}\0`), message, message.length);
  return code === 0 ? undefined : message.toString("utf8", 0, message.indexOf(0));
}

/** The code of the reader in llm; undefined: it takes the file. */
function complaintInTs(file: Uint8Array): string | undefined {
  const parsed = parseGguf(file, file.length);
  if (parsed.kind === "need") throw new Error("it asks for more than the whole file");
  return parsed.kind === "error" ? parsed.error.code : undefined;
}

type Tensor = {
  readonly shape: readonly bigint[];
  readonly type: number;
  readonly offset: bigint;
};
type Claims = {
  readonly tensors: readonly Tensor[];
  readonly tensor_count?: bigint;
  readonly entry_count?: bigint;
  readonly data_bytes: number;
};

const bytesOf = (value: bigint, size: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes.subarray(0, size);
};
const u32 = (value: number) => bytesOf(BigInt(value), 4);
const u64 = (value: bigint) => bytesOf(value, 8);
const text = (value: string) => Buffer.concat([u64(BigInt(value.length)), Buffer.from(value)]);

function write({ tensors, tensor_count, entry_count, data_bytes }: Claims): Uint8Array {
  const head = Buffer.concat([
    Buffer.from("GGUF"),
    u32(3),
    u64(tensor_count ?? BigInt(tensors.length)),
    u64(entry_count ?? 1n),
    ...[text("general.architecture"), u32(8), text("llama")],
    ...tensors.flatMap(({ shape, type, offset }, index) => [
      ...[text(`t${index}`), u32(shape.length), ...shape.map(u64), u32(type), u64(offset)],
    ]),
  ]);
  const padding = Buffer.alloc((32 - (head.length % 32)) % 32);
  return new Uint8Array(Buffer.concat([head, padding, Buffer.alloc(data_bytes)]));
}

const blocks: Readonly<Record<number, readonly [elements: bigint, bytes: bigint]>> = {
  0: [1n, 4n],
  1: [1n, 2n],
  8: [32n, 34n],
  24: [1n, 1n],
  28: [1n, 8n],
};

/** With numbers that have no end: whether all tensors lie inside the file. */
function fits({ tensors, data_bytes }: Claims): boolean {
  return tensors.every(({ shape, type, offset }) => {
    const [elements, bytes] = blocks[type] ?? [1n, 0n];
    const count = shape.reduce((product, extent) => product * extent, 1n);
    const end = offset + (count / elements) * bytes;
    return offset % 32n === 0n && (shape[0] ?? 1n) % elements === 0n && end <= BigInt(data_bytes);
  });
}

const wraps: readonly (readonly [string, Tensor])[] = [
  ["offset + size = 2^64", { shape: [64n], type: 24, offset: 2n ** 64n - 64n }],
  ["offset + size = 2^64 + 32", { shape: [96n], type: 24, offset: 2n ** 64n - 64n }],
  ["size of 2^64", { shape: [2n ** 31n, 2n ** 30n], type: 28, offset: 0n }],
  ["size of 2^64 + 64", { shape: [2n ** 40n, 2n ** 21n + 1n], type: 28, offset: 0n }],
  ["elements of 2^64", { shape: [2n ** 32n, 2n ** 32n], type: 24, offset: 0n }],
  [
    "elements of 2^65 in four",
    { shape: [2n ** 17n, 2n ** 16n, 2n ** 16n, 2n ** 16n], type: 0, offset: 0n },
  ],
  ["the last offset", { shape: [1n], type: 24, offset: 2n ** 64n - 32n }],
  ["an offset at 2^63", { shape: [32n], type: 24, offset: 2n ** 63n }],
  ["an offset where doubles have gaps", { shape: [32n], type: 24, offset: 2n ** 53n }],
];
test.each(wraps)("%s does not wrap around", (_name, tensor) => {
  const file = write({ tensors: [tensor], data_bytes: 256 });
  expect(complaintInTs(file)).toMatch(/^gguf_(corrupt|truncated)$/);
  expect(complaintInC(file)).toMatch(/truncated|corrupt/);
});

test("a vocabulary that has a token twice is refused, and names it", () => {
  const whole = Buffer.from(randomGguf());
  expect(complaintInC(whole)).toBeUndefined();
  whole.write("<unused 301>", whole.indexOf("<unused 300>"));
  expect(complaintInC(whole)).toMatch(
    /^the model \S+ has the token '<unused 301>' twice in its vocabulary, as 300 and 301, which /,
  );
});

test("a file whose tensors end with it is taken, one byte less is not", () => {
  const tensors = [
    { shape: [32n, 2n], type: 8, offset: 0n },
    { shape: [8n], type: 0, offset: 96n },
  ];
  for (const [data_bytes, taken] of [
    [128, true],
    [127, false],
  ] as const) {
    const file = write({ tensors, data_bytes });
    expect([complaintInTs(file) === undefined, complaintInC(file) === undefined]).toEqual([
      ...[taken, taken],
    ]);
  }
});

/** Numbers near the places where 32, 53 and 64 bits end, and small ones. */
const edge = fc.oneof(
  fc.bigInt({ min: 0n, max: 300n }),
  fc
    .tuple(fc.constantFrom(31n, 32n, 40n, 53n, 62n, 63n, 64n), fc.bigInt({ min: -96n, max: 96n }))
    .map(([bits, more]) => BigInt.asUintN(64, 2n ** bits + more)),
);
const tensor: fc.Arbitrary<Tensor> = fc.record({
  shape: fc.array(
    edge.map((extent) => extent || 1n),
    { minLength: 1, maxLength: 4 },
  ),
  type: fc.constantFrom(0, 1, 8, 24, 28),
  offset: fc.oneof(
    edge,
    edge.map((offset) => (offset / 32n) * 32n),
  ),
});

test("whatever a header claims: who takes a file can read all of its tensors", () => {
  let taken = 0;
  fc.assert(
    fc.property(fc.array(tensor, { maxLength: 3 }), fc.nat(4_000), (tensors, data_bytes) => {
      const claims = { tensors, data_bytes };
      const file = write(claims);
      const [ts, c] = [complaintInTs(file), complaintInC(file)];
      if (fits(claims)) taken += 1;
      expect({ ts: ts === undefined, c: c === undefined }).toEqual({
        ...{ ts: fits(claims), c: fits(claims) },
      });
    }),
    { numRuns: 2_000 },
  );
  expect(taken).toBeGreaterThan(100);
});

test("counts and lengths that cannot be are refused at once, wherever they stand", () => {
  const whole = write({ tensors: [{ shape: [32n], type: 24, offset: 0n }], data_bytes: 64 });
  for (const count of [2n ** 64n - 1n, 2n ** 63n, 2n ** 61n + 1n, 2n ** 32n, 1_000n]) {
    for (const claims of [{ tensor_count: count }, { entry_count: count }]) {
      const file = write({ tensors: [], data_bytes: 64, ...claims });
      expect(complaintInTs(file)).toBeDefined();
      expect(complaintInC(file)).toBeDefined();
    }
    // Every place that may be a count or a length.
    for (let at = 8; at + 8 <= whole.length - 64; at++) {
      const file = whole.slice();
      new DataView(file.buffer).setBigUint64(at, count, true);
      complaintInTs(file);
      complaintInC(file);
    }
  }
});
