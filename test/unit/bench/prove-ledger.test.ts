/** The checker of the fault wall has to see what it is there to see. */
import { expect, test } from "bun:test";
import type { FlockOutcome } from "../../fault/wall/flock.ts";
import {
  type Ledger,
  newLedger,
  requestOf,
  takeEvent,
  takeEventOf,
} from "../../fault/wall/ledger.ts";
import { tally } from "../../fault/wall/tally.ts";

const words = ["one ", "two ", "three "];
const expected = words.join("");

const piece = (text: string, logprobs?: number) =>
  JSON.stringify({
    choices: [
      {
        index: 0,
        delta: { content: text },
        finish_reason: null,
        logprobs: logprobs === undefined ? null : { content: Array(logprobs).fill({}) },
      },
    ],
  });
const end = '{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}';
const usage = '{"choices":[],"usage":{"completion_tokens":3}}';

/** `[cursor, text]` each; then the proper end. */
function ledgerOf(events: readonly (readonly [cursor: number, text: string])[]): Ledger {
  const ledger = newLedger(1);
  events.forEach(([cursor, text], i) => {
    takeEvent(ledger, `r-1:${cursor}`, piece(text), 10 * i);
  });
  const last = events.at(-1)?.[0] ?? 0;
  for (const data of [end, usage, "[DONE]"]) takeEvent(ledger, `r-1:${last}`, data, 100);
  return ledger;
}

const outcome = (ledger: Ledger, state: FlockOutcome["state"] = "complete"): FlockOutcome => ({
  ledger,
  state,
  status: 0,
  why: "",
  sent_ms: 0,
  ended_ms: 100,
  resumed: 0,
  retried: 0,
  wish: { prompt: "", seed: 0, tokens: 3, choices: 1 },
});

const count = (outcomes: readonly FlockOutcome[], errors_allowed = false) =>
  tally(outcomes, { expected: async () => [expected], errors_allowed, bytes_may_differ: false });

const whole = [
  [1, "one "],
  [2, "two "],
  [3, "three "],
] as const;

test("an answer that came once and whole is complete and nothing else", async () => {
  const { complete, lost, duplicated, hung, wrong } = await count([outcome(ledgerOf(whole))]);
  expect([complete, lost, duplicated, hung, wrong]).toEqual([1, 0, 0, 0, 0]);
});

test("a token that comes twice is twice, and its bytes are wrong", async () => {
  const twice = ledgerOf([whole[0], whole[1], whole[1], whole[2]]);
  const { duplicated, wrong } = await count([outcome(twice)]);
  expect([duplicated, wrong]).toEqual([1, 1]);
});

test("a token that is missing makes the bytes wrong", async () => {
  expect((await count([outcome(ledgerOf([whole[0], whole[2]]))])).wrong).toBe(1);
});

test("an answer that ends early is wrong although the server calls it done", async () => {
  expect((await count([outcome(ledgerOf([whole[0], whole[1]]))])).wrong).toBe(1);
});

test("half an answer that ends with [DONE] is lost, where texts are not known too", async () => {
  const half = newLedger(1);
  takeEvent(half, "", piece("one "), 0);
  takeEvent(half, "", "[DONE]", 1);
  const rules = { expected: undefined, errors_allowed: false, bytes_may_differ: true };
  expect(await tally([outcome(half)], rules)).toMatchObject({ complete: 0, lost: 1 });
});

test("where texts are not known, cursors and logprobs are counted against each other", () => {
  const ledger = newLedger(1);
  takeEvent(ledger, "r:2", piece("one two ", 2), 0);
  expect([ledger.skipped, ledger.duplicated]).toEqual([0, 0]);
  takeEvent(ledger, "r:4", piece("four ", 1), 0);
  expect([ledger.skipped, ledger.duplicated]).toEqual([1, 0]);
  takeEvent(ledger, "r:4", piece("four ", 1), 0);
  expect([ledger.skipped, ledger.duplicated]).toEqual([1, 1]);
});

test("tokens without content, as those of reasoning, move the cursor too", () => {
  const ledger = newLedger(1);
  takeEvent(ledger, "r:1", piece("one ", 1), 0);
  takeEvent(ledger, "r:3", piece("", 2), 0);
  takeEvent(ledger, "r:4", piece("four ", 1), 0);
  expect([ledger.skipped, ledger.duplicated]).toEqual([0, 0]);
  takeEvent(ledger, "r:6", piece("", 1), 0);
  expect([ledger.skipped, ledger.duplicated]).toEqual([1, 0]);
});

test("what ends otherwise is lost, or a clean error where no more was promised", async () => {
  const begun = () => {
    const ledger = newLedger(1);
    takeEvent(ledger, "r:1", piece("one "), 0);
    return ledger;
  };
  const three = () => [
    outcome(begun(), "failed"),
    outcome(begun(), "broken"),
    outcome(begun(), "hung"),
  ];
  expect(await count(three())).toMatchObject({ lost: 2, clean_errors: 0, hung: 1, wrong: 0 });
  expect(await count(three(), true)).toMatchObject({ lost: 0, clean_errors: 2, hung: 1 });
});

test("wrong bytes count also in an answer that failed", async () => {
  const ledger = newLedger(1);
  takeEvent(ledger, "r:1", piece("another word"), 0);
  expect((await count([outcome(ledger, "failed")], true)).wrong).toBe(1);
});

test("the longest gap is between two tokens of one answer", () => {
  const ledger = newLedger(1);
  for (const [i, at_ms] of [5, 10, 250, 260].entries()) {
    takeEvent(ledger, `r:${i + 1}`, piece("x "), at_ms);
  }
  const { first_ms, gap_ms, gap_at_ms } = ledger;
  expect([first_ms, gap_ms, gap_at_ms]).toEqual([5, 240, 250]);
});

test("the server's error ends the ledger with its words, and an id names its request", () => {
  const ledger = newLedger(1);
  takeEvent(ledger, "a:b:7", '{"error":{"message":"gone","code":"worker_lost"}}', 0);
  expect([ledger.error, ledger.done]).toEqual(["worker_lost: gone", false]);
  expect(requestOf(ledger.last_id)).toBe("a:b");
  takeEvent(ledger, "a:9u@1kQ", piece("x "), 0);
  expect(ledger.choices[0]?.delivered).toBe(9);
});

test("it is noted where an answer went on at another worker", () => {
  const ledger = newLedger(1);
  for (const [at, id] of ["r:1@1aa", "r:2@1aa", "r:3@2bb", "r:4@2bb", "r:5@3aa"].entries()) {
    takeEvent(ledger, id, piece("x "), at);
  }
  expect(ledger.moved_after).toEqual([2, 4]);
});

/** Events of /v1/responses: a delta for each number, then its end. */
function responseLedger(numbers: readonly number[]): Ledger {
  const ledger = newLedger(1);
  const take = (event: object, id = "") =>
    takeEventOf("/v1/responses", ledger, id, JSON.stringify(event), 0);
  const created = { type: "response.created", sequence_number: 0, response: { id: "resp_1" } };
  take(created, "1:0");
  for (const number of numbers) {
    const delta = words[number - 1];
    take({ type: "response.output_text.delta", sequence_number: number, delta }, `1:${number}`);
  }
  const output = [{ content: [{ text: expected }] }];
  const response = { status: "incomplete", output, usage: { output_tokens: 3 }, error: null };
  const sequence_number = 1 + (numbers.at(-1) ?? 0);
  take({ type: "response.incomplete", sequence_number, response }, "1:3");
  return ledger;
}

test("events of a response are counted by their numbers, and its end says its text again", () => {
  const good = responseLedger([1, 2, 3]);
  expect(good).toMatchObject({ duplicated: 0, skipped: 0, done: true, response: "resp_1" });
  expect(good.choices[0]).toMatchObject({ text: expected, finish: "length" });
  expect(good.error).toBeUndefined();
  expect(responseLedger([1, 3])).toMatchObject({ skipped: 1, error: expect.any(String) });
  expect(responseLedger([1, 2, 2, 3]).duplicated).toBeGreaterThan(0);
});

test("an answer that is held to a form has to parse", async () => {
  const wish = { prompt: "", seed: 0, tokens: 3, choices: 1, json: true };
  const ledger = ledgerOf(whole);
  const { wrong, why } = await count([{ ...outcome(ledger), wish }]);
  expect([wrong, Object.keys(why)]).toEqual([1, ["a form that is not complete: length"]]);
  ledger.choices[0]!.finish = "stop";
  const { why: other } = await count([{ ...outcome(ledger), wish }]);
  expect(Object.keys(other)).toEqual(["an answer that does not parse"]);
});
