/** Busy thresholds that were set: over the flags, the later one of two, told on as they are. */
import { expect, test } from "bun:test";
import { BusyBook } from "../../../actors/router/policy/busy-book.ts";

test("what was set stands over the flags, by model, and changes only what it names", () => {
  const flags = { active_decode_blocks: 0.9, active_prefill_tokens: 5_000 };
  const book = new BusyBook(() => flags);
  expect(book.of("a")).toBe(flags);
  book.change({ model: "a", decode_blocks: 0.5, set_ms: 0 }, 100);
  const both = book.change({ model: "a", prefill_frac: 2, set_ms: 0 }, 200);
  expect(both).toEqual({ model: "a", decode_blocks: 0.5, prefill_frac: 2, set_ms: 200 });
  expect(book.of("a")).toEqual({
    ...{ active_decode_blocks: 0.5, active_prefill_tokens: 5_000, active_prefill_frac: 2 },
  });
  expect(book.of("b")).toBe(flags);
  expect(book.answer().busy).toEqual([
    { model: "", decode_blocks: 0.9, prefill_tokens: 5_000, set_ms: 0 },
    both,
  ]);
});

test("of what two routers were told the later holds, in whichever order it comes", () => {
  const early = { model: "a", decode_blocks: 0.1, set_ms: 100 };
  const late = { model: "a", decode_blocks: 0.2, set_ms: 200 };
  for (const order of [
    [early, late],
    [late, early],
  ]) {
    const book = new BusyBook();
    for (const busy of order) book.take(busy);
    expect(book.set()).toEqual([late]);
  }
  const book = new BusyBook();
  book.take(late);
  // A clock that was set back.
  expect(book.change({ model: "a", decode_blocks: 0.3, set_ms: 0 }, 50).set_ms).toBe(201);
  expect(book.of("a").active_decode_blocks).toBe(0.3);
});
