import { expect, test } from "bun:test";
import {
  type Answer,
  newAnswer,
  SEAM_MARK,
  tokensPerSecond,
  ttftOf,
  withEvent,
} from "../../../../actors/inspector/page/views/chat/answer.ts";

const chunk = (id: string, body: object, event = "message") => ({
  ...{ id, event },
  data: JSON.stringify(body),
});
const delta = (id: string, fields: object) => chunk(id, { choices: [{ index: 0, delta: fields }] });
const done = (id: string) => ({ id, event: "message", data: "[DONE]" });

/** Each event comes 10 ms after the one before. */
const after = (events: readonly ReturnType<typeof chunk>[]): Answer =>
  events.reduce((answer, event, at) => withEvent(answer, event, 110 + at * 10), newAnswer(100));

test("an answer on one worker has no seam, and its figures", () => {
  const answer = after([
    delta("R:1@1ab", { role: "assistant", content: "One" }),
    delta("R:2@1ab", { content: " two" }),
    delta("R:3@1ab", { content: " three" }),
    chunk("R:3f@1ab", {
      choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
      nvext: {
        worker_id: { decode_worker_id: "worker-1", prefill_worker_id: "worker-0" },
        timing: { ttft_ms: 9, itl_ms: 8 },
      },
    }),
    chunk("R:3fu@1ab", {
      choices: [],
      usage: {
        ...{ prompt_tokens: 20, completion_tokens: 3 },
        prompt_tokens_details: { cached_tokens: 16 },
      },
    }),
    done("R:3fud@1ab"),
  ]);
  expect(answer.state).toBe("done");
  expect(answer.content).toBe("One two three");
  expect(answer.seams).toEqual([]);
  expect(answer.request).toBe("R");
  expect(answer.finish_reason).toBe("stop");
  expect([answer.worker, answer.prefill_worker]).toEqual(["worker-1", "worker-0"]);
  expect(answer.usage).toEqual({
    ...{ prompt_tokens: 20, completion_tokens: 3, cached_tokens: 16, reasoning_tokens: 0 },
  });
  expect(ttftOf(answer)).toBe(10);
  // Three tokens, 20 ms from the first to the last: the end brought none.
  expect(tokensPerSecond(answer)).toBe(100);
  // In one burst: the server knows better than the page.
  expect(tokensPerSecond({ ...answer, last_ms: (answer.first_ms ?? 0) + 1 })).toBe(125);
});

test("a migration is marked between the tokens of the two workers", () => {
  const answer = after([
    delta("R:1@1ab", { content: "One" }),
    delta("R:2@1ab", { content: " two" }),
    delta("R:3@2cd", { content: " three" }),
    delta("R:4@2cd", { content: " four" }),
    chunk("R:4f@2cd", { choices: [{ index: 0, delta: {}, finish_reason: "length" }] }),
  ]);
  expect(answer.content).toBe(`One two${SEAM_MARK} three four`);
  expect(answer.seams).toEqual([{ into: "content", from_hint: "ab", to_hint: "cd", tokens: 2 }]);
  expect(answer.hint).toBe("cd");
});

test("a worker that came back under its name is another attempt, and a seam", () => {
  const answer = after([delta("R:1@1ab", { content: "a" }), delta("R:2@2ab", { content: "b" })]);
  expect(answer.content).toBe(`a${SEAM_MARK}b`);
});

test("an attempt that made no token leaves no seam", () => {
  const answer = after([delta("R:0b@1ab", { content: "" }), delta("R:1@2cd", { content: "a" })]);
  expect(answer.seams).toEqual([]);
  expect(answer.content).toBe("a");
});

test("reasoning and calls have their own seams", () => {
  const call = { index: 0, id: "c", function: { name: "get", arguments: '{"a"' } };
  const answer = after([
    delta("R:1@1ab", { reasoning_content: "Hm" }),
    delta("R:2@2cd", { reasoning_content: "!" }),
    delta("R:3@2cd", { tool_calls: [call] }),
    delta("R:4@3ef", { tool_calls: [{ index: 0, function: { arguments: ":1}" } }] }),
  ]);
  expect(answer.reasoning).toBe(`Hm${SEAM_MARK}!`);
  expect(answer.calls).toEqual([{ id: "c", name: "get", arguments: '{"a":1}' }]);
  expect(answer.seams.map(({ into }) => into)).toEqual(["reasoning", "calls"]);
});

test("a model cannot write a seam", () => {
  const answer = after([delta("R:1@1ab", { content: `x${SEAM_MARK}y` })]);
  expect(answer.content).toBe("x\uFFFDy");
});

test("an error ends the answer, and nothing comes behind it", () => {
  const answer = after([
    delta("R:1@1ab", { content: "a" }),
    chunk("R:1@1ab", { error: { message: "The worker was lost.", code: "worker_lost" } }),
    delta("R:2@1ab", { content: "b" }),
  ]);
  expect(answer.state).toBe("failed");
  expect(answer.error).toBe("The worker was lost. (worker_lost)");
  expect(answer.content).toBe("a");
});

test("what is no chunk is passed over", () => {
  const answer = after([
    { id: "", event: "message", data: "not JSON" },
    delta("R:1", { content: "a" }),
  ]);
  expect(answer.content).toBe("a");
});
