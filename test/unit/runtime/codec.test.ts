/** Messages and envelopes as bytes. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { codecs } from "../../../proto/index.ts";
import {
  CodecError,
  CodecTable,
  newReader,
  newWriter,
  protoCodecs,
} from "../../../runtime/codec.ts";
import { Batch, FrameWalk } from "../../../runtime/remote/envelope.ts";
import {
  exitOfWire,
  exitToWire,
  incarnationBytes,
  incarnationOf,
} from "../../../runtime/remote/wire.ts";
import { runtimeCodecs } from "../../../runtime/wire-messages.ts";
import { note, testCodecs } from "../../support/worlds/remote-child.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const name = fc.string({ unit: "binary", maxLength: 60 });

describe("the table", () => {
  test("refuses two codecs of one id or kind, and ids out of range", () => {
    const row = { id: 64, kind: "a", codec: codecs.Progress };
    const table = (...rows: (typeof row)[]) => new CodecTable(protoCodecs(rows));
    expect(() => table(row, { ...row, kind: "b" })).toThrow(/64 "b" clashes with 64 "a"/);
    expect(() => table(row, { ...row, id: 65 })).toThrow(/65 "a" clashes with 64 "a"/);
    expect(() => table({ ...row, id: 0 })).toThrow(/id of 1 to 65535/);
    expect(() => table({ ...row, id: 65_536 })).toThrow(CodecError);
  });

  test("names the kind or the id that it does not know", () => {
    expect(() => testCodecs.of("riddle")).toThrow(/"riddle" has no codec/);
    expect(() => testCodecs.decode(9_999, newReader(new Uint8Array(0)), 0)).toThrow(/9999/);
  });

  test("says which kind was unreadable", () => {
    const bytes = Uint8Array.of(0x0a, 50, 1, 2);
    expect(() => testCodecs.decode(1_000, newReader(bytes), 4)).toThrow(/of kind "note"/);
  });

  test("text of any kind survives, also lone surrogates as U+FFFD", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.double(), (stage, fraction) => {
        const sent = note(stage, fraction, `${stage}${stage}`);
        const got = testCodecs.roundTrip(sent) as typeof sent;
        expect(got.kind).toBe("note");
        expect(got.stage).toBe(Buffer.from(stage).toString());
        expect(Object.is(got.fraction, Math.fround(fraction))).toBe(true);
        expect(got.detail).toBe(Buffer.from(stage + stage).toString());
      }),
    );
  });

  test("a kind without a codec never leaves its process and passes as it is", () => {
    const message = { kind: "local-only", ref: Symbol("anything") };
    expect(testCodecs.roundTrip(message)).toBe(message);
  });

  test("the runtime's own ids are below 64, which belong to it", () => {
    expect(runtimeCodecs.every(({ id }) => id >= 16 && id < 64)).toBe(true);
  });
});

const envelope = fc.record({
  type: fc.integer({ min: 1, max: 65_535 }),
  to: u32,
  ask: fc.option(fc.integer({ min: 1, max: 0xffff_ffff }), { nil: 0 }),
  answer: fc.option(u32, { nil: 0 }),
  correlation: fc.option(name, { nil: "" }),
  traceparent: fc.option(name, { nil: "" }),
  body: fc.uint8Array({ maxLength: 400 }),
});

describe("the envelope", () => {
  test("written by hand is what the generated codec reads, and the other way round", () => {
    fc.assert(
      fc.property(fc.array(envelope, { maxLength: 5 }), (envelopes) => {
        const batch = new Batch();
        for (const { type, to, ask, answer, correlation, traceparent, body } of envelopes) {
          batch.begin(type, to);
          if (ask !== 0) batch.ask(ask, 250);
          if (answer !== 0) batch.answer(answer);
          if (correlation !== "") batch.correlation(correlation);
          if (traceparent !== "") batch.traceparent(traceparent);
          batch.body().raw(body);
          batch.end();
        }
        const bytes = batch.view(0, batch.size_bytes);
        const frame = codecs.Frame.decode(bytes);
        const walk = new FrameWalk(codecs.Frame.encode(frame).finish());
        for (const [i, sent] of envelopes.entries()) {
          const { correlation, traceparent, body, ...numbers } = sent;
          const remaining_ms = sent.ask === 0 ? 0 : 250;
          expect(frame.envelopes[i]).toMatchObject({ ...numbers, remaining_ms });
          expect([...(frame.envelopes[i]?.body ?? [])]).toEqual([...body]);
          expect(walk.next()).toBe(true);
          expect(walk.head).toMatchObject({ ...numbers, remaining_ms });
          expect(walk.head.correlation).toBe(Buffer.from(correlation).toString());
          expect(walk.head.traceparent).toBe(Buffer.from(traceparent).toString());
          expect([
            ...walk.reader.raw(walk.reader.pos, walk.reader.pos + walk.head.body_bytes),
          ]).toEqual([...body]);
        }
        expect(walk.next()).toBe(false);
      }),
    );
  });

  test("of a small tell costs ten bytes beside the body", () => {
    const batch = new Batch();
    batch.begin(1_000, 300);
    batch.body().raw(new Uint8Array(40));
    batch.end();
    expect(batch.size_bytes - 40).toBe(10);
  });

  test("that is rolled back leaves what was before it", () => {
    const batch = new Batch();
    batch.begin(5, 1);
    batch.end();
    const before = [...batch.view(0, batch.size_bytes)];
    const start = batch.size_bytes;
    batch.begin(6, 2);
    batch.body().string("half a").fork();
    batch.rollback(start);
    expect([...batch.view(0, batch.size_bytes)]).toEqual(before);
    batch.begin(7, 3);
    batch.end();
    const frame = codecs.Frame.decode(batch.view(0, batch.size_bytes));
    expect(frame.envelopes.map(({ type }) => type)).toEqual([5, 7]);
  });

  test("out of garbage is an error or nothing, never anything else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const walk = new FrameWalk(bytes);
        try {
          for (let i = 0; i < 100 && walk.next(); i++) {
            expect(walk.reader.pos + walk.head.body_bytes).toBeLessThanOrEqual(bytes.length);
          }
        } catch (error) {
          expect(error instanceof CodecError || error instanceof Error).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("fields of a newer release are skipped", () => {
    const writer = newWriter();
    writer.uint32(0x0a).fork().uint32(0x08).uint32(9).uint32(0x4a).string("new");
    writer.uint32(0x10).uint32(4).uint32(0x7a).bytes(Uint8Array.of(1)).ldelim();
    const walk = new FrameWalk(writer.finish());
    expect(walk.next()).toBe(true);
    expect(walk.head).toMatchObject({ type: 9, to: 4, body_bytes: 1 });
    expect(walk.next()).toBe(false);
  });
});

test("incarnations are eight little-endian bytes; anything else is the well-known zero", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (incarnation) => {
      expect(incarnationOf(incarnationBytes(incarnation))).toBe(incarnation);
    }),
  );
  expect([...incarnationBytes(0x0102n)]).toEqual([2, 1, 0, 0, 0, 0, 0, 0]);
  expect(incarnationOf(new Uint8Array(7))).toBe(0n);
});

test("exit reasons survive; one of a newer peer becomes a crash", () => {
  const reasons = [
    { kind: "normal" },
    { kind: "shutdown" },
    { kind: "shutdown", detail: "why" },
    { kind: "crash", error: "Error: x" },
    { kind: "crash", error: "Error: x", stack: "at y" },
    { kind: "killed" },
    { kind: "noproc" },
    { kind: "noconnection" },
  ] as const;
  for (const reason of reasons) expect(exitOfWire(exitToWire(reason))).toEqual(reason);
  const unknown = exitOfWire({ kind: "unknown", detail: "", stack: "" });
  expect(unknown).toMatchObject({ kind: "crash", error: expect.stringContaining("not known") });
});
