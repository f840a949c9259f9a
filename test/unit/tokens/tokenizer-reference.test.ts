/**
 * Our tokenizers against the C library's, token for token. The tiny model is rewritten under each
 * pre-tokenizer, and under a SentencePiece vocabulary, and opened by the llama engine.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { openLlama } from "../../../actors/engine/llama/llama.ts";
import { tokenizerFromBlob } from "../../../llm/model/model-card.ts";
import type { EncodeOptions } from "../../../llm/tokens/tokenizer.ts";
import { encodeVocab } from "../../../llm/tokens/vocab/vocab-blob.ts";
import {
  HARD_TEXTS,
  LONE_SURROGATES,
  longWord,
  randomText,
} from "../../support/tokens/hard-texts.ts";
import {
  TINY_MODEL,
  vocabOf,
  withPreTokenizer,
  withSentencePieces,
} from "../../support/tokens/vocabularies.ts";

const RANDOM_TEXTS = Array.from({ length: 40 }, (_, i) => randomText(i + 1, 300));
const TEXTS = [...HARD_TEXTS, ...LONE_SURROGATES, ...RANDOM_TEXTS, longWord(5_000)];
/** The C library compiles its regular expressions anew for every text: so fewer, longer ones. */
const JOINED_TEXTS = Array.from({ length: 24 }, (_, i) =>
  TEXTS.filter((_, at) => at % 24 === i).join(i % 2 === 0 ? "\n" : " "),
);

/** The first engine of a machine is compiled first. */
setDefaultTimeout(60_000);

const ALL_MODES: readonly EncodeOptions[] = [false, true].flatMap((add_special) =>
  [false, true].map((parse_special) => ({ add_special, parse_special })),
);
const CHAT_MODE: EncodeOptions = { add_special: true, parse_special: true };

const tiny = new Uint8Array(await Bun.file(TINY_MODEL).arrayBuffer());

/** Opens the file in the engine and compares every text in all four ways of encoding. */
async function compare(
  file: Uint8Array,
  texts: readonly string[] = TEXTS,
  modes: readonly EncodeOptions[] = ALL_MODES,
): Promise<number> {
  const folder = await mkdtemp(`${tmpdir()}/troupe-tokenizer-`);
  const path = `${folder}/model.gguf`;
  try {
    await Bun.write(path, file);
    const ours = tokenizerFromBlob(encodeVocab(vocabOf(file)));
    const engine = await openLlama({ model: path, max_num_seqs: 1, kv_tokens: 256 });
    let tokens = 0;
    try {
      for (const text of texts) {
        for (const mode of modes) {
          const { add_special, parse_special } = mode;
          const expected = engine.tokenize(text.toWellFormed(), add_special, parse_special);
          const got = ours.encode(text, mode);
          const where = `${JSON.stringify(mode)} ${JSON.stringify(text.slice(0, 80))}`;
          expect([where, ...got]).toEqual([where, ...expected]);
          tokens += expected.length;
        }
      }
    } finally {
      await engine.close();
    }
    return tokens;
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("the tiny model as it is, with a word of 100,000 characters", async () => {
  const tokens = await compare(tiny, [...TEXTS, longWord(100_000)]);
  expect(tokens).toBeGreaterThan(100_000);
});

const PRE_TOKENIZERS = [
  ..."default gpt-2 llama-bpe qwen35 deepseek-llm deepseek-coder deepseek-v3 falcon".split(" "),
  ..."gpt-4o tiny_aya superbpe youtu bloom jais-2 chameleon".split(" "),
];

for (const pre of PRE_TOKENIZERS) {
  test(`byte-pair encoding under ${pre}`, async () => {
    const tokens = await compare(withPreTokenizer(tiny, pre), JOINED_TEXTS, [CHAT_MODE]);
    expect(tokens).toBeGreaterThan(10_000);
  });
}

test("SentencePiece with a space before the first word", async () => {
  expect(await compare(withSentencePieces(tiny))).toBeGreaterThan(50_000);
});

test("SentencePiece without a space before the first word, with an end token", async () => {
  const changes = {
    "tokenizer.ggml.add_space_prefix": { type: "bool", value: false },
    "tokenizer.ggml.add_eos_token": { type: "bool", value: true },
  } as const;
  expect(await compare(withSentencePieces(tiny, changes))).toBeGreaterThan(50_000);
});

test("special tokens that eat the blanks behind them", async () => {
  const name = { type: "string", value: "Phi-3 look-alike" } as const;
  expect(await compare(withSentencePieces(tiny, { "general.name": name }))).toBeGreaterThan(50_000);
});
