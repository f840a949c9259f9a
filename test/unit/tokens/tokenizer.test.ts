import { expect, test } from "bun:test";
import {
  defaultsFromBlob,
  hashBlob,
  modelFactsFromGguf,
  templateFromBlob,
  tokenizerFromBlob,
} from "../../../llm/model/model-card.ts";
import { mergeSampling, NEUTRAL_SAMPLING } from "../../../llm/model/sampling-params.ts";
import { VocabError } from "../../../llm/tokens/vocab/vocab.ts";
import { decodeVocab, encodeVocab } from "../../../llm/tokens/vocab/vocab-blob.ts";
import { createTokenizer } from "../../../llm/tokens/vocab-tokenizer.ts";
import { type WriteValue, writeGguf } from "../../support/engine/gguf-writer.ts";
import { HARD_TEXTS, longWord, randomText } from "../../support/tokens/hard-texts.ts";
import {
  headerOf,
  sentencePieceFile,
  TINY_MODEL,
  vocabOf,
  withPreTokenizer,
} from "../../support/tokens/vocabularies.ts";

const tiny = new Uint8Array(await Bun.file(TINY_MODEL).arrayBuffer());
const bpe = createTokenizer(vocabOf(tiny));
const spm = createTokenizer(vocabOf(sentencePieceFile(1000)));
const PLAIN = { add_special: false, parse_special: false };
const SPECIAL = { add_special: true, parse_special: true };
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

test("lone surrogates are U+FFFD", () => {
  for (const tokenizer of [bpe, spm]) {
    expect(tokenizer.encode("a\ud800b", PLAIN)).toEqual(tokenizer.encode("a\ufffdb", PLAIN));
  }
});

test("special tokens in a text are tokens only when that is asked for", () => {
  const [id] = bpe.encode("<|im_end|>", { add_special: false, parse_special: true });
  expect(text(bpe.tokenBytes(id!))).toBe("<|im_end|>");
  expect(bpe.isControl(id!)).toBe(true);
  expect(bpe.isEog(id!)).toBe(true);
  const plain = bpe.encode("<|im_end|>", PLAIN);
  expect(plain.length).toBeGreaterThan(1);
  expect(Array.from(plain, (token) => bpe.isControl(token))).not.toContain(true);
});

test("begin and end tokens are put where the model wants them", () => {
  expect(Array.from(spm.encode("", SPECIAL))).toEqual([1]);
  expect(spm.encode("hi", SPECIAL)[0]).toBe(1);
  expect(spm.encode("hi", PLAIN)[0]).not.toBe(1);
  const end: WriteValue = { type: "bool", value: true };
  const file = sentencePieceFile(1000, { "tokenizer.ggml.add_eos_token": end });
  expect(Array.from(createTokenizer(vocabOf(file)).encode("", SPECIAL))).toEqual([1, 2]);
});

test("ids outside the vocabulary are nothing", () => {
  for (const id of [-1, bpe.vocab_size, 2 ** 40, Number.NaN, 0.5]) {
    expect(bpe.tokenBytes(id)).toHaveLength(0);
    expect(bpe.isControl(id)).toBe(false);
    expect(bpe.isEog(id)).toBe(false);
  }
});

test("a cached word, a full cache and a fresh tokenizer give the same tokens", () => {
  const used = createTokenizer(vocabOf(tiny));
  for (let seed = 1; seed < 400; seed++) used.encode(randomText(seed, 2_000), PLAIN);
  for (let i = 0; i < 70_000; i++) used.encode(` w${i.toString(36)}`, PLAIN);
  for (const sample of HARD_TEXTS) {
    const fresh = createTokenizer(vocabOf(tiny)).encode(sample, PLAIN);
    expect(used.encode(sample, PLAIN)).toEqual(fresh);
    expect(used.encode(sample, PLAIN)).toEqual(fresh);
  }
});

test("a word of a million characters and a million blanks come to an end", () => {
  for (const tokenizer of [bpe, spm]) {
    for (const sample of [longWord(1_000_000), " ".repeat(1_000_000), "\n".repeat(1_000_000)]) {
      expect(tokenizer.encode(sample, PLAIN).length).toBeGreaterThan(1000);
    }
  }
}, 60_000);

test("thousands of special tokens in a row cost linear time", () => {
  const sample = "<td><table>\n\n\n</s><s>".repeat(20_000);
  expect(spm.encode(sample, { add_special: false, parse_special: true })).toHaveLength(100_000);
});

test("the stored form builds the same tokenizer, at any place in memory", () => {
  for (const file of [tiny, sentencePieceFile(1000)]) {
    const vocab = vocabOf(file);
    const blob = encodeVocab(vocab);
    const shifted = new Uint8Array(blob.length + 1);
    shifted.set(blob, 1);
    const back = tokenizerFromBlob(shifted.subarray(1));
    const direct = createTokenizer(vocab);
    for (const sample of HARD_TEXTS) {
      expect(back.encode(sample, SPECIAL)).toEqual(direct.encode(sample, SPECIAL));
    }
    expect(back.special).toEqual(direct.special);
    expect(encodeVocab(decodeVocab(blob))).toEqual(blob);
  }
});

test("a blob that is cut or of something else is refused", () => {
  const blob = encodeVocab(vocabOf(tiny));
  for (const size of [0, 7, 11, 12, 100, 1000, blob.length - 4]) {
    expect(() => decodeVocab(blob.slice(0, size))).toThrow(VocabError);
  }
  expect(() => decodeVocab(new Uint8Array(64))).toThrow(VocabError);
});

test("facts of a model: numbers, and blobs under their own sums", () => {
  const facts = modelFactsFromGguf(headerOf(tiny), "fallback");
  expect(facts.architecture).toBe("llama");
  expect(facts.context_length).toBeGreaterThan(0);
  expect(facts.vocab_size).toBe(bpe.vocab_size);
  for (const [hash, bytes] of facts.blobs) expect(hashBlob(bytes)).toBe(hash);
  expect(templateFromBlob(facts.blobs.get(facts.template_blob)!)).toContain("im_start");
});

test("generation defaults come from the file, the request wins, nonsense is dropped", () => {
  const file = sentencePieceFile(600, {
    "general.sampling.temp": { type: "f32", value: 0.6 },
    "general.sampling.top_k": { type: "i32", value: 20 },
    "general.sampling.top_p": { type: "f32", value: 7 },
  });
  const facts = modelFactsFromGguf(headerOf(file), "fallback");
  expect(facts.name).toBe("fallback");
  expect(facts.template_blob).toBe("");
  const defaults = defaultsFromBlob(facts.blobs.get(facts.defaults_blob)!);
  expect(defaults).toEqual({ temperature: 0.6, top_k: 20 });
  const merged = mergeSampling({ temperature: 0, top_p: null, min_p: undefined }, defaults, -1n);
  expect(merged).toEqual({
    ...NEUTRAL_SAMPLING,
    temperature: 0,
    top_k: 20,
    seed: 0xffff_ffff_ffff_ffffn,
  });
  expect(defaultsFromBlob(new TextEncoder().encode("{"))).toEqual({});
});

test("vocabularies that cannot be used say which part of them", () => {
  const refused = (file: Uint8Array): string => {
    try {
      createTokenizer(vocabOf(file));
    } catch (thrown) {
      if (thrown instanceof VocabError) return `${thrown.code} ${thrown.message}`;
      throw thrown;
    }
    return "accepted";
  };
  expect(refused(withPreTokenizer(tiny, "martian"))).toContain('"martian"');
  const model = (name: string): Record<string, WriteValue> => ({
    "tokenizer.ggml.model": { type: "string", value: name },
  });
  expect(refused(writeGguf(model("bert")))).toContain('vocab_unsupported tokenizer "bert"');
  expect(refused(writeGguf({}))).toStartWith("vocab_missing");
  expect(refused(writeGguf(model("llama")))).toStartWith("vocab_missing");
  const scores: WriteValue = { type: "f32s", value: [1] };
  const short = sentencePieceFile(600, { "tokenizer.ggml.scores": scores });
  expect(refused(short)).toStartWith("vocab_corrupt");
  const tokens: WriteValue = { type: "strings", value: ["a", "b"] };
  expect(refused(writeGguf({ ...model("gpt2"), "tokenizer.ggml.tokens": tokens }))).toStartWith(
    "vocab_missing",
  );
  expect(refused(writeGguf({ ...model("llama"), "tokenizer.ggml.tokens": tokens }))).toStartWith(
    "vocab_corrupt",
  );
});
