import { expect, test } from "bun:test";
import fc from "fast-check";
import { placeOf, workerOf } from "../../../../actors/inspector/page/views/chat/event-place.ts";
import { SseReader } from "../../../../actors/inspector/page/views/chat/sse-reader.ts";
import { workerHint } from "../../../../actors/names/names.ts";

const STREAM =
  ': still here\n\nid: R:1@1ab\ndata: {"a":1}\n\nid: R:2@1ab\r\nevent: note\r\ndata: one\r\n' +
  "data: two\r\n\r\nevent: token_ids\n: [1]\n\nid: R:2fd@1ab\ndata: [DONE]\n\n";

const events = [
  { id: "R:1@1ab", event: "message", data: '{"a":1}' },
  { id: "R:2@1ab", event: "note", data: "one\ntwo" },
  { id: "R:2fd@1ab", event: "message", data: "[DONE]" },
];

test("events are the same wherever the stream is cut", () => {
  const cuts = fc.array(fc.nat(STREAM.length), { maxLength: 12 });
  fc.assert(
    fc.property(cuts, (places) => {
      const reader = new SseReader();
      const at = [0, ...places.toSorted((a, b) => a - b), STREAM.length];
      const pieces = at.slice(1).map((end, i) => STREAM.slice(at[i], end));
      expect(pieces.flatMap((piece) => reader.push(piece))).toEqual(events);
      expect(reader.last_id).toBe("R:2fd@1ab");
    }),
  );
});

test("an event that is not complete is not told", () => {
  const reader = new SseReader();
  expect(reader.push("id: 7\ndata: half")).toEqual([]);
  expect(reader.push("\n")).toEqual([]);
  expect(reader.push("\n")).toEqual([{ id: "7", event: "message", data: "half" }]);
});

test("an event id says how many tokens there are and where they are made", () => {
  const place = { request: "AbC-_9", attempt: 2, hint: "kQ" };
  expect(placeOf("AbC-_9:17@2kQ")).toEqual({ ...place, tokens: 17 });
  expect(placeOf("AbC-_9:17f.0b.3p2ud@2kQ")).toEqual({ ...place, tokens: 20 });
  expect(placeOf("AbC-_9:3.4@2kQ.11-_")).toEqual({ ...place, tokens: 7 });
  expect(placeOf("AbC-_9:0b")).toEqual({ ...place, tokens: 0, attempt: 0, hint: "" });
  for (const other of ["", "17", "no id at all", "R:1@kQ"]) expect(placeOf(other)).toBeUndefined();
});

test("a hint names a worker where one alone fits", () => {
  const names = ["worker-0", "worker-1", "worker-2"];
  for (const name of names) expect(workerOf(workerHint(name), names)).toBe(name);
  expect(workerOf("??", names)).toBeUndefined();
  expect(workerOf(workerHint("worker-0"), ["worker-0", "worker-0"])).toBeUndefined();
});
