/** The spans of an answer, out of its steps: they add up, and what is below another says so. */
import { expect, test } from "bun:test";
import { AnswerAccount } from "../../../../actors/frontend/requests/answer-account.ts";
import type { Span } from "../../../../actors/frontend/requests/span.ts";
import type { AnswerStep } from "../../../../actors/stream/stream.ts";

function account() {
  const of = { spans: [] as Span[], workers: [], routes: [], migrations: 0, resumes: 0 };
  const answer = new AnswerAccount(of, 0);
  const steps = (...all: readonly (readonly [at_ms: number, step: AnswerStep])[]) => {
    for (const [at_ms, step] of all) answer.step(step, at_ms);
  };
  const shown = () =>
    of.spans.map(({ name, inside, from_ms, to_ms }) => [name, from_ms, to_ms, inside ?? ""]);
  return { of, steps, shown, end: (at_ms: number) => answer.end(at_ms) };
}

const routing: AnswerStep = { kind: "routing" };
const planned: AnswerStep = { kind: "planned", worker: "w", choices: [] };
const sent = (worker = "w", held = false): AnswerStep => ({ kind: "sent", worker, held });
const first = (transfer_ms: number, queue_ms: number, prefill_ms: number): AnswerStep => ({
  kind: "first",
  times: { transfer_ms, queue_ms, prefill_ms },
});

test("the worker's times are laid backwards from the first token, without a gap", () => {
  const { steps, shown, end } = account();
  steps(
    [10, routing],
    [11, planned],
    [11, sent()],
    [12, { kind: "accepted" }],
    [61, first(0, 20, 25)],
  );
  end(100);
  expect(shown()).toEqual([
    ["route", 10, 11, ""],
    ["queue", 11, 36, ""],
    ["prefill", 36, 61, ""],
    ["decode", 61, 100, ""],
  ]);
});

test("what waits for blocks has a transfer, and who computes them is inside of it", () => {
  const { steps, shown, end } = account();
  const ended = { kind: "prefill_ended", outcome: "finished", times: undefined } as const;
  steps([0, routing], [1, planned], [1, { kind: "prefill_sent", worker: "p" }], [1, sent()]);
  steps([40, ended], [60, first(45, 5, 8)]);
  end(90);
  expect(shown()).toEqual([
    ["route", 0, 1, ""],
    ["prefill", 1, 40, "transfer"],
    ["transfer", 1, 47, ""],
    ["queue", 47, 52, ""],
    ["prefill", 52, 60, ""],
    ["decode", 60, 90, ""],
  ]);
});

test("a worker that says nothing of its times, or more than there was, leaves no gap either", () => {
  for (const times of [undefined, { transfer_ms: 0, queue_ms: 1e6, prefill_ms: 1e6 }]) {
    const { of, steps, end } = account();
    steps([0, sent()], [4, { kind: "accepted" }], [10, { kind: "first", times }]);
    end(12);
    const lengths = of.spans.map(({ from_ms, to_ms }) => to_ms - from_ms);
    expect(lengths.every((ms) => ms >= 0)).toBe(true);
    expect(lengths.reduce((a, b) => a + b)).toBe(12);
  }
});

test("a migration holds the way to the next worker, and the answer goes on behind it", () => {
  const { of, steps, shown, end } = account();
  const moves = { kind: "moves", why: "crashed", worker: "w", tokens: 7 } as const;
  steps([0, sent()], [10, first(0, 0, 10)], [50, moves], [51, routing], [52, planned]);
  steps([52, sent("v")], [70, first(0, 0, 18)]);
  end(100);
  expect(shown()).toEqual([
    ["queue", 0, 0, ""],
    ["prefill", 0, 10, ""],
    ["decode", 10, 50, ""],
    ["migration", 50, 70, ""],
    ["route", 51, 52, "migration"],
    ["queue", 52, 52, "migration"],
    ["prefill", 52, 70, "migration"],
    ["decode", 70, 100, ""],
  ]);
  expect([of.migrations, of.workers]).toEqual([1, ["w", "v"] as never]);
  expect(of.spans[3]!.notes).toEqual({ why: "crashed", from: "w", tokens: 7 });
});

test("an answer that another door began is a resume; a place sought in vain stays inside", () => {
  const { of, steps, shown, end } = account();
  steps([0, sent("w", true)], [5, { kind: "first", times: undefined }], [8, routing]);
  end(20);
  expect(shown()).toEqual([
    ["resume", 0, 5, ""],
    ["decode", 5, 20, ""],
    ["route", 8, 20, "decode"],
  ]);
  expect(of.resumes).toBe(1);
});

test("an answer that never ends its search keeps a bounded account", () => {
  const { of, steps } = account();
  for (let i = 0; i < 1_000; i++) {
    steps([i, routing], [i, planned], [i, sent()]);
    steps([i, { kind: "moves", why: "refused", worker: "w", tokens: 0 }]);
  }
  expect([of.spans.length, of.workers.length]).toEqual([256, 16]);
});
