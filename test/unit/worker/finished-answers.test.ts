/** What is kept of answers that are over, against a list that is searched. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { LiveAnswer } from "../../../actors/worker/answers/delivery.ts";
import { FinishedAnswers } from "../../../actors/worker/answers/finished.ts";
import { packAnswer, unpackAnswer } from "../../../actors/worker/answers/packing.ts";
import { newTranscript, recordTokens } from "../../../actors/worker/answers/transcript.ts";
import type { Generate } from "../../../proto/index.ts";

const limits = { keep_ms: 50, answers_max: 8, bytes_max: 5 * 800 };

function answerOf(request: string, prompt_bytes: number): LiveAnswer {
  const generate: Generate = {
    ...{ kind: "generate", request, model: "m", prompt: new Uint8Array(prompt_bytes) },
    ...{ sampling: undefined, choices: [], min_tokens: 0, stop_tokens: [], ignore_eos: false },
    ...{ logprobs: -1, deadline_ms: 1_000, window_tokens: 8, alone: false },
    resumable: { answer: `answer ${request}`, attempt: 1, context: new Uint8Array(0) },
  };
  return {
    ...{
      generate,
      transcript: newTranscript([]),
      readers: [],
      lost: undefined,
      arrival: { arrived_ms: 0, transfer_ms: 0, trace: undefined },
      times: undefined,
      began_ms: 1,
      deadline_at_ms: 2,
    },
    ...{ deadline: undefined, grace: undefined, handles: new Map(), queue: undefined },
  };
}

/** What one counts for: 512 bytes and its own. */
const bytesOf = (answer: LiveAnswer): number => 512 + packAnswer(answer).bytes.length;

const step = fc.record({
  request: fc.integer({ min: 0, max: 30 }).map(String),
  takes_out: fc.boolean(),
  prompt_bytes: fc.constantFrom(0, 100, 9_000),
  later_ms: fc.integer({ min: 0, max: 20 }),
});

test("the oldest go first, whatever is taken out in between", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const dropped: string[] = [];
      const over = new FinishedAnswers(limits, (request) => dropped.push(request));
      let kept: { request: string; bytes: number; until_ms: number }[] = [];
      const gone: string[] = [];
      const bytes = () => kept.reduce((sum, each) => sum + each.bytes, 0);
      let now_ms = 0;
      const trim = () => {
        for (;;) {
          const first = kept[0];
          const fits = kept.length <= limits.answers_max && bytes() <= limits.bytes_max;
          if (first === undefined || (fits && first.until_ms > now_ms)) return;
          gone.push(first.request);
          kept.shift();
        }
      };
      for (const { request, takes_out, prompt_bytes, later_ms } of steps) {
        now_ms += later_ms;
        const known = kept.some((each) => each.request === request);
        kept = kept.filter((each) => each.request !== request);
        if (takes_out) {
          expect(over.forget(request)).toBe(known);
          continue;
        }
        const answer = answerOf(request, prompt_bytes);
        over.add(answer, now_ms);
        kept.push({ request, bytes: bytesOf(answer), until_ms: now_ms + limits.keep_ms });
        trim();
        expect(over.count).toBe(kept.length);
        expect(over.bytes).toBe(bytes());
        for (const each of kept) expect(over.has(each.request)).toBe(true);
      }
      trim();
      expect(over.sweep(now_ms)).toBe(kept[0]?.until_ms as number);
      expect(dropped).toEqual(gone);
    }),
  );
});

/** As data alone, bytes of whatever class as lists. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries.map(([key, each]) => [key, plain(each)]));
}

const logprob = (token: number) => ({
  ...{ logprob: -(token % 64) / 8, top_tokens: [token, 7], top_logprobs: [-0.5, -2] },
});

test("an answer comes out of its bytes as it went in", () => {
  const tokens = fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 20 });
  const choice = fc.record({ delivered: tokens, made: tokens });
  fc.assert(
    fc.property(fc.array(choice, { maxLength: 4 }), fc.boolean(), (parts, with_logprobs) => {
      const some = (values: readonly number[]) => (with_logprobs ? values.map(logprob) : []);
      const choices = parts.map(({ delivered }, choice) => ({
        ...{ choice, delivered: new Uint8Array(Uint32Array.from(delivered).buffer) },
        ...{ max_tokens: 64, delivered_logprobs: { items: some(delivered) } },
      }));
      const transcript = newTranscript(choices);
      const before = answerOf("a", 40);
      const live = { ...before, generate: { ...before.generate, choices }, transcript };
      for (const [at, { delivered, made }] of parts.entries()) {
        const each = transcript.choices[at]!;
        recordTokens(each, delivered.length, made, some(made));
        each.finished = {
          ...{ choice: at, reason: "length", stop_token: -1, prompt_tokens: 10, error: "" },
          ...{ cached_tokens: 4, total_tokens: each.tokens.length },
        };
      }
      const after = unpackAnswer(packAnswer(live));
      expect(plain(after.generate)).toEqual(plain(live.generate));
      const same = after.transcript.choices.map((each) => ({ ...each, unwanted: false }));
      expect(plain(same)).toEqual(plain(transcript.choices));
      expect([after.began_ms, after.deadline_at_ms]).toEqual([1, 2]);
    }),
  );
});

test("an answer of any length does", () => {
  const choices = [{ choice: 0, delivered: new Uint8Array(0), max_tokens: 300_000 }];
  const transcript = newTranscript(choices);
  const made = Array.from({ length: 300_000 }, (_, i) => i);
  recordTokens(transcript.choices[0]!, 0, made, []);
  transcript.choices[0]!.finished = {
    ...{ choice: 0, reason: "length", stop_token: -1, prompt_tokens: 10, error: "" },
    ...{ cached_tokens: 4, total_tokens: made.length },
  };
  const before = answerOf("a", 40);
  const live = { ...before, generate: { ...before.generate, choices }, transcript };
  const [choice] = unpackAnswer(packAnswer(live)).transcript.choices;
  expect(choice?.tokens.length).toBe(300_000);
  expect(choice?.tokens.at(-1)).toBe(299_999);
});
