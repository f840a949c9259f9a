/** From a checked body to the answers that are started: limits, defaults, batches. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ApiError } from "../../../actors/frontend/api/api-error.ts";
import { prepareChat } from "../../../actors/frontend/api/chat/chat.ts";
import { chatFields, chatShape } from "../../../actors/frontend/api/chat/chat-fields.ts";
import { checkNames, checkShape } from "../../../actors/frontend/api/check-body.ts";
import {
  completionFields,
  completionShape,
} from "../../../actors/frontend/api/completions/completion-fields.ts";
import { prepareCompletion } from "../../../actors/frontend/api/completions/completions.ts";
import type { Generation } from "../../../actors/frontend/api/dialect.ts";
import type { ServedModel } from "../../../actors/frontend/frontend.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { byteTokenizer, fakeModel } from "../../support/worlds/frontend-fakes.ts";

const ctx = () => ({
  random: new SeededRandom(1),
  request: "r1",
  deadline_ms: 1000,
  pin: "",
  default_max_tokens: 500,
  timed: { begin: () => {}, end: () => {} },
});

function chat(more: object, model: ServedModel = fakeModel()): Generation {
  const body = { model: "toy", messages: [{ role: "user", content: "hi" }], ...more };
  checkNames(body, chatFields, "refuse");
  return prepareChat(checkShape(body, chatShape), model, ctx());
}

function completion(more: object, model: ServedModel = fakeModel()): Generation {
  const body = { model: "toy", prompt: "hi", ...more };
  checkNames(body, completionFields, "refuse");
  return prepareCompletion(checkShape(body, completionShape), model, ctx());
}

/** [code, param] of the refusal; fails when there is none. */
function refusal(run: () => unknown): readonly [string, string | null] {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError) {
      expect(error.status).toBe(400);
      return [error.code, error.param];
    }
    throw error;
  }
  throw new Error("it was not refused");
}

const only = (generation: Generation) => {
  const [answer, ...rest] = generation.answers;
  if (answer === undefined || rest.length > 0) throw new Error("not exactly one answer");
  return answer;
};

/** [field, allowed values, refused values]: Dynamo's protocols/openai/validate.rs. */
const limits: readonly (readonly [string, readonly unknown[], readonly unknown[]])[] = [
  ["temperature", [0, 2, 0.7, null], [-0.1, 2.1, "1", true]],
  ["top_p", [0, 1, null], [-0.1, 1.1, "x"]],
  ["top_k", [-1, 0, 50], [-2, 1.5]],
  ["min_p", [0, 1], [-0.1, 1.1]],
  ["typical_p", [0.1, 1], [0, 1.1]],
  ["frequency_penalty", [-2, 2], [-2.1, 2.1]],
  ["presence_penalty", [-2, 2], [-2.1, 2.1]],
  ["repetition_penalty", [0.01, 2], [0, 2.1, -1]],
  ["logit_bias", [{ 5: 100, 6: -100 }, {}], [{ 5: 101 }, { x: 1 }, { 258: 1 }, [1], { "-1": 0 }]],
  ["n", [1, 128], [0, 129, 1.5, -1]],
  [
    "stop",
    ["x", ["a", "b"], [5], Array(32).fill("s"), [], "", [""], "x".repeat(4096)],
    [Array(33).fill("s"), 5, [-1], "x".repeat(4097), ["x".repeat(4097)]],
  ],
  ["stop_token_ids", [[1, 2], []], [[-1], [1.5], [258], ["a"], 5]],
  ["seed", [0, -1, 2 ** 62, null], [1.5, 1e300, "7"]],
  ["user", ["me", null], ["", "   ", 5]],
  ["min_tokens", [0, 5], [-1, 501, 1e12]],
  ["ignore_eos", [true, false, null], ["yes", 1]],
  ["stream_options", [null], [{ include_usage: true }, 5]],
];

for (const [field, allowed, refused] of limits) {
  test(`limits of ${field}`, () => {
    for (const value of allowed) expect(chat({ [field]: value }).answers.length).toBe(1);
    for (const value of refused) {
      expect(refusal(() => chat({ [field]: value }))[1]).toStartWith(field);
      expect(refusal(() => completion({ max_tokens: 500, [field]: value }))[1]).toStartWith(field);
    }
  });
}

test("limits of logprobs", () => {
  expect(only(chat({})).logprobs).toBe(-1);
  expect(only(chat({ logprobs: true })).logprobs).toBe(0);
  expect(only(chat({ logprobs: true, top_logprobs: 20 })).logprobs).toBe(20);
  expect(refusal(() => chat({ logprobs: true, top_logprobs: 21 }))[1]).toBe("top_logprobs");
  expect(refusal(() => chat({ top_logprobs: 2 }))[1]).toBe("top_logprobs");
  expect(only(completion({ logprobs: 5 })).logprobs).toBe(5);
  expect(refusal(() => completion({ logprobs: 6 }))[1]).toBe("logprobs");
});

test("a suffix stands behind its prompt, between the model's marks", () => {
  const special = { ...byteTokenizer.special, fim_pre: 250, fim_suf: 251, fim_mid: 252 };
  const model = fakeModel({}, { tokenizer: { ...byteTokenizer, special, add_bos: false } });
  const promptsOf = (more: object) =>
    completion(more, model).answers.map(({ prompt }) => [...prompt]);
  const [a, b, c] = [97, 98, 99];
  expect(promptsOf({ prompt: "ab", suffix: "c" })).toEqual([[250, a, b, 251, c, 252]]);
  expect(promptsOf({ prompt: [[a], [b]], suffix: "c" })).toEqual([
    [250, a, 251, c, 252],
    [250, b, 251, c, 252],
  ]);
  expect(promptsOf({ prompt: "", suffix: "c" })).toEqual([[250, 251, c, 252]]);
  expect(promptsOf({ prompt: "ab", suffix: "" })).toEqual([[256, a, b]]);
  const gap = { prompt: "ab", suffix: "c" };
  expect(refusal(() => completion(gap))[1]).toBe("suffix");
  expect(refusal(() => completion({ ...gap, echo: true }, model))[1]).toBe("suffix");
  expect(refusal(() => completion({ ...gap, prompt_logprobs: 1 }, model))[1]).toBe("suffix");
});

test("scores: the engine tells as many of the likeliest as any place shows", () => {
  const scored = (more: object) => {
    const { answers, scoring } = completion({ prompt: ["ab", "c"], ...more });
    const [{ logprobs, scored_choices }] = answers as [(typeof answers)[0]];
    return [logprobs, scored_choices, scoring?.prompts.map(({ count }) => count)];
  };
  const counts = completion({ prompt: ["ab", "c"] }).answers.map(({ prompt }) => prompt.length - 1);
  expect(scored({ echo: true })).toEqual([-1, undefined, undefined]);
  expect(scored({ logprobs: 1 })).toEqual([1, undefined, undefined]);
  expect(scored({ echo: true, logprobs: 1 })).toEqual([1, 1, counts]);
  expect(scored({ prompt_logprobs: 7 })).toEqual([7, 1, counts]);
  expect(scored({ prompt_logprobs: 0 })).toEqual([0, 1, counts]);
  expect(scored({ logprobs: 3, prompt_logprobs: 2, max_tokens: 0 })).toEqual([3, 1, counts]);
  // Streamed choices cannot wait for each other; one alone is made without a temperature.
  const streamed = { echo: true, logprobs: 1, stream: true, n: 3 };
  expect(scored({ ...streamed, temperature: 1 })).toEqual([1, 3, counts]);
  expect(scored({ ...streamed, temperature: 0 })).toEqual([1, 1, counts]);
  expect(scored({ ...streamed, temperature: 1, stream: false })).toEqual([1, 1, counts]);
});

test("without a temperature, also by the model's default, one of several answers is made", () => {
  const counts = (generation: Generation) => {
    const { made_each, shown_each, counted_each } = generation;
    return [only(generation).choices, made_each, shown_each, counted_each];
  };
  expect(counts(chat({ n: 2, temperature: 0 }))).toEqual([1, 1, 2, 2]);
  const greedy = fakeModel({}, { defaults: { temperature: 0 } });
  expect(counts(chat({ n: 3 }, greedy))).toEqual([1, 1, 3, 3]);
  expect(counts(chat({ n: 2 }))).toEqual([2, 2, 2, 2]);
  expect(counts(completion({ n: 2, best_of: 5, temperature: 0 }))).toEqual([1, 1, 2, 5]);
  // Nothing has to be chosen, so nothing is measured for it.
  expect(only(completion({ best_of: 5, temperature: 0 })).logprobs).toBe(-1);
});

test("a token that is spelled twice has one bias, the last", () => {
  const logit_bias = { "05": 1, "5": 2, "0005": 3 };
  expect(only(chat({ logit_bias })).sampling.logit_bias).toEqual([{ token: 5, bias: 3 }]);
});

test("empty stop strings stop nothing, and the others still do", () => {
  const stops = (stop: unknown) => only(chat({ stop })).stop_strings;
  expect([stops(""), stops([""]), stops(["", "a", ""])]).toEqual([[], [], ["a"]]);
});

test("an empty prompt is the begin token, where the model has one", () => {
  const none = { ...byteTokenizer, special: { ...byteTokenizer.special, bos: undefined } };
  const headless = fakeModel({}, { tokenizer: none });
  // Some models have a begin token that they do not put before every text.
  const plain = fakeModel({}, { tokenizer: { ...byteTokenizer, add_bos: false } });
  for (const prompt of ["", [], [""], [[]]]) {
    for (const model of [fakeModel(), plain]) {
      expect([...only(completion({ prompt }, model)).prompt]).toEqual([256]);
    }
    expect(refusal(() => completion({ prompt }, headless))).toEqual([
      "invalid_value",
      Array.isArray(prompt) && prompt.length > 0 ? "prompt[0]" : "prompt",
    ]);
  }
  const mixed = completion({ prompt: ["", "a"], echo: true });
  expect(mixed.answers.map((answer) => [...answer.prompt])).toEqual([[256], [256, 97]]);
  expect(mixed.echo).toEqual(["", "a"]);
});

test("best_of is at least n, at most 20, and not streamed", () => {
  expect(refusal(() => completion({ n: 3, best_of: 2 }))[1]).toBe("best_of");
  expect(refusal(() => completion({ best_of: 21 }))[1]).toBe("best_of");
  expect(refusal(() => completion({ best_of: 2, stream: true }))[1]).toBe("best_of");
  const generation = completion({ n: 2, best_of: 5 });
  expect([generation.made_each, generation.shown_each, generation.logprobs]).toEqual([5, 2, false]);
  // Made to choose by, though not shown.
  expect(only(generation).logprobs).toBe(0);
});

test("at most 128 choices over all prompts", () => {
  const prompts = Array.from({ length: 64 }, () => "p");
  expect(completion({ prompt: prompts, n: 2 }).answers.length).toBe(64);
  expect(refusal(() => completion({ prompt: prompts, n: 3 }))[1]).toBe("n");
  expect(refusal(() => completion({ prompt: Array(129).fill("p") }))[1]).toBe("prompt");
});

test("prompts come as text, token ids, or lists of either", () => {
  const tokens = (prompt: unknown) =>
    completion({ prompt }).answers.map((answer) => [...answer.prompt]);
  expect(tokens("ab")).toEqual([[256, 97, 98]]);
  expect(tokens([97, 98])).toEqual([[97, 98]]);
  expect(tokens(["a", "b"])).toEqual([
    [256, 97],
    [256, 98],
  ]);
  expect(tokens([[97], [98, 99]])).toEqual([[97], [98, 99]]);
  for (const bad of [null, 5, {}, ["a", 5], [[1], "a"], [1.5]]) {
    expect(refusal(() => completion({ prompt: bad }))[1]).toStartWith("prompt");
  }
  expect(refusal(() => completion({ prompt: [258] }))).toEqual(["invalid_value", "prompt[0]"]);
});

test("batched prompts are answered under numbered requests with seeds of their own", () => {
  const { answers } = completion({ prompt: ["a", "a"], seed: -1 });
  expect(answers.map((answer) => answer.request)).toEqual(["r1-0", "r1-1"]);
  expect([...(answers[0]?.sampling.seed ?? [])]).toEqual(Array(8).fill(255));
  expect([...(answers[1]?.sampling.seed ?? [])]).toEqual(Array(8).fill(0));
});

test("an answer may take what is left of the context, and not more", () => {
  const small = fakeModel({ context_length: 100 });
  // "<bos>[user]hi;[assistant]" are 21 tokens of the byte tokenizer.
  const prompt_tokens = only(chat({}, small)).prompt.length;
  expect(only(chat({}, small)).max_tokens).toBe(100 - prompt_tokens);
  expect(only(chat({})).max_tokens).toBe(500);
  expect(only(completion({})).max_tokens).toBe(16);
  expect(only(chat({ max_tokens: 5 })).max_tokens).toBe(5);
  expect(only(chat({ max_tokens: 5, max_completion_tokens: 6 })).max_tokens).toBe(6);
  const over = () => chat({ max_tokens: 100 - prompt_tokens + 1 }, small);
  expect(refusal(over)).toEqual(["context_length_exceeded", "messages"]);
  expect(over).toThrow(/context length is 100 tokens, but 101 were requested/);
  const full = () => completion({ prompt: "x".repeat(99) }, small);
  expect(refusal(full)).toEqual(["context_length_exceeded", "prompt"]);
});

test("a text that cannot fit is not tokenized", () => {
  const tokenizer = {
    ...fakeModel().tokenizer,
    encode: () => {
      throw new Error("tokenized");
    },
  };
  const model = fakeModel({}, { tokenizer });
  expect(refusal(() => completion({ prompt: "x".repeat(300_000) }, model))[0]).toBe(
    "context_length_exceeded",
  );
});

test("a text without a place to cut is refused before it is tokenized or rendered", () => {
  const never = () => {
    throw new Error("it was looked at");
  };
  const tokenizer = { ...byteTokenizer, sliceable: true, encode: never };
  const model = fakeModel({ context_length: 1_048_576 }, { tokenizer, renderChat: never });
  for (const part of ["a", " ", "ab", "<", "<|im_end|>", "你好", "a1 "]) {
    const content = part.repeat(Math.ceil(262_145 / part.length));
    const messages = [
      { role: "user", content: "Hi" },
      { role: "user", content },
    ];
    expect(refusal(() => chat({ messages }, model))).toEqual([
      "text_unbroken",
      "messages[1].content",
    ]);
    expect(refusal(() => completion({ prompt: ["x y", content].slice(1) }, model))).toEqual([
      "text_unbroken",
      "prompt[0]",
    ]);
  }
});

test("a long text with places to cut, or of a length that takes no time, is tokenized", () => {
  for (const sliceable of [true, false]) {
    const tokenizer = { ...byteTokenizer, sliceable };
    const model = fakeModel({ context_length: 1_048_576 }, { tokenizer });
    expect(only(completion({ prompt: "a b ".repeat(100_000) }, model)).prompt.length).toBe(400_001);
    expect(only(completion({ prompt: "a".repeat(262_144) }, model)).prompt.length).toBe(262_145);
    const longest = "a".repeat(1_048_577);
    expect(refusal(() => completion({ prompt: longest }, model))[0]).toBe("text_unbroken");
  }
});

test("max_tokens 0 is for echo alone", () => {
  expect(only(completion({ max_tokens: 0, echo: true })).max_tokens).toBe(0);
  expect(refusal(() => completion({ max_tokens: 0 }))[1]).toBe("max_tokens");
  expect(refusal(() => chat({ max_tokens: 0 }))[1]).toBe("max_tokens");
});

test("what the client leaves open is the model's default, then neutral", () => {
  const model = fakeModel({}, { defaults: { temperature: 0.3, top_k: 64, top_p: 0.9 } });
  const { sampling } = only(chat({ top_p: 0.5, top_k: -1 }, model));
  expect(sampling).toMatchObject({ temperature: 0.3, top_k: 0, top_p: 0.5 });
  expect(only(chat({})).sampling).toMatchObject({
    temperature: 1,
    top_k: 0,
    top_p: 1,
    min_p: 0,
    typical_p: 1,
    repetition_penalty: 1,
    frequency_penalty: 0,
    presence_penalty: 0,
    logit_bias: [],
  });
});

test("messages: roles, parts and text that no encoding can carry", () => {
  const text = (messages: readonly object[]) =>
    new TextDecoder().decode(Uint8Array.from(only(chat({ messages })).prompt.slice(1)));
  const parts = [
    { type: "text", text: "a" },
    { type: "text", text: "b" },
  ];
  expect(
    text([
      { role: "developer", content: "d" },
      { role: "user", content: parts },
      { role: "assistant", content: null },
    ]),
  ).toBe("[system]d;[user]a\nb;[assistant];[assistant]");
  const bad = (message: object) => refusal(() => chat({ messages: [message] }));
  expect(bad({ role: "user", content: null })[1]).toBe("messages[0].content");
  expect(bad({ role: "user" })[1]).toBe("messages[0].content");
  expect(bad({ role: "tool", content: "x" })[1]).toBe("messages[0].tool_call_id");
  expect(bad({ role: "function", content: "x" })[1]).toBe("messages[0].role");
  expect(bad({ role: "user", content: "\ud800" })).toEqual([
    "invalid_unicode",
    "messages[0].content",
  ]);
  expect(bad({ role: "user", content: [{ type: "image_url" }] })[1]).toStartWith(
    "messages[0].content[0]",
  );
  expect(text([{ role: "user", content: "a\u0000b" }])).toContain("a\u0000b");
});

test("property: any body is prepared or refused with a 400 that names a field", () => {
  const names = [...new Set([...Object.keys(chatFields), ...Object.keys(completionFields)])];
  const value = fc.oneof(
    fc.constantFrom(null, true, false, 0, 1, -1, 2, 0.5, 1e308, -1e308, "", "x", [], {}),
    fc.integer(),
    fc.double(),
    fc.string(),
    fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null)), { maxLength: 5 }),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const body = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 6 });
  fc.assert(
    fc.property(body, (more) => {
      for (const run of [() => chat(more), () => completion(more)]) {
        try {
          expect(run().answers.length).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          expect(error.status).toBe(400);
          expect(error.param).not.toBe("");
        }
      }
    }),
    { numRuns: 2000 },
  );
});
