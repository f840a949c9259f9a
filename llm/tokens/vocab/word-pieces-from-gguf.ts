/**
 * The WordPiece vocabulary of a GGUF (`tokenizer.ggml.model` "bert"), as the tokenizer.json that it
 * was made of. The file spells a token that begins a word with U+2581 before it and the rest of a
 * word without `##` (llama.cpp's convert_hf_to_gguf.py); texts are always in small letters without
 * accents, whatever the model was trained on, as in llama.cpp (`llm_tokenizer_wpm`).
 */
import {
  type GgufHeader,
  ggufArray,
  ggufNumber,
  ggufNumbers,
  ggufString,
  ggufStringSpans,
} from "../../model/gguf.ts";
import type { AddedToken } from "../added-tokens.ts";
import type { LibraryVocab } from "./library-vocab.ts";
import { VocabError } from "./vocab.ts";

const K = "tokenizer.ggml.";
const BEGINS = "\u2581";
/** `llama_token_type` in llama.h. */
const CONTROL = 3;
const WORD_CHARS_MAX = 100;

/** Ids that llama.cpp assumes where the file names none. */
const DEFAULTS = { bos: 101, unknown: 100, seperator: 102, padding: 0, mask: 103 } as const;

/** Undefined: the vocabulary is of another kind. Throws VocabError. */
export function wordPiecesFromGguf({ metadata }: GgufHeader): LibraryVocab | undefined {
  if (ggufString(metadata, `${K}model`) !== "bert") return undefined;
  const texts = textsOf(metadata);
  const types = ggufArray(metadata, `${K}token_type`);
  const kinds = types === undefined ? undefined : ggufNumbers(types);
  const idOf = (name: keyof typeof DEFAULTS): number | undefined => {
    const id = ggufNumber(metadata, `${K}${name}_token_id`) ?? DEFAULTS[name];
    return id < texts.length ? id : undefined;
  };
  const named = Object.keys(DEFAULTS).map((name) => idOf(name as keyof typeof DEFAULTS));
  const added: AddedToken[] = [];
  const vocab: Record<string, number> = Object.create(null);
  for (const [id, text] of texts.entries()) {
    const control = kinds?.[id] === CONTROL || named.includes(id);
    const plain = text.startsWith(BEGINS) ? text.slice(1) : text;
    vocab[control || text.startsWith(BEGINS) ? plain : `##${text}`] = id;
    if (control) added.push({ ...ADDED, id, content: plain });
  }
  const unk = idOf("unknown");
  const [bos, sep] = [idOf("bos"), idOf("seperator")];
  return {
    json: {
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: true,
        lowercase: true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      post_processor: null,
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      model: {
        type: "WordPiece",
        vocab: { ...vocab },
        unk_token:
          unk === undefined ? "[UNK]" : (added.find(({ id }) => id === unk)?.content ?? "[UNK]"),
        continuing_subword_prefix: "##",
        max_input_chars_per_word: WORD_CHARS_MAX,
      },
    },
    added,
    vocab_size: texts.length,
    special: {
      ...{ bos, eos: sep, eot: undefined, unk, pad: idOf("padding"), sep },
      ...{ fim_pre: undefined, fim_suf: undefined, fim_mid: undefined },
      eog: sep === undefined ? [] : [sep],
    },
    // A text stands between the two, whatever the file says.
    add_bos: bos !== undefined,
    add_eos: sep !== undefined,
  };
}

const ADDED = {
  special: true,
  normalized: false,
  lstrip: false,
  rstrip: false,
  single_word: false,
};

function textsOf(metadata: GgufHeader["metadata"]): readonly string[] {
  const array = ggufArray(metadata, `${K}tokens`);
  const spans = array === undefined ? undefined : ggufStringSpans(array);
  if (array === undefined || spans === undefined || array.count === 0) {
    throw new VocabError("vocab_missing", "the model file lists no tokens: get the model again");
  }
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return Array.from({ length: array.count }, (_, i) =>
    decoder.decode(array.bytes.subarray(spans[2 * i], spans[2 * i + 1])),
  );
}
