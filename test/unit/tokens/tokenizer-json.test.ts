import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  defaultsFromBlob,
  type FolderParts,
  type ModelFacts,
  modelFactsFromFolder,
  modelFactsFromGguf,
  templateFromBlob,
  tokenizerFromBlob,
} from "../../../llm/model/model-card.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import { VocabError } from "../../../llm/tokens/vocab/vocab.ts";
import { decodeVocab } from "../../../llm/tokens/vocab/vocab-blob.ts";
import { HARD_TEXTS, longWord, randomText } from "../../support/tokens/hard-texts.ts";
import {
  BEGIN,
  END,
  folderOf,
  jsonBytes,
  LLAMA3_PATTERN,
  MERGES,
  QWEN2_PATTERN,
  smallTokenizer,
  splitBy,
  THINK,
} from "../../support/tokens/small-tokenizer.ts";
import { headerOf, TINY_MODEL } from "../../support/tokens/vocabularies.ts";

const SPECIAL = { add_special: true, parse_special: true };
const PLAIN = { add_special: false, parse_special: false };

async function tinyFolder(): Promise<FolderParts> {
  const read = (name: string) => Bun.file(new URL(name, `file://${TINY_MODEL}`)).bytes();
  return {
    tokenizer_json: await read("tokenizer.json"),
    tokenizer_config: await read("tokenizer_config.json"),
    config: await read("config.json"),
    generation_config: await read("generation_config.json"),
    chat_template: await read("chat_template.jinja"),
  };
}

const blobOf = (facts: ModelFacts, name: string): Uint8Array => {
  const blob = facts.blobs.get(name);
  if (blob === undefined) throw new Error("the facts name a blob that they do not have");
  return blob;
};
const tokenizerOf = (parts: FolderParts): Tokenizer => {
  const facts = modelFactsFromFolder(parts, "m");
  return tokenizerFromBlob(blobOf(facts, facts.tokenizer_blob));
};
const vocabOfFolder = (parts: FolderParts) => {
  const facts = modelFactsFromFolder(parts, "m");
  return decodeVocab(blobOf(facts, facts.tokenizer_blob));
};
const idsOf = (tokenizer: Tokenizer, text: string, options = SPECIAL): number[] =>
  Array.from(tokenizer.encode(text, options));

test("the tiny model's folder and its GGUF are the same model but for their tokenizers' rules", async () => {
  const folder = modelFactsFromFolder(await tinyFolder(), "tiny");
  const header = headerOf(await Bun.file(TINY_MODEL).bytes());
  const { blobs, ...gguf } = modelFactsFromGguf(header, "tiny");
  const { tokenizer_blob } = gguf;
  const same = { ...folder, name: gguf.name, blobs: undefined, tokenizer_blob };
  expect(same).toEqual({ ...gguf, blobs: undefined });
  const others = (of: ModelFacts) =>
    [...of.blobs.keys()].filter((key) => key !== of.tokenizer_blob);
  expect(others(folder).sort()).toEqual(others({ ...gguf, blobs }).sort());
});

test("the tiny model's folder and its GGUF give the same ids", async () => {
  const folder = tokenizerOf(await tinyFolder());
  const facts = modelFactsFromGguf(headerOf(await Bun.file(TINY_MODEL).bytes()), "tiny");
  const gguf = tokenizerFromBlob(blobOf(facts, facts.tokenizer_blob));
  const texts = [
    ...HARD_TEXTS,
    longWord(2_000),
    ...Array.from({ length: 20 }, (_, i) => randomText(i, 300)),
  ];
  let tokens = 0;
  for (const text of texts) {
    for (const options of [SPECIAL, PLAIN]) {
      const expected = idsOf(gguf, text, options);
      expect(idsOf(folder, text, options)).toEqual(expected);
      tokens += expected.length;
    }
  }
  expect(tokens).toBeGreaterThan(10_000);
});

test("merges join in their order, as pairs and as lines", () => {
  const lines = MERGES.map((pair) => pair.join(" "));
  for (const merges of [MERGES, lines]) {
    const tokenizer = tokenizerOf(folderOf(smallTokenizer({}, { merges })));
    expect(idsOf(tokenizer, "hello")).toEqual([259]);
    expect(idsOf(tokenizer, "hellé")).toEqual([258, 260]);
    expect(idsOf(tokenizer, "hel 12")).toEqual([256, 0x6c, 0x20, 0x31, 0x32]);
  }
});

test("a whole word that is a token goes before merges only where the file says so", () => {
  const merges = MERGES.slice(0, 3); // "hello" is a token that no merge makes
  const plain = tokenizerOf(folderOf(smallTokenizer({}, { merges })));
  const whole = tokenizerOf(folderOf(smallTokenizer({}, { merges, ignore_merges: true })));
  expect(idsOf(plain, "hello")).toEqual([258, 0x6f]);
  expect(idsOf(whole, "hello")).toEqual([259]);
});

test("special tokens are control tokens, other added ones are text", () => {
  const tokenizer = tokenizerOf(folderOf(smallTokenizer()));
  expect(idsOf(tokenizer, "<begin>hello<think>")).toEqual([BEGIN, 259, THINK]);
  expect(idsOf(tokenizer, "<think>", PLAIN)).toEqual([THINK]);
  expect(idsOf(tokenizer, "<begin>", PLAIN).length).toBeGreaterThan(1);
  expect([tokenizer.isControl(BEGIN), tokenizer.isControl(THINK)]).toEqual([true, false]);
});

test("blanks beside a token that eats them are gone", () => {
  const eating = { id: THINK, content: "<think>", lstrip: true, rstrip: true, special: true };
  const tokenizer = tokenizerOf(folderOf(smallTokenizer({ added_tokens: [eating] })));
  expect(idsOf(tokenizer, "he \n<think>  he")).toEqual([256, 261, 256]);
});

test("escapes in the file are the characters that they stand for", () => {
  const file = JSON.stringify(smallTokenizer());
  const escaped = file.replace(/[^\x20-\x7e]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  expect(escaped).not.toBe(file);
  const tokenizer_json = new TextEncoder().encode(escaped);
  expect(vocabOfFolder({ tokenizer_json })).toEqual(vocabOfFolder(folderOf(smallTokenizer())));
});

test("ids without a token, and those up to the model's size, are there and unused", () => {
  const added = [{ id: 300, content: "<far>", special: true }]; // the next one behind all is 261
  const parts = folderOf(smallTokenizer({ added_tokens: added }), { config: { vocab_size: 320 } });
  const tokenizer = tokenizerOf(parts);
  expect(tokenizer.vocab_size).toBe(320);
  expect(tokenizer.tokenBytes(299)).toHaveLength(0);
  expect(new TextDecoder().decode(tokenizer.tokenBytes(261))).toBe("<far>");
  expect(idsOf(tokenizer, "<far>")).toEqual([261]);
  expect(idsOf(tokenizer, "[PAD299]")).not.toContain(299);
});

test("begin and end: by spelling, else by id, in all three files", () => {
  const specialOf = (others: Record<string, Record<string, unknown>>) =>
    vocabOfFolder(folderOf(smallTokenizer(), others)).special;
  const spelled = { bos_token: "<begin>", eos_token: { content: "<end>" } };
  const by_config = { bos_token_id: 1, eos_token_id: 2 };
  expect(specialOf({ tokenizer_config: spelled, config: by_config })).toMatchObject({
    bos: BEGIN,
    eos: END,
    eog: [2, END],
  });
  expect(
    specialOf({ config: by_config, generation_config: { eos_token_id: [4, 3] } }),
  ).toMatchObject({ bos: 1, eos: 2, eog: [2, 3, 4] });
  expect(specialOf({ generation_config: { eos_token_id: [4, 3] } })).toMatchObject({
    bos: undefined,
    eos: 4,
    eog: [3, 4],
  });
  expect(specialOf({ config: { eos_token_id: 99_999 } })).toMatchObject({
    eos: undefined,
    eog: [],
  });
});

test("the tokens around a gap are found by their spelling, and kept in the blob", () => {
  const added = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"].map((content, i) => {
    return { id: 261 + i, content, special: true };
  });
  const gap = vocabOfFolder(folderOf(smallTokenizer({ added_tokens: added }))).special;
  expect(gap).toMatchObject({ fim_pre: 261, fim_suf: 262, fim_mid: 263 });
  expect(vocabOfFolder(folderOf(smallTokenizer())).special.fim_pre).toBeUndefined();
});

test("the begin token is added where the template of the file or its settings say so", () => {
  const single = [{ SpecialToken: { id: "<begin>" } }, { Sequence: { id: "A" } }];
  const post_processor = { type: "Sequence", processors: [{ type: "TemplateProcessing", single }] };
  const encode = (others: Record<string, Record<string, unknown>>) =>
    idsOf(tokenizerOf(folderOf(smallTokenizer({ post_processor }), others)), "he");
  expect(encode({})).toEqual([BEGIN, 256]);
  expect(encode({ tokenizer_config: { bos_token: "<begin>" } })).toEqual([BEGIN, 256]);
  expect(encode({ tokenizer_config: { add_bos_token: false } })).toEqual([256]);
  const both = { bos_token: "<begin>", eos_token: "<end>", add_eos_token: true };
  expect(encode({ tokenizer_config: both })).toEqual([BEGIN, 256, END]);
  expect(idsOf(tokenizerOf(folderOf(smallTokenizer())), "he")).toEqual([256]);
});

test("text is composed where the file says NFC, around special tokens and not across them", () => {
  const plain = tokenizerOf(folderOf(smallTokenizer()));
  for (const normalizer of [
    { type: "NFC" },
    { type: "Sequence", normalizers: [{ type: "NFC" }] },
  ]) {
    const nfc = tokenizerOf(folderOf(smallTokenizer({ normalizer })));
    expect(idsOf(nfc, "he\u0301")).toEqual([0x68, 260]);
    expect(idsOf(plain, "he\u0301")).not.toEqual([0x68, 260]);
    expect(idsOf(nfc, "e\u0301<think>\u0338")).toEqual([260, THINK, 0xcc, 0xb8]);
    for (const text of ["", "hello", "hellé <think> 12"]) {
      expect(idsOf(nfc, text)).toEqual(idsOf(plain, text));
    }
  }
});

test("common patterns have a scanner of their own, others are patterns", () => {
  const wordsOf = (pre_tokenizer: unknown) =>
    vocabOfFolder(folderOf(smallTokenizer({ pre_tokenizer }))).folder?.words;
  const spelled_out = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
  const llama3 = { kind: "llama3", digits: 3, marks: false, long_s: true } as const;
  const qwen2 = { ...llama3, digits: 1 } as const;
  const gpt2 = { kind: "gpt2" } as const;
  expect(wordsOf(splitBy(QWEN2_PATTERN))).toEqual([qwen2]);
  const without_flags = splitBy(QWEN2_PATTERN.replace(/^\(.*?\)/, spelled_out));
  expect(wordsOf(without_flags)).toEqual([{ ...qwen2, long_s: false }]);
  expect(wordsOf(splitBy(LLAMA3_PATTERN))).toEqual([llama3]);
  expect(wordsOf({ type: "ByteLevel", add_prefix_space: false })).toEqual([gpt2]);
  const digits = { type: "Digits", individual_digits: true };
  const sequence = [digits, { type: "ByteLevel", use_regex: true }];
  const digit = { kind: "pattern", source: String.raw`\p{N}`, cut: "both" } as const;
  expect(wordsOf({ type: "Sequence", pretokenizers: sequence })).toEqual([digit, gpt2]);
  const abc = { kind: "pattern", source: "abc+", cut: "both" } as const;
  expect(wordsOf(splitBy("abc+"))).toEqual([abc]);
});

const bytes_only = { type: "ByteLevel", use_regex: false };
const spaced = { ...bytes_only, add_prefix_space: true };
const spaced_later = { type: "Sequence", pretokenizers: [splitBy("a+"), spaced] };
const LEFT_TO_LIBRARY: readonly (readonly [string, Parameters<typeof smallTokenizer>])[] = [
  ["\\w in the pattern \\w+", [{ pre_tokenizer: splitBy(String.raw`\w+`) }]],
  ["the pre-tokenizer Whitespace", [{ pre_tokenizer: { type: "Whitespace" } }]],
  ["a step behind ByteLevel", [{ pre_tokenizer: spaced_later }]],
  ["the normalizer StripAccents", [{ normalizer: { type: "StripAccents" } }]],
  ["the model Unigram", [{}, { type: "Unigram", vocab: [["a", -1]], unk_id: 0 }]],
  ["the model WordPiece", [{}, { type: "WordPiece", merges: undefined, unk_token: "h" }]],
  ["words without a token for bytes", [{ pre_tokenizer: null }]],
  ['end_of_word_suffix "</w>"', [{}, { end_of_word_suffix: "</w>" }]],
  ["the decoder", [{ decoder: { type: "WordPiece", prefix: "##", cleanup: true } }]],
];

for (const [said, changes] of LEFT_TO_LIBRARY) {
  test(`left to the library: ${said}`, () => {
    const parts = folderOf(smallTokenizer(...changes));
    expect(modelFactsFromFolder(parts, "m").slow_tokenizer).toContain(said);
    const tokenizer = tokenizerOf(parts);
    const [first] = idsOf(tokenizer, "<begin>hello<think>");
    expect(new TextDecoder().decode(tokenizer.tokenBytes(first!))).toBe("<begin>");
    expect(idsOf(tokenizer, "hello").length).toBeGreaterThan(0);
    expect(tokenizer.vocab_size).toBeGreaterThan(0);
  });
}

test("what the fast code knows is not left to the library", () => {
  expect(modelFactsFromFolder(folderOf(smallTokenizer()), "m").slow_tokenizer).toBeUndefined();
});

const REFUSED: readonly (readonly [string, string, Parameters<typeof smallTokenizer>])[] = [
  ["vocab_missing", "no vocabulary", [{}, { merges: undefined }]],
  ["vocab_missing", "no vocabulary", [{ model: {} }]],
  ["vocab_corrupt", "damaged", [{}, { vocab: { a: -1 } }]],
  ["vocab_corrupt", "id 9", [{}, { vocab: { a: 9, b: 9 } }]],
  ["vocab_corrupt", "id 900", [{}, { vocab: { a: 900_000_000 } }]],
  ["vocab_corrupt", "no pair", [{}, { merges: [["a", "b", "c"]] }]],
  ["vocab_corrupt", "has no id", [{ added_tokens: [{ content: "x" }] }]],
];

for (const [code, said, changes] of REFUSED) {
  test(`refused: ${code}, "${said}"`, () => {
    const error = refusalOf(folderOf(smallTokenizer(...changes)));
    expect(error.code).toBe(code as VocabError["code"]);
    expect(error.message).toContain(said);
    expect(error.message).not.toContain("\n");
  });
}

function refusalOf(parts: FolderParts): VocabError {
  try {
    modelFactsFromFolder(parts, "m");
  } catch (thrown) {
    if (thrown instanceof VocabError) return thrown;
    throw thrown;
  }
  throw new Error("facts came instead of a refusal");
}

test("damage gives the same kind of error, or a vocabulary", () => {
  const file = jsonBytes(smallTokenizer());
  const place = fc.tuple(fc.nat({ max: file.length - 1 }), fc.nat({ max: 255 }));
  const property = fc.property(
    fc.array(place, { maxLength: 4 }),
    fc.nat({ max: file.length }),
    (changes, cut) => {
      const tokenizer_json = file.slice(0, cut % 3 === 0 ? cut : file.length);
      for (const [at, value] of changes) tokenizer_json[at] = value;
      try {
        modelFactsFromFolder({ tokenizer_json }, "m");
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(VocabError);
      }
    },
  );
  fc.assert(property, { numRuns: 700 });
}, 30_000);

test("other files: context length, template and defaults, each with its fall-backs", () => {
  const factsOf = (others: Record<string, Record<string, unknown>>) =>
    modelFactsFromFolder(folderOf(smallTokenizer(), others), "m");
  const config = { model_type: "qwen3", max_position_embeddings: 40_960, hidden_size: 64 };
  const facts = factsOf({ config, tokenizer_config: { model_max_length: 7 } });
  expect(facts).toMatchObject({
    architecture: "qwen3",
    context_length: 40_960,
    embedding_size: 64,
  });
  expect(factsOf({ config: { text_config: config } }).context_length).toBe(40_960);
  expect(factsOf({ tokenizer_config: { model_max_length: 7 } }).context_length).toBe(7);
  expect(factsOf({ tokenizer_config: { model_max_length: 1e30 } }).context_length).toBe(0);
  expect(factsOf({})).toMatchObject({ name: "m", architecture: "unknown", template_blob: "" });

  const templateOf = (parts: FolderParts): string => {
    const found = modelFactsFromFolder(parts, "m");
    return templateFromBlob(blobOf(found, found.template_blob));
  };
  const named = [
    { name: "tool_use", template: "T" },
    { name: "default", template: "D" },
  ];
  const parts = folderOf(smallTokenizer(), { tokenizer_config: { chat_template: named } });
  expect(templateOf(parts)).toBe("D");
  expect(templateOf({ ...parts, chat_template: new TextEncoder().encode("J") })).toBe("J");

  const generation_config = { temperature: 0.6, top_k: 20, top_p: 7, do_sample: true };
  const tuned = factsOf({ generation_config });
  const defaults = defaultsFromBlob(blobOf(tuned, tuned.defaults_blob));
  expect(defaults).toEqual({ temperature: 0.6, top_k: 20 });
});

test("a damaged file beside it is named", () => {
  const error = refusalOf({
    ...folderOf(smallTokenizer()),
    config: new TextEncoder().encode("{"),
  });
  expect(error.message).toContain("config.json is no JSON");
});
