/** A worker tells once how long a request took until its first token, and a collector its spans. */
import { expect, test } from "bun:test";
import { answerSpans } from "../../../actors/worker/answers/answer-spans.ts";
import type { LiveAnswer } from "../../../actors/worker/answers/delivery.ts";
import { newTranscript, recordTokens } from "../../../actors/worker/answers/transcript.ts";
import { workerAlone } from "../../support/worlds/worker-alone.ts";

test("times come with the first tokens alone, and what was held up counts as queue", async () => {
  const state = { stuck: false };
  const alone = await workerAlone({ step_ms: 50, isStuck: () => state.stuck });
  const { clock, ask, generate, batches, close } = alone;
  state.stuck = true;
  // The second one waits outside of the engine for the first one's token.
  const asked = [generate("a", { alone: true }), generate("b", { alone: true })].map(ask);
  await clock.advance(700);
  state.stuck = false;
  await clock.advance(3_000);
  await Promise.all(asked);
  const of = (name: string) => batches().filter(({ request }) => request === name);
  expect(of("a").length).toBeGreaterThan(1);
  const [first, ...later] = of("a");
  expect(first?.times).toMatchObject({ transfer_ms: 0 });
  expect(later.every(({ times }) => times === undefined)).toBe(true);
  const held = of("b")[0]?.times;
  expect(held?.queue_ms).toBeGreaterThanOrEqual(700);
  expect(held?.prefill_ms).toBeLessThan(200);
  await close();
});

test("spans lie below the frontend's, one after the other, without a gap", () => {
  const start = { choice: 0, delivered: new Uint8Array(0), max_tokens: 9 };
  const transcript = newTranscript([start]);
  recordTokens(transcript.choices[0]!, 0, [1, 2, 3], []);
  const trace = { trace_id: "1".repeat(32), span_id: "2".repeat(16), flags: 1 };
  const answer = {
    ...{ generate: { request: "r", model: "m" }, transcript },
    arrival: { arrived_ms: 100, transfer_ms: 5, trace },
    times: { transfer_ms: 5, queue_ms: 10, prefill_ms: 20 },
  } as unknown as LiveAnswer;
  let ids = 0;
  const spans = answerSpans(answer, "w0", { now_ms: 200, zero_ms: 1_000 }, () => `s${ids++}`);
  const [whole, ...steps] = spans;
  expect(whole).toMatchObject({
    ...{ name: "generate", kind: "server", parent_id: "2".repeat(16), start_ms: 1_100 },
    attributes: { "gen_ai.usage.output_tokens": 3, "troupe.worker": "w0" },
  });
  expect(steps.map(({ name, start_ms, end_ms }) => [name, start_ms, end_ms])).toEqual([
    ["transfer", 1_100, 1_105],
    ["queue", 1_105, 1_115],
    ["prefill", 1_115, 1_135],
    ["decode", 1_135, 1_200],
  ]);
  expect(steps.every(({ parent_id }) => parent_id === whole?.span_id)).toBe(true);
  expect(new Set(spans.map(({ span_id }) => span_id)).size).toBe(5);
});
