/** Long texts in slices have the tokens that they have in one piece. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { TokensAhead } from "../../../actors/frontend/prompt/tokens-ahead.ts";
import { modelFactsFromFolder, tokenizerFromBlob } from "../../../llm/model/model-card.ts";
import { encodeSliced, hasLongPiece, outliveCuts } from "../../../llm/tokens/slices.ts";
import type { EncodeOptions, Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import { createTokenizer } from "../../../llm/tokens/vocab-tokenizer.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { HARD_TEXTS } from "../../support/tokens/hard-texts.ts";
import { folderOf, type smallTokenizer } from "../../support/tokens/small-tokenizer.ts";
import { SMALL_VOCABULARIES } from "../../support/tokens/small-vocabularies.ts";
import {
  TINY_MODEL,
  vocabOf,
  withPreTokenizer,
  withSentencePieces,
} from "../../support/tokens/vocabularies.ts";

const tiny = new Uint8Array(await Bun.file(TINY_MODEL).arrayBuffer());
/** One of each kind; the names that llama.cpp groups with them have the same words. */
const pres = [
  ...["gpt-2", "llama-bpe", "qwen2", "qwen35", "smollm", "gpt-4o", "deepseek-v3", "deepseek-llm"],
  ...["falcon", "tekken", "tiny_aya", "bloom", "chameleon", "minicpm5", "jais-2"],
];
const tokenizers: readonly (readonly [name: string, tokenizer: Tokenizer])[] = [
  ...pres.map((pre) => [pre, createTokenizer(vocabOf(withPreTokenizer(tiny, pre)))] as const),
];

function folderTokenizer(json: ReturnType<typeof smallTokenizer>): Tokenizer {
  const facts = modelFactsFromFolder(folderOf(json), "m");
  return tokenizerFromBlob(facts.blobs.get(facts.tokenizer_blob)!);
}

const folders = Object.entries(SMALL_VOCABULARIES).map(
  ([name, make]) => [`folder ${name}`, folderTokenizer(make())] as const,
);

const bricks = [
  ..."aZé漢😀\u0301\u00a0\u2003_-!.'7",
  ...["'s", "'re", "don't", "word", "the quick", " ", "  ", "   ", "\n", " \n", "\r\n", "\t"],
  ...["1234", " the", "ſ", "a b", "A z", "x  y", "k 'll m", "<|im_start|>", "<|im_end|>", "<s>"],
  ...["<|endoftext|>", "</s>", "\u2581", "e\u0301 e"],
];
const brickText = fc
  .array(fc.constantFrom(...bricks), { maxLength: 60 })
  .map((parts) => parts.join(""));

function sliced(tokenizer: Tokenizer, text: string, options: EncodeOptions, slice: number) {
  const steps = encodeSliced(tokenizer, text, options, { slice });
  for (let cuts = 0; ; cuts += 1) {
    const step = steps.next();
    if (step.done === true) return { tokens: [...step.value], cuts };
  }
}

for (const [name, tokenizer] of [...tokenizers, ...folders]) {
  test(`slices change no token: ${name}`, () => {
    let cuts = 0;
    const check = (text: string, slice: number, options: EncodeOptions) => {
      const result = sliced(tokenizer, text, options, slice);
      cuts += result.cuts;
      expect(result.tokens).toEqual([...tokenizer.encode(text, options)]);
    };
    const options = fc.record({ add_special: fc.boolean(), parse_special: fc.boolean() });
    fc.assert(fc.property(brickText, fc.integer({ min: 1, max: 40 }), options, check), {
      numRuns: 1_500,
    });
    for (const text of HARD_TEXTS) {
      check(`${text} ${text}`, 3, { add_special: true, parse_special: true });
    }
    if (tokenizer.sliceable === true) expect(cuts).toBeGreaterThan(300);
    else expect(cuts).toBe(0);
  });
}

test("which kinds of folders are sliced", () => {
  // Not those that put something before a text or take it from its ends, nor those with tokens that
  // begin or end with a letter or have a space inside, nor what goes through the library.
  const cut = folders.filter(([, { sliceable }]) => sliceable === true).map(([name]) => name);
  for (const name of [
    "qwen2",
    "qwen2 NFC",
    "llama3 whole words",
    "gpt-4o",
    "deepseek-v3",
  ] as const) {
    expect(cut).toContain(`folder ${name}`);
  }
  expect(tokenizers.filter(([, { sliceable }]) => sliceable !== true)).toEqual([]);
});

test("where a token reaches over a space, a text is one slice", () => {
  const tokenizer = createTokenizer(vocabOf(withSentencePieces(tiny)));
  expect(tokenizer.sliceable).toBe(false);
  const options = { add_special: true, parse_special: true };
  const { tokens, cuts } = sliced(tokenizer, "one two three four", options, 2);
  expect([tokens, cuts]).toEqual([[...tokenizer.encode("one two three four", options)], 0]);
});

test("spellings that a cut could break are known", () => {
  expect(outliveCuts(["<|im_start|>", "<s>", "\n\n", "[PAD]", "  "])).toBe(true);
  for (const text of ["foo", "<|a b|>", "<x", "x>", " y"]) {
    expect([text, outliveCuts([text])]).toEqual([text, false]);
  }
});

test("a request's long text is tokenized in turns with others, and prepared once it is", async () => {
  const [, tokenizer] = tokenizers[1]!;
  const clock = new VirtualClock();
  const stages: string[] = [];
  const ahead = new TokensAhead(clock, { stage: (name) => void stages.push(name) });
  const text = "many words and more words ".repeat(20_000);
  const options = { add_special: true, parse_special: true };
  let turns = 0;
  let over = false;
  const other = () => {
    turns += 1;
    if (!over) clock.defer(other);
  };
  clock.defer(other);
  let tries = 0;
  const prepare = () => {
    tries += 1;
    const shown = ahead.of(tokenizer, 1_000_000);
    expect(shown.vocab_size).toBe(tokenizer.vocab_size);
    expect([...shown.encode("short", options)]).toEqual([...tokenizer.encode("short", options)]);
    return [shown.encode(text, options), shown.encode("short", options)] as const;
  };
  const made = ahead.run(prepare).finally(() => {
    over = true;
  });
  for (let i = 0; i < 40; i += 1) await clock.advance(0);
  const [tokens] = await made;
  expect(tokens).toEqual(tokenizer.encode(text, options));
  expect([tries, stages]).toEqual([2, ["tokenize"]]);
  expect(turns).toBeGreaterThan(10);
});

test("many short texts of one request are tokenized in turns with others as well", async () => {
  const [, tokenizer] = tokenizers[1]!;
  for (const sliceable of [true, false]) {
    const clock = new VirtualClock();
    const ahead = new TokensAhead(clock, { stage: () => {} });
    let units = 0;
    let most = 0;
    const counting = new Proxy(tokenizer, {
      get: (target, name) => {
        if (name === "sliceable") return sliceable;
        if (name !== "encode") return Reflect.get(target, name, target) as unknown;
        return (text: string, how: EncodeOptions) => {
          units += text.length;
          most = Math.max(most, units);
          return target.encode(text, how);
        };
      },
    });
    let over = false;
    const other = () => {
      units = 0;
      if (!over) clock.defer(other);
    };
    clock.defer(other);
    const options = { add_special: true, parse_special: true };
    const texts = Array.from({ length: 200 }, (_, i) => `${"ab".repeat(1_000)}${i % 3}`);
    let tries = 0;
    const prepare = () => {
      tries += 1;
      const shown = ahead.of(counting, 1_000_000);
      return texts.map((text) => shown.encode(text, options));
    };
    const made = ahead.run(prepare).finally(() => {
      over = true;
    });
    for (let i = 0; i < 100; i += 1) await clock.advance(0);
    expect(await made).toEqual(texts.map((text) => tokenizer.encode(text, options)));
    expect(most).toBeLessThan(70_000);
    expect(tries).toBeLessThan(20);
  }
});

test("a text with too many tokens is given up once there are more", () => {
  const [, tokenizer] = tokenizers[1]!;
  const options = { add_special: true, parse_special: true };
  const text = "many words and more words ".repeat(400);
  const whole = tokenizer.encode(text, options);
  for (const tokens_max of [0, 10, 500, whole.length - 1]) {
    const steps = encodeSliced(tokenizer, text, options, { slice: 100, tokens_max });
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    const tokens = step.value;
    expect(tokens.length).toBeGreaterThan(tokens_max);
    expect(tokens.length).toBeLessThan(tokens_max + 200);
    expect([...tokens]).toEqual([...whole.subarray(0, tokens.length)]);
  }
  const all = encodeSliced(tokenizer, text, options, { tokens_max: whole.length }).next();
  expect(all.value?.length).toBe(whole.length);
});

test("the longest piece of a text is known before it is tokenized", () => {
  const units = 20_000;
  const words = "many words and ".repeat(10_000);
  expect(hasLongPiece(words, units)).toBe(false);
  expect(hasLongPiece("x".repeat(units), units)).toBe(false);
  expect(hasLongPiece("x".repeat(units + 1), units)).toBe(true);
  expect(hasLongPiece(`${words}${"ab".repeat(units)}`, units)).toBe(true);
  expect(hasLongPiece(`${"ab".repeat(units)}${words}`, units)).toBe(true);
  expect(hasLongPiece(`${"x".repeat(units)} ${"y".repeat(units - 1)}`, units)).toBe(false);
  expect(hasLongPiece(`${"x".repeat(units + 1)} y`, units)).toBe(true);
});

test("what goes wrong while preparing is thrown as it is", async () => {
  const ahead = new TokensAhead(new VirtualClock(), { stage: () => {} });
  const prepare = () => {
    throw new RangeError("odd");
  };
  await expect(ahead.run(prepare)).rejects.toThrow("odd");
});

test("parts of the work are done once, each with others' turns behind it", async () => {
  const clock = new VirtualClock();
  const ahead = new TokensAhead(clock, { stage: () => {} });
  const made: string[] = [];
  const part = (name: string) =>
    ahead.once(() => {
      made.push(name);
      return name;
    });
  const other = () => {
    made.push("other");
    if (made.length < 12) clock.defer(other);
  };
  clock.defer(other);
  const prepared = ahead.run(() => [part("names"), part("shape"), part("text")].join());
  for (let i = 0; i < 12; i += 1) await clock.advance(0);
  expect(await prepared).toBe("names,shape,text");
  const parts = made.join().replace(/(,other)+/g, " ");
  expect(parts).toBe("names ,shape ,text ");
});
