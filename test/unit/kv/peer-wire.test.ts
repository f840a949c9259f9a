/** Frames between keepers: whatever the cuts, and whatever is no frame. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  blockHead,
  creditFrame,
  endFrame,
  endReasonOf,
  endReasons,
  FrameReader,
  HEAD_BYTES,
  type Head,
  hashesOf,
  helloFrame,
  PeerWireError,
  waitFrame,
} from "../../../actors/kv/peer/wire.ts";

type Seen = Head & { readonly body: Uint8Array };

const bodyOf = ({ kind, count }: Head) =>
  kind === "hello" ? count * 8 : kind === "block" ? count : 0;

/** All frames of a stream that comes in these pieces. */
function read(pieces: readonly Uint8Array[]): Seen[] {
  const seen: Seen[] = [];
  let body = new Uint8Array();
  const reader = new FrameReader({
    head: (head) => {
      body = new Uint8Array(bodyOf(head));
      return body.length;
    },
    body: (piece, at) => body.set(piece, at),
    whole: (head) => void seen.push({ ...head, body }),
  });
  for (const piece of pieces) reader.push(piece);
  return seen;
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const size = sizes.length === 0 ? bytes.length : sizes[i % sizes.length]!;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const sizes = fc.array(fc.integer({ min: 1, max: 70 }), { maxLength: 12 });
const frame = fc.oneof(
  fc.record({ kind: fc.constant("hello" as const), hashes: fc.array(u64), a: u64, b: u64 }),
  fc.record({ kind: fc.constant("credit" as const), blocks: fc.nat() }),
  fc.record({ kind: fc.constant("block" as const), hash: u64, sum: u64, bytes: fc.uint8Array() }),
  fc.record({ kind: fc.constant("wait" as const) }),
  fc.record({ kind: fc.constant("end" as const), reason: fc.constantFrom(...endReasons) }),
);

describe("frames", () => {
  test("are the same wherever the stream is cut", () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), sizes, (frames, cuts) => {
        const stream = frames.flatMap((each): Uint8Array[] => {
          if (each.kind === "hello") {
            return [helloFrame({ first: each.a, second: each.b }, each.hashes)];
          }
          if (each.kind === "credit") return [creditFrame(each.blocks)];
          if (each.kind === "wait") return [waitFrame()];
          if (each.kind === "end") return [endFrame(each.reason)];
          return [blockHead(each.hash, each.sum, each.bytes.length), each.bytes];
        });
        const seen = read(cut(new Uint8Array(Buffer.concat(stream)), cuts));
        expect(seen.map(({ kind }) => kind)).toEqual(frames.map(({ kind }) => kind));
        for (const [i, each] of frames.entries()) {
          const { first, second, count, body } = seen[i]!;
          if (each.kind === "hello") {
            expect([first, second]).toEqual([each.a, each.b]);
            expect(hashesOf(body)).toEqual(each.hashes);
          } else if (each.kind === "credit") {
            expect(count).toBe(each.blocks);
          } else if (each.kind === "block") {
            expect([first, second]).toEqual([each.hash, each.sum]);
            expect(Buffer.compare(body, each.bytes)).toBe(0);
          } else if (each.kind === "end") {
            expect(endReasonOf(seen[i]!)).toBe(each.reason);
          }
        }
      }),
    );
  });

  test("of a kind that nobody knows end the stream, and so does a reason", () => {
    const odd = creditFrame(1);
    odd[0] = 77;
    expect(() => read(cut(odd, [5]))).toThrow(PeerWireError);
    const end = endFrame("done");
    end[4] = endReasons.length;
    expect(() => endReasonOf(read([end])[0]!)).toThrow(PeerWireError);
  });

  test("behind a stop are passed over", () => {
    const seen: string[] = [];
    const reader: FrameReader = new FrameReader({
      head: () => 0,
      body: () => {},
      whole: ({ kind }) => {
        seen.push(kind);
        reader.stop();
      },
    });
    reader.push(new Uint8Array(Buffer.concat([waitFrame(), waitFrame()])));
    reader.push(new Uint8Array(HEAD_BYTES));
    expect(seen).toEqual(["wait"]);
  });
});
