import { expect, test } from "bun:test";
import fc from "fast-check";
import { keyedId } from "../../../actors/frontend/resume/idempotency.ts";
import {
  choiceText,
  isRequestId,
  newRequestId,
  parseEventId,
  placesText,
} from "../../../actors/frontend/resume/stream-id.ts";
import { workerHint } from "../../../actors/names/names.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";

test("what is written is read again", () => {
  const choice = fc.record({
    ...{ delivered: fc.nat(1_000_000), ended: fc.boolean() },
    parts: fc.nat(9_999),
  });
  const place = fc.record({ attempt: fc.integer({ min: 1, max: 99 }), worker: fc.string() });
  fc.assert(
    fc.property(
      fc.array(choice, { minLength: 1, maxLength: 8 }),
      fc.array(place, { maxLength: 8 }),
      fc.boolean(),
      fc.boolean(),
      fc.integer(),
      (counts, where, usage_told, done, seed) => {
        const request = newRequestId(new SeededRandom(seed));
        const choices = counts.map(({ delivered, ended, parts }) => ({
          ...{ delivered, ended },
          begun: delivered > 0 || ended,
          parts: ended ? 0 : parts,
        }));
        const places = where.map(({ attempt, worker }) => ({
          attempt,
          worker_hint: workerHint(worker),
        }));
        const text =
          choices.map(choiceText).join(".") + (usage_told ? "u" : "") + (done ? "d" : "");
        const id = `${request}:${text}${placesText(places)}`;
        expect(parseEventId(id)).toEqual({ request, choices, usage_told, done, places });
        expect(isRequestId(request)).toBe(true);
      },
    ),
  );
});

test("a choice that has begun without a token is told apart", () => {
  const begun = { delivered: 0, begun: true, ended: false, parts: 0 };
  expect(choiceText(begun)).toBe("0b");
  expect(choiceText({ ...begun, parts: 2 })).toBe("0bp2");
  expect(parseEventId("r:0bp2.0p1")?.choices).toEqual([
    { ...begun, parts: 2 },
    { ...begun, begun: false, parts: 1 },
  ]);
  expect(parseEventId("r:0b.0")?.choices).toEqual([begun, { ...begun, begun: false }]);
});

test("where one place is not known, none is told", () => {
  expect(placesText([])).toBe("");
  expect(placesText([{ attempt: 1, worker_hint: "ab" }, undefined])).toBe("");
  expect(placesText([{ attempt: 12, worker_hint: "3b" }])).toBe("@123b");
});

test("what is no id of ours is refused, whatever it is", () => {
  for (const odd of [
    "",
    "r",
    "r:",
    ":1",
    "r:x",
    "r:1.",
    "r:.1",
    "r:1@",
    "r:1@1a",
    "r:1 ",
    "r:-1",
    "r:1p",
    "r:1pf",
    "r:1fp1",
    "r:p1",
  ]) {
    expect(parseEventId(odd)).toBeUndefined();
  }
  fc.assert(fc.property(fc.string(), (text) => void parseEventId(text)));
  fc.assert(fc.property(fc.string(), (text) => void parseEventId(`r:${text}`)));
});

test("an id is known by itself to be one", () => {
  const random = new SeededRandom(2);
  let passed = 0;
  for (let i = 0; i < 5_000; i += 1) {
    const id = newRequestId(random);
    expect(isRequestId(id)).toBe(true);
    expect(id).toHaveLength(22);
    const at = i % 22;
    const letter = id[at] === "Q" ? "A" : "Q";
    if (isRequestId(id.slice(0, at) + letter + id.slice(at + 1))) passed += 1;
    const guess = Buffer.from(Array.from({ length: 16 }, () => random.u32() & 255));
    if (isRequestId(guess.toString("base64url"))) passed += 1;
  }
  expect(passed).toBe(0);
  for (const odd of ["", "r", "A".repeat(22), "A".repeat(21), `${newRequestId(random)}A`]) {
    expect([odd, isRequestId(odd)]).toEqual([odd, false]);
  }
  expect(isRequestId(keyedId("anna", "k"))).toBe(true);
});

test("ids do not repeat, hints spread", () => {
  const random = new SeededRandom(1);
  expect(new Set(Array.from({ length: 1_000 }, () => newRequestId(random))).size).toBe(1_000);
  const hints = new Set(Array.from({ length: 1_000 }, (_, i) => workerHint(`worker-${i}`)));
  expect(hints.size).toBeGreaterThan(800);
});
