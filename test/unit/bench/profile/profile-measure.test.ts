import { expect, test } from "bun:test";
import type { Answer } from "../../../bench/http-client.ts";
import { curvesOf } from "../../../bench/profile/curves.ts";
import { acceptedIn } from "../../../bench/profile/facts.ts";
import { KnownLengthPrompts, UnknownLengthError } from "../../../bench/profile/known-length.ts";
import { decodeSample, NeverTogetherError } from "../../../bench/profile/measure.ts";
import { progressOn } from "../../../bench/profile/progress.ts";

const answer = (event_ms: readonly number[], over: Partial<Answer> = {}): Answer => ({
  status: 200,
  ttft_ms: event_ms[0] ?? -1,
  total_ms: event_ms.at(-1) ?? 0,
  events: event_ms.length,
  completion_tokens: event_ms.length,
  prompt_tokens: 100,
  cached_tokens: 0,
  event_ms,
  error: "",
  ...over,
});
/** Events `step` ms apart. */
const every = (step: number, from: number, count: number) =>
  Array.from({ length: count }, (_, i) => from + i * step);

test("only the time in which all answers are made counts", () => {
  // The first is slow while the second's prompt is computed, and quick once it is alone.
  const first = [...every(50, 0, 5), ...every(10, 250, 20), ...every(2, 441, 50)];
  const second = every(10, 250, 20);
  const sample = decodeSample([answer(first), answer(second)]);
  expect(sample.itl_ms).toBeCloseTo(10, 6);
  expect(sample.isl).toBe(100);
  // 5 + 9.5 tokens of the first and 9.5 of the second beside their prompts.
  expect(sample.context_tokens).toBeCloseTo(100 + (5 + 9.5 + 9.5) / 2, 6);
});

test("events of several tokens, and answers that never run together", () => {
  const twice = answer(every(20, 0, 10), { completion_tokens: 20 });
  expect(decodeSample([twice]).itl_ms).toBeCloseTo(10, 6);
  const apart = [answer(every(10, 0, 10)), answer(every(10, 500, 10))];
  expect(() => decodeSample(apart)).toThrow(NeverTogetherError);
  expect(() => decodeSample([answer([])])).toThrow("no answer had any text");
});

test("two counts tell what a word and a chat template cost, and later ones correct it", () => {
  const prompts = new KnownLengthPrompts(1, { words: 10, tokens: 25 }, { words: 110, tokens: 175 });
  expect(prompts.tokens_per_word).toBe(1.5);
  expect(prompts.overhead_tokens).toBe(10);
  const words = (text: string) => text.trim().split(" ").length;
  expect(words(prompts.text(1, 310))).toBe(200);
  expect(prompts.text(1, 310)).toStartWith(prompts.text(1, 100));
  expect(prompts.text(1, 310).split(" ")[1]).not.toBe(prompts.text(2, 310).split(" ")[1]);
  prompts.correct(310, 325);
  expect(words(prompts.text(1, 310))).toBe(190);
  expect(words(prompts.text(1, 160))).toBe(100);
  expect(words(prompts.text(1, 3))).toBe(1);
  const silent = { words: 10, tokens: 0 };
  expect(() => new KnownLengthPrompts(1, silent, silent)).toThrow(UnknownLengthError);
});

test("measured points become Dynamo's arrays, in order and by GPU", () => {
  const prefill = [
    { isl: 800, ttft_ms: 80, cached_tokens: 0 },
    { isl: 100, ttft_ms: 10, cached_tokens: 0 },
  ];
  const decode = [
    { isl: 968, in_flight: 1, itl_ms: 8, context_tokens: 1000 },
    { isl: 68, in_flight: 4, itl_ms: 6, context_tokens: 100 },
    { isl: 68, in_flight: 1, itl_ms: 4, context_tokens: 100 },
    { isl: 968, in_flight: 9, itl_ms: 20, context_tokens: 1200 },
  ];
  expect(curvesOf(prefill, decode, 10_000, 64, 2)).toEqual({
    prefill: {
      prefill_isl: [100, 800],
      prefill_ttft: [10, 80],
      prefill_thpt_per_gpu: [5000, 5000],
      prefill_draw_ms: [4, 4 + (4 * 700) / 900],
    },
    decode: {
      max_kv_tokens: [10_000],
      x_kv_usage: [0.01, 0.04, 0.1, 1],
      y_context_length: [100, 100, 1000, 1000],
      z_itl: [4, 6, 8, 20],
      z_thpt_per_gpu: [125, 1000 / 3, 62.5, 225],
    },
  });
  expect(curvesOf([], decode, 10_000, 64, 1).prefill.prefill_isl).toEqual([]);
  expect(curvesOf(prefill, [], 10_000, 64, 1).prefill.prefill_draw_ms).toEqual([0, 0]);
});

test("a bar on a terminal, lines elsewhere", () => {
  const shown = (isTTY: boolean) => {
    let text = "";
    const { show, end } = progressOn({ isTTY, write: (more) => (text += more) });
    show({ phase: "warm-up", done: 1, total: 2, what: "" });
    show({ phase: "prefill", done: 1, total: 2, what: "100 tokens: 3 ms" });
    end();
    return text;
  };
  expect(shown(false)).toBe("prefill 1/2: 100 tokens: 3 ms\n");
  expect(shown(true)).toContain(
    "\r\u001b[K▕████████████            ▏ prefill 1/2  100 tokens: 3 ms",
  );
  expect(shown(true)).toEndWith("\n");
});

test("guessed tokens are counted over the workers of the model; nobody may count them", () => {
  const row = (model: string, worker: string, value: number) =>
    `vllm:spec_decode_num_accepted_tokens_total{model_name="${model}",worker="${worker}"} ${value}`;
  const page = [row("m", "w0", 5), row("other", "w1", 70), row("m", "w2", 1e3), ""].join("\n");
  expect(acceptedIn(page, "m")).toBe(1_005);
  expect(acceptedIn(page, "third")).toBeUndefined();
  expect(acceptedIn("", "m")).toBeUndefined();
  expect(decodeSample([answer(every(10, 0, 9))]).made_tokens).toBe(9);
});
