/** Answers without chance: one is made, all that were asked for are shown and counted. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { CollectedOutput } from "../../../actors/frontend/answer/collected-output.ts";
import { madeCounts, withCopies } from "../../../actors/frontend/answer/equal-answers.ts";
import type { AnswerOutput } from "../../../actors/frontend/answer/request-run.ts";
import { completions } from "../../../actors/frontend/api/completions/completions.ts";
import type { Generation } from "../../../actors/frontend/api/dialect.ts";
import { fakeModel } from "../../support/worlds/frontend-fakes.ts";
import { answerRequest } from "../../support/worlds/recorded-answer.ts";

const head = {
  ...{ id: "r", created_s: 7, model: "toy", prompt_tokens: 1, context_length: 1_000 },
  ...{ include_usage: false, logprobs: false },
};

function generation(prompts: number, more: Partial<Generation>): Generation {
  return {
    dialect: completions,
    model: fakeModel(),
    answers: Array.from({ length: prompts }, (_, i) => answerRequest(`r-${i}`, { choices: 1 })),
    ...{ shown_each: 1, made_each: 1, counted_each: 1, echo: undefined },
    ...{ stream: false, include_usage: false, logprobs: false },
    ...more,
  };
}

function play(output: AnswerOutput, prompts: number): void {
  for (let choice = 0; choice < prompts; choice += 1) {
    output.piece(choice, {
      kind: "content",
      choice: 0,
      text: `answer ${choice}`,
      tokens: [1],
      delivered: 1,
    });
    output.end(choice, { choice: 0, reason: "stop" });
  }
  output.done({ prompt_tokens: 4, completion_tokens: prompts, cached_tokens: 0 });
}

test("each answer that is made is shown as often as was asked for, in the order of prompts", async () => {
  const made = generation(2, { shown_each: 2, counted_each: 3 });
  const collected = new CollectedOutput(made, head);
  play(withCopies(made, collected), 2);
  const { choices, usage } = JSON.parse(await collected.json);
  expect(choices.map(({ index, text }: { index: number; text: string }) => [index, text])).toEqual([
    [0, "answer 0"],
    [1, "answer 0"],
    [2, "answer 1"],
    [3, "answer 1"],
  ]);
  // Three of each prompt were asked for, though one was made: best_of counts them all.
  expect(usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 6, total_tokens: 10 });
});

test("where every shown answer is made nothing stands in between", () => {
  const made = generation(1, { shown_each: 2, made_each: 2, counted_each: 2 });
  const output = new CollectedOutput(made, head);
  expect(withCopies(made, output)).toBe(output);
  const best = generation(1, { shown_each: 2, made_each: 5, counted_each: 5 });
  expect(withCopies(best, output)).toBe(output);
});

test("an output that has enough from one copy holds the answer back", () => {
  const full = new Set([1]);
  const seen: number[] = [];
  const output = {
    piece: (choice: number) => {
      seen.push(choice);
      return !full.has(choice);
    },
    ...{ end: () => {}, done: () => {}, failed: () => {}, abandoned: () => {} },
  } satisfies AnswerOutput;
  const copies = withCopies(generation(1, { shown_each: 3, counted_each: 3 }), output);
  const piece = { kind: "content" as const, choice: 0, text: "a", tokens: [1], delivered: 1 };
  expect(copies.piece(0, piece)).toBe(false);
  expect(seen).toEqual([0, 1, 2]);
  full.clear();
  expect(copies.piece(0, piece)).toBe(true);
});

test("a client that has parts of the copies has as much of the answer as of the longest", () => {
  const counts = { made_each: 1, shown_each: 3, counted_each: 3 };
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat())), (prompts) => {
      expect(madeCounts(counts, prompts.flat())).toEqual(prompts.map((each) => Math.max(...each)));
    }),
  );
  expect(madeCounts({ made_each: 2, shown_each: 2, counted_each: 2 }, [3, 1])).toEqual([3, 1]);
});
