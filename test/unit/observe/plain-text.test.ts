import { expect, test } from "bun:test";
import fc from "fast-check";
import { plainText } from "../../../runtime/observe/plain-text.ts";

const shown = (value: unknown, chars = 4_096): unknown => JSON.parse(plainText(value, chars));

test("what JSON has stays what it is", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      expect(shown(value, 1_000_000)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("what JSON lacks becomes a text", () => {
  const ref = { toJSON: () => "root/a#1" };
  const value = {
    big: 2n ** 64n,
    bytes: new Uint8Array([1, 171]),
    many: new Uint8Array(20),
    ids: new Uint32Array([7, 8]),
    map: new Map<unknown, unknown>([[1n, "one"]]),
    set: new Set(["a"]),
    error: new TypeError("wrong"),
    nan: Number.NaN,
    nothing: undefined,
    ref,
    run: function run() {},
  };
  expect(shown(value)).toEqual({
    big: "18446744073709551616",
    bytes: "(2 bytes 01ab)",
    many: "(20 bytes 00000000000000000000000000000000…)",
    ids: [7, 8],
    map: { "1": "one" },
    set: ["a"],
    error: "TypeError: wrong",
    nan: "NaN",
    ref: "root/a#1",
    run: "function run",
  });
});

test("what holds itself, throws or is deep comes to an end", () => {
  const ring: Record<string, unknown> = { name: "ring" };
  ring["self"] = ring;
  expect(shown(ring)).toEqual({ name: "ring", self: "(itself)" });
  const twice = { a: 1 };
  expect(shown([twice, twice])).toEqual([{ a: 1 }, { a: 1 }]);
  const wrong = {
    toJSON() {
      throw new Error("no");
    },
  };
  expect(shown({ wrong })).toEqual({ wrong: "(cannot be shown: no)" });
  let deep: unknown = "end";
  for (let i = 0; i < 1_000; i++) deep = [deep];
  expect(JSON.stringify(shown(deep))).toContain("…");
  expect(shown(JSON.parse('{"__proto__":{"x":1}}'))).toEqual(JSON.parse('{"__proto__":{"x":1}}'));
});

test("it is bounded whatever comes", () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withMap: true, withSet: true }), (value) => {
      const text = plainText([value, value, "x".repeat(500), "\u0000".repeat(500)], 200);
      expect(() => JSON.parse(text)).not.toThrow();
      expect(text.length).toBeLessThan(600);
    }),
  );
  const long = plainText({ text: "é".repeat(10_000) }, 4_096);
  expect(long.length).toBeLessThan(4_200);
  expect(long).toContain("…");
});
