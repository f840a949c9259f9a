/** What a recording's files hold: values, records, and what is left of a file that was cut off. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { newReader, newWriter } from "../../../runtime/codec.ts";
import { AskError } from "../../../runtime/kernel/errors.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import {
  addRecord,
  newFile,
  type RecordHeader,
  readFile,
} from "../../../runtime/observe/record/record-format.ts";
import { canonical, hashOf } from "../../../runtime/observe/record/state-hash.ts";
import {
  readValue,
  type Stands,
  ValueWriter,
} from "../../../runtime/observe/record/value-codec.ts";

const stands: Stands = {
  ref: (address, node_address) => ({ address, node_address }) as unknown as Ref,
  function: (name) => `function ${name}`,
  instance: (name, methods) => `${name} with ${methods.join(" ")}`,
};

function roundTrip(value: unknown) {
  const writer = newWriter();
  const values = new ValueWriter();
  values.write(value, writer, "it");
  const bytes = writer.buf.slice(0, writer.pos);
  return { value: readValue(newReader(bytes), stands), lossy: values.lossy };
}

const data = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constant(undefined),
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double(),
    fc.string({ unit: "grapheme" }),
    fc.bigInt(),
    fc.uint8Array(),
    fc.uint32Array(),
    fc.float64Array(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(tie("value")),
    fc.dictionary(
      fc.string().filter((key) => key !== "__proto__"),
      tie("value"),
      {
        noNullPrototype: true,
      },
    ),
    fc.array(tie("value")).map((items) => new Set(items)),
    fc.array(fc.tuple(fc.string(), tie("value"))).map((pairs) => new Map(pairs)),
  ),
})).value;

test("every value of plain data comes back as it was", () => {
  fc.assert(
    fc.property(data, (value) => {
      expect(roundTrip(value)).toEqual({ value, lossy: false });
    }),
  );
});

test("numbers and errors keep what toEqual does not see", () => {
  for (const value of [-0, 0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, -1, 2 ** 32 - 1]) {
    expect(Object.is(roundTrip(value).value, value)).toBe(true);
  }
  const error = roundTrip(new AskError("deadline", "nobody answered")).value as AskError;
  expect(error).toBeInstanceOf(AskError);
  expect([error.code, error.message]).toEqual(["deadline", "deadline: nobody answered"]);
});

test("functions and objects of classes are told by name, and are a loss", () => {
  class Sink {
    #count = 0;
    full(): boolean {
      return this.#count > 0;
    }
  }
  expect(roundTrip({ sink: new Sink(), run: () => 1 })).toEqual({
    value: { sink: "it.sink with full", run: "function it.run" },
    lossy: true,
  });
  const circle: unknown[] = [];
  circle.push(circle);
  expect(roundTrip(circle).lossy).toBe(true);
});

test("a state's hash hangs on what is in it, not on the order of its keys", () => {
  expect(canonical({ b: [1n, -0], a: undefined, c: new Set([1]) })).toBe(
    '{"b":[1n,-0],"c":set[1]}',
  );
  expect(hashOf(canonical({ a: 1, b: 2 }))).toEqual(hashOf(canonical({ b: 2, a: 1 })));
  expect(hashOf(canonical({ a: 1 }))).not.toEqual(hashOf(canonical({ a: 2 })));
});

const header: RecordHeader = {
  ...{ protocol_version: 1, version: "1", node: "n", role: "r", pid: 1, started_ms: 5, part: 0 },
  ...{ now_ms: 0, wall_ms: 5, seed: 1, format: 1 },
};

test("whatever is whole is read, wherever a file is cut off", () => {
  const writer = newFile(header);
  const ends = [writer.pos];
  for (let i = 0; i < 5; i++) {
    addRecord(writer, { frame: { link: i, out: false, at_ms: i, frame: new Uint8Array(i * 60) } });
    ends.push(writer.pos);
  }
  const bytes = writer.buf.slice(0, writer.pos);
  for (let length = 0; length <= bytes.length; length++) {
    const whole = ends.filter((end) => end <= length).length;
    const content = readFile(bytes.slice(0, length));
    expect(content?.records.length).toBe(whole);
    const first_line = length < 17 ? 0 : 17;
    expect(content?.torn_bytes).toBe(length - (ends[whole - 1] ?? first_line));
  }
});

test("a file of something else is none", () => {
  expect(readFile(new TextEncoder().encode("%PDF-1.7 and so on and on"))).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
      expect(readFile(bytes)?.records ?? []).toEqual([]);
    }),
  );
});
