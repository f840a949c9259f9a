/** Requests for embeddings that are too large for one message. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { EmbedHandle, EmbedRequest } from "../../../actors/frontend/embedding/embed.ts";
import {
  embedInParts,
  PART_BYTES,
  PART_INPUTS,
  partsOf,
} from "../../../actors/frontend/embedding/embed-parts.ts";
import type { Embeddings, Refused } from "../../../proto/index.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";

const input = (tokens: number) => new Uint32Array(tokens);

test("parts hold all inputs in order, and each fits both ways or is one input", () => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(PART_BYTES / 8)));
  fc.assert(
    fc.property(sizes, fc.constantFrom(4, 4 * 4_096, PART_BYTES), (tokens, vector_bytes) => {
      const inputs = tokens.map(input);
      const parts = partsOf(inputs, () => vector_bytes);
      expect(parts.flat()).toEqual(inputs);
      for (const part of parts) {
        expect(part.length).toBeGreaterThan(0);
        expect(part.length).toBeLessThanOrEqual(PART_INPUTS);
        const asked = part.reduce((sum, each) => sum + each.byteLength, 0);
        const most = Math.max(asked, part.length * vector_bytes);
        expect(part.length === 1 || most <= PART_BYTES).toBe(true);
      }
    }),
  );
});

function world(inputs: number) {
  const clock = new VirtualClock();
  const started: { request: EmbedRequest; end: (answer: Embeddings | Refused) => void }[] = [];
  const abandoned: string[] = [];
  const start = (request: EmbedRequest): EmbedHandle => {
    const { promise, resolve } = Promise.withResolvers<Embeddings | Refused>();
    started.push({ request, end: resolve });
    return { result: promise, abandon: () => void abandoned.push(request.request) };
  };
  const asked: EmbedRequest = {
    ...{ request: "r", model: "m", pool: "vector", deadline_ms: 1_000, pin: "" },
    inputs: Array.from({ length: inputs }, (_, i) => Uint32Array.of(i)),
  };
  const handle = embedInParts(start, asked, () => 16, clock, undefined);
  const finish = (at: number) => {
    const { request, end } = started[at]!;
    const items = request.inputs.map(([token = 0]) => ({
      values: new Uint8Array(4).fill(token),
      prompt_tokens: token,
    }));
    end({ kind: "embeddings", request: request.request, items });
  };
  return { clock, started, abandoned, handle, finish };
}

const refusal = { kind: "refused", request: "x", code: "overloaded", message: "no" } as const;

test("a small request goes as it is", async () => {
  const { started, handle, finish } = world(3);
  expect(started.map(({ request }) => request.request)).toEqual(["r"]);
  finish(0);
  expect(await handle.result).toMatchObject({ kind: "embeddings", items: { length: 3 } });
});

test("a large one comes together in order, some parts at a time, within its time", async () => {
  const { clock, started, handle, finish } = world(2_048);
  expect(started.length).toBe(16);
  await clock.advance(300);
  for (let left = 32; left > 0; left--) {
    finish(32 - left);
    await clock.advance(0);
  }
  expect(started.length).toBe(32);
  expect(started.map(({ request }) => request.request)).toEqual(
    Array.from({ length: 32 }, (_, i) => `r-${i}`),
  );
  expect([started[0]!.request.deadline_ms, started[31]!.request.deadline_ms]).toEqual([1_000, 700]);
  const answer = await handle.result;
  if (answer.kind !== "embeddings") throw new Error(answer.message);
  expect(answer.items.map(({ prompt_tokens }) => prompt_tokens)).toEqual(
    Array.from({ length: 2_048 }, (_, i) => i),
  );
});

test("parts on their way are few where each has many bytes", () => {
  const started: number[] = [];
  const start = () => {
    started.push(1);
    return { result: new Promise<never>(() => {}), abandon: () => {} };
  };
  const inputs = Array.from({ length: 12 }, () => new Uint32Array(PART_BYTES / 4));
  const request = {
    request: "r",
    model: "m",
    pool: "vector",
    deadline_ms: 1_000,
    pin: "",
  } as const;
  embedInParts(start, { ...request, inputs }, () => 4, new VirtualClock(), undefined);
  expect(started.length).toBe(4);
});

test("one part that fails is the answer, and the others are given up", async () => {
  const { clock, started, abandoned, handle, finish } = world(2_048);
  finish(0);
  started[3]!.end({ ...refusal, retry_after_ms: 0 });
  await clock.advance(0);
  for (let at = 1; at < started.length; at++) if (at !== 3) finish(at);
  expect(await handle.result).toMatchObject({ code: "overloaded" });
  expect(abandoned.length).toBe(started.length - 2);
  expect(started.length).toBeLessThan(20);
});

test("a client that leaves gives up all of them, and nothing more is begun", async () => {
  const { started, abandoned, handle, finish } = world(2_048);
  handle.abandon("gone");
  expect(abandoned.length).toBe(16);
  for (let at = 0; at < 16; at++) finish(at);
  expect(await handle.result).toMatchObject({ kind: "refused", code: "cancelled" });
  expect(started.length).toBe(16);
});
