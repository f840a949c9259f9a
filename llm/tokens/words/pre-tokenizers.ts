import type { SplitStep } from "./word-splitter.ts";

/**
 * The pre-tokenizers of llama.cpp by the name in `tokenizer.ggml.pre`, with the tokenizer flags
 * that hang on that name. Source: `llama_vocab::impl::load` and `llm_tokenizer_bpe` in llama.cpp's
 * `src/llama-vocab.cpp` (MIT). Lookaheads that only intersect two classes are written out.
 */
export type PreTokenizer = {
  readonly steps: readonly SplitStep[];
  /** A whole word that is a token is taken before any merge. */
  readonly ignore_merges?: boolean;
  /** Default of "put the begin token first"; the file's own flag wins. */
  readonly add_bos?: boolean;
  /** The vocabulary spells a space as U+2581 and holds raw UTF-8 instead of the byte alphabet. */
  readonly raw?: boolean;
};

/** A step that cuts at each match of the alternatives; the first that fits counts. */
const re = (...alternatives: readonly string[]): SplitStep => ({
  kind: "regex",
  source: alternatives.join("|"),
});

const GPT2: SplitStep = { kind: "gpt2" };
const LLAMA3: SplitStep = { kind: "llama3", digits: 3, marks: false };
const QWEN2: SplitStep = { kind: "llama3", digits: 1, marks: false };
const QWEN35: SplitStep = { kind: "llama3", digits: 1, marks: true };
const LINES: SplitStep = { kind: "lines" };
const DIGIT_GROUPS: SplitStep = { kind: "digit_groups" };

const CONTRACTION = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const LEAD = String.raw`[^\r\n\p{L}\p{N}]?`;
const WORD = String.raw`${LEAD}\p{L}+`;
const SYMBOLS = String.raw` ?[^\s\p{L}\p{N}]+[\r\n]*`;
const SYMBOLS_AND_SLASHES = String.raw` ?[^\s\p{L}\p{N}]+[\r\n/]*`;
const BREAKS = String.raw`\s*[\r\n]+`;
const BREAK = String.raw`\s*[\r\n]`;
const SPACES = String.raw`\s+(?!\S)|\s+`;
const ONE_DIGIT = String.raw`\p{N}`;
const THREE_DIGITS = String.raw`\p{N}{1,3}`;
const ALL_DIGITS = String.raw`\p{N}+`;
/** In collapsed text every letter beyond ASCII is U+00D2 and every mark is U+00D4. */
const NOT_LOWER = String.raw`[\xD2A-Z]`;
const NOT_UPPER = String.raw`[\xD2a-z]`;
const NOT_LOWER_OR_MARK = String.raw`[\xD2\xD4A-Z]`;
const NOT_UPPER_OR_MARK = String.raw`[\xD2\xD4a-z]`;
const LETTER_OR_MARK = String.raw`[\p{L}\p{M}]`;
/** As much upper case as there is, then lower case; or the other way round. */
const casePairs = (lower: string, upper: string, suffix: string): string =>
  `${LEAD}${upper}*${lower}+${suffix}|${LEAD}${upper}+${lower}*${suffix}`;
const MARKED_WORD = casePairs(LETTER_OR_MARK, LETTER_OR_MARK, `${CONTRACTION}?`);

const GPT4O_WORD = casePairs(NOT_UPPER, NOT_LOWER, `${CONTRACTION}?`);
const GPT4O = re(GPT4O_WORD, THREE_DIGITS, SYMBOLS_AND_SLASHES, BREAKS, SPACES);
const GRANITE_WORD = casePairs(NOT_UPPER_OR_MARK, NOT_LOWER_OR_MARK, `${CONTRACTION}?`);
const TEKKEN_WORD = casePairs(NOT_UPPER, NOT_LOWER, "");
const ASCII_SYMBOL_WORD = String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${"`"}{|}~][A-Za-z]+`;
const DEEPSEEK3_WORD = String.raw`[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`;
const PUNCTUATION = String.raw` ?[\p{P}\p{S}]+`;
const DEEPSEEK3_PUNCTUATION = String.raw`${PUNCTUATION}[\r\n]*`;
const DEEPSEEK3_WORDS = re(
  ASCII_SYMBOL_WORD,
  DEEPSEEK3_WORD,
  DEEPSEEK3_PUNCTUATION,
  BREAKS,
  SPACES,
);
const HAN_KANA_RUN = String.raw`[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+`;
const HAN_KANA = re(HAN_KANA_RUN);
const DIGITS_3 = re(THREE_DIGITS);
const DIGIT = re(ONE_DIGIT);
const DEEPSEEK3 = [DIGITS_3, HAN_KANA, DEEPSEEK3_WORDS];
const DEEPSEEK_LETTERS = [
  String.raw`A-Za-z\u{B5}\u{C0}-\u{D6}\u{D8}-\u{F6}\u{F8}-\u{1BA}\u{1BC}-\u{1BF}\u{1C4}-\u{293}`,
  String.raw`\u{295}-\u{2AF}\u{370}-\u{373}\u{376}\u{377}\u{37B}-\u{37D}\u{37F}\u{386}\u{388}-`,
  String.raw`\u{38A}\u{38C}\u{38E}-\u{3A1}\u{3A3}-\u{3F5}\u{3F7}-\u{481}\u{48A}-\u{52F}\u{531}-`,
  String.raw`\u{556}\u{10A0}-\u{10C5}\u{13A0}-\u{13F5}\u{13F8}-\u{13FD}\u{1C90}-\u{1CBA}`,
  String.raw`\u{1CBD}-\u{1CBF}\u{1D00}-\u{1D2B}\u{1D6B}-\u{1D77}\u{1D79}-\u{1D9A}\u{1E00}-`,
  String.raw`\u{1F15}\u{1F18}-\u{1F1D}\u{1F20}-\u{1F45}\u{1F48}-\u{1F4D}\u{1F50}-\u{1F57}`,
  String.raw`\u{1F59}\u{1F5B}\u{1F5D}\u{1F5F}-\u{1F7D}\u{1F80}-\u{1FB4}\u{1FB6}-\u{1FBC}`,
  String.raw`\u{1FBE}\u{1FC2}-\u{1FC4}\u{1FC6}-\u{1FCC}\u{1FD0}-\u{1FD3}\u{1FD6}-\u{1FDB}`,
  String.raw`\u{1FE0}-\u{1FEC}\u{1FF2}-\u{1FF4}\u{1FF6}-\u{1FFC}\u{2102}\u{2107}\u{210A}-`,
  String.raw`\u{2113}\u{2115}\u{2119}-\u{211D}\u{2124}\u{2126}\u{2128}\u{212A}-\u{212D}\u{212F}`,
  String.raw`-\u{2134}\u{2139}\u{213C}-\u{213F}\u{2145}-\u{2149}\u{214E}\u{2183}\u{2184}`,
  String.raw`\u{2C00}-\u{2C7B}\u{2C7E}-\u{2CE4}\u{2CEB}-\u{2CEE}\u{2CF2}\u{2CF3}\u{A640}-`,
  String.raw`\u{A66D}\u{A680}-\u{A69B}\u{A722}-\u{A76F}\u{A771}-\u{A787}\u{A78B}-\u{A78E}`,
  String.raw`\u{AB70}-\u{ABBF}\u{FB00}-\u{FB06}\u{FB13}-\u{FB17}\u{FF21}-\u{FF3A}\u{FF41}-`,
  String.raw`\u{FF5A}\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\u{104D8}-\u{104FB}\u{10C80}-`,
  String.raw`\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}`,
].join("");
const DEEPSEEK_PUNCTUATION = [
  "!-/:-~",
  String.raw`\u{FF01}-\u{FF0F}\u{FF1A}-\u{FF5E}\u{2018}-\u{201F}\u{3000}-\u{3002}`,
].join("");
const YOUTU_PUNCTUATION = [
  String.raw`\u{FF01}\u{2026}\u{201C}\u{201D}\u{2018}\u{2019}\u{2014}\u{FF1A}\u{FF1B}\u{FF0C}`,
  String.raw`\u{3001}-\u{303F}\u{FE30}-\u{FE4F}`,
].join("");
const AFMOE_SCRIPTS = [
  String.raw`\u{4E00}-\u{9FFF}\u{3400}-\u{4DBF}\u{8C48}-\u{FAFF}\u{3040}-\u{309F}`,
  String.raw`\u{30A0}-\u{30FF}\u{FF65}-\u{FF9F}\u{2F00}-\u{2FDF}\u{E40}-\u{E7F}`,
  String.raw`\u{E80}-\u{EFF}\u{1780}-\u{17FF}\u{1000}-\u{109F}\u{AA60}-\u{AA7F}`,
  String.raw`\u{A9E0}-\u{A9FF}\u{AC00}-\u{D7AF}\u{1100}-\u{11FF}`,
].join("");
const DEEPSEEK_HAN = re(String.raw`[\u{4E00}-\u{9FA5}\u{800}-\u{4E00}\u{AC00}-\u{D7FF}]+`);
const BLOOM = re(
  String.raw` ?[^(\t-\r |.,!?\u{2026}\u{3002}\u{FF0C}\u{3001}\u{964}\u{6D4}\u{60C})]+`,
);

const gpt2Like: PreTokenizer = { steps: [GPT2] };
const llama3: PreTokenizer = { steps: [LLAMA3], ignore_merges: true, add_bos: true };
const llama3Plain: PreTokenizer = { steps: [LLAMA3] };
const qwen2: PreTokenizer = { steps: [QWEN2] };
const gpt4o: PreTokenizer = { steps: [GPT4O] };
const digitsThenGpt2: PreTokenizer = { steps: [DIGIT, GPT2] };
const deepseek3: PreTokenizer = { steps: DEEPSEEK3 };
const rawLines: PreTokenizer = { steps: [LINES], raw: true };
const aya: PreTokenizer = {
  steps: [DIGIT_GROUPS, re(MARKED_WORD, THREE_DIGITS, SYMBOLS_AND_SLASHES, BREAKS, SPACES)],
};
const bloom: PreTokenizer = { steps: [BLOOM] };
const BAILING_CONTRACTION = "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])";
const bailing: PreTokenizer = {
  steps: [re(BAILING_CONTRACTION, WORD, ONE_DIGIT, SYMBOLS, BREAK, SPACES)],
};

const fallback: PreTokenizer = {
  steps: [
    re(String.raw`[\p{P}\$\+<=>\^~\|]+`),
    GPT2,
    re(String.raw`\p{N}+`),
    re("[0-9][0-9][0-9]"),
  ],
};

const JAIS2_SPACES = [
  ...[512, 256, 128, 64, 32, 16, 8, 4].map((count) => String.raw`\s{${count}}(?!\S)`),
  String.raw`\s{1,2}(?!\S)`,
  String.raw`\s{1}`,
];

const TABLE: Record<string, PreTokenizer> = {
  default: fallback,
  "gpt-2": gpt2Like,
  "llama-bpe": llama3,
  qwen2,
  qwen35: { steps: [QWEN35] },
  gemma4: { ...rawLines, add_bos: true },
  "deepseek-llm": {
    steps: [
      re("[\r\n]"),
      re(`[\\t-\\r ]?[${DEEPSEEK_LETTERS}]+`),
      re(`[\\t-\\r ]?[${DEEPSEEK_PUNCTUATION}]+`),
      re("[\\t-\\r ]+$"),
      DEEPSEEK_HAN,
      re(String.raw`\p{N}+`),
    ],
  },
  "deepseek-coder": {
    steps: [
      re("[\r\n]"),
      re(String.raw`\s?\p{L}+`),
      re(String.raw`\s?\p{P}+`),
      DEEPSEEK_HAN,
      DIGIT,
    ],
  },
  "deepseek-v3": deepseek3,
  falcon: {
    steps: [re(String.raw`[\p{P}\$\+<=>\^~\|${"`"}]+`), GPT2, re("[0-9][0-9][0-9]")],
  },
  starcoder: digitsThenGpt2,
  "gpt-4o": gpt4o,
  tekken: {
    steps: [re(TEKKEN_WORD, ONE_DIGIT, SYMBOLS_AND_SLASHES, BREAKS, SPACES)],
    ignore_merges: true,
    add_bos: true,
  },
  "granite-embed-multi-97m": {
    steps: [re(GRANITE_WORD, THREE_DIGITS, SYMBOLS_AND_SLASHES, BREAKS, SPACES)],
    ignore_merges: true,
  },
  tiny_aya: aya,
  superbpe: { steps: [re(String.raw`\p{N}+`), re(String.raw`(?=(\d{3})+(?!\d))`)] },
  youtu: {
    steps: [
      re(
        String.raw`[\u{AC00}-\u{D7A3}\u{3131}-\u{318E}]+`,
        `[${YOUTU_PUNCTUATION}]+`,
        String.raw`[\u{3105}-\u{312F}]+`,
        HAN_KANA_RUN,
      ),
      re(MARKED_WORD, ONE_DIGIT, SYMBOLS_AND_SLASHES, BREAKS, SPACES),
    ],
    ignore_merges: true,
  },
  spark2_5: {
    steps: [
      DIGITS_3,
      HAN_KANA,
      re(ASCII_SYMBOL_WORD, DEEPSEEK3_WORD, PUNCTUATION, String.raw`[\r\n]`, SPACES),
      DIGIT,
    ],
  },
  bloom,
  viking: { steps: [BLOOM, DIGIT] },
  bailingmoe: bailing,
  "seed-coder": {
    steps: [re(CONTRACTION, WORD, ONE_DIGIT, String.raw` ?[^\s\p{L}\p{N}\r\n]+`, BREAKS, SPACES)],
  },
  ufakzeka: { steps: [re(WORD, ONE_DIGIT, SYMBOLS, BREAKS, SPACES)] },
  afmoe: { steps: [DIGIT_GROUPS, re(`[${AFMOE_SCRIPTS}]+`), DEEPSEEK3_WORDS] },
  laguna: { steps: [LINES, QWEN2] },
  "exaone-moe": {
    steps: [
      re(
        CONTRACTION,
        String.raw`${LEAD}(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+`,
        ONE_DIGIT,
        String.raw` ?[^\s\p{L}\p{N}]+[\r\n/]?`,
        BREAK,
        SPACES,
      ),
    ],
  },
  minicpm5: {
    steps: [DIGITS_3, re(CONTRACTION, WORD, ALL_DIGITS, SYMBOLS, BREAKS, SPACES)],
    ignore_merges: true,
  },
  "jais-2": {
    steps: [re(CONTRACTION, WORD, THREE_DIGITS, SYMBOLS, BREAKS, ...JAIS2_SPACES)],
  },
  chameleon: {
    steps: [
      re("<sentinel:[0-9]+>"),
      re("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"),
      re(String.raw`([\t\n]|    |  )`),
      DIGIT,
      re(String.raw`[\p{P}!-/:-@\[-${"`"}{-~]`),
      GPT2,
    ],
    add_bos: true,
  },
};

/** Further names of the rows above, as llama.cpp groups them. */
const SAME_AS: Record<string, readonly string[]> = {
  "llama-bpe": [
    ..."llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano".split(" "),
  ],
  "gpt-2": [
    ..."phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert".split(" "),
    ..."jina-v1-en jina-v2-code roberta-bpe mpt olmo jais trillion granite-docling".split(" "),
    "exaone4",
  ],
  qwen2: [
    ..."deepseek-r1-qwen kormo f2llmv2 stablelm2 hunyuan solar-open megrez grok-2".split(" "),
  ],
  starcoder: [..."refact command-r smollm codeshell exaone minerva-7b mellum2".split(" ")],
  "gpt-4o": ["llama4", "kanana2", "talkie", "minimax-m2"],
  "deepseek-v3": ["hunyuan-dense", "hy_v4", "joyai-llm"],
  tiny_aya: ["cohere2moe"],
  bloom: ["poro-chat", "gpt3-finnish"],
  bailingmoe: ["bailingmoe2", "llada-moe"],
  gemma4: ["granite-embed-multi-311m"],
};

/** Named like llama3's, but without its flags. */
const LLAMA3_PLAIN = ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"];

/** The pre-tokenizer of that name; undefined when this reader does not know it. */
export function preTokenizer(name: string): PreTokenizer | undefined {
  if (Object.hasOwn(TABLE, name)) return TABLE[name];
  if (LLAMA3_PLAIN.includes(name)) return llama3Plain;
  if (name === "sarvam-moe") return rawLines;
  for (const [row, names] of Object.entries(SAME_AS)) {
    if (names.includes(name)) return TABLE[row];
  }
  return undefined;
}
