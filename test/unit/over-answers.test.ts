/** What is kept of answers that are over, against a list that is searched. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { LiveAnswer } from "../../actors/worker/live-answers.ts";
import { OverAnswers } from "../../actors/worker/over-answers.ts";

const limits = { keep_ms: 50, answers_max: 8, bytes_max: 5 * 4_200 };

/** As much of one as is looked at: 4,096 bytes and its prompt. */
function answerOf(request: string, prompt_bytes: number): LiveAnswer {
  const generate = { request, prompt: new Uint8Array(prompt_bytes) };
  return { generate, log: { choices: [] } } as unknown as LiveAnswer;
}

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
      const over = new OverAnswers(limits, ({ generate }) => dropped.push(generate.request));
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
          expect(over.takeOut(request)).toBe(known);
          continue;
        }
        over.add(answerOf(request, prompt_bytes), now_ms);
        kept.push({ request, bytes: 4_096 + prompt_bytes, until_ms: now_ms + limits.keep_ms });
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
