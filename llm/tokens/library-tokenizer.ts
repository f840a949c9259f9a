/**
 * The tokenizer of a `tokenizer.json` that the code here has no rules for, over
 * `@huggingface/tokenizers`. The pre-tokenizer, the model and the decoder are the library's. Added
 * tokens and Unicode's normal forms are our own, because there the library differs from Hugging
 * Face's `tokenizers`.
 */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { AddedTokens } from "./added-tokens.ts";
import { byteOfToken, joinRows } from "./byte-fallback.ts";
import type { EncodeOptions, TokenDecoder, Tokenizer } from "./tokenizer.ts";
import { Unigram } from "./unigram.ts";
import { looksSpecial } from "./vocab/control-texts.ts";
import { type Json, objectOf } from "./vocab/json-values.ts";
import type { LibraryVocab } from "./vocab/library-vocab.ts";
import { type SpecialIds, VocabError } from "./vocab/vocab.ts";
import { bertNormalizer } from "./words/bert-normalizer.ts";
import { type WordStep, wordSteps } from "./words/library-words.ts";
import { normalize, normalizerSteps } from "./words/normalizers.ts";
import { TokenSink } from "./words/word-cache.ts";

const SPELLED_SPACE = "\u2581";
const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

/** Throws VocabError "vocab_unsupported" for what the library does not know either. */
export function libraryTokenizer(vocab: LibraryVocab): Tokenizer {
  try {
    return new LibraryTokenizer(vocab);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message.split("\n", 1)[0] : String(thrown);
    const message = `tokenizer.json is not supported (${why}): take a GGUF of the model`;
    throw new VocabError("vocab_unsupported", message);
  }
}

class LibraryTokenizer implements Tokenizer {
  readonly vocab_size: number;
  readonly special: SpecialIds;
  readonly add_bos: boolean;
  readonly add_eos: boolean;
  readonly add_space_prefix = false;
  readonly control_texts: readonly string[];
  readonly #library: Library;
  /** Rows of byte tokens are text together; the library takes each for itself. */
  readonly #falls_back: boolean;
  readonly #steps: readonly WordStep[] | undefined;
  /** Ids by word, for a vocabulary of whole words. */
  readonly #words: ReadonlyMap<string, number> | undefined;
  readonly #unknown_id: number = 0;
  readonly #unigram: Unigram | undefined;
  readonly #normalize: (text: string) => string;
  readonly #raw: AddedTokens;
  readonly #normalized: AddedTokens;
  readonly #added: ReadonlyMap<number, string>;
  readonly #hidden: ReadonlySet<number>;
  readonly #eog: ReadonlySet<number>;

  constructor(vocab: LibraryVocab) {
    const { added } = vocab;
    this.vocab_size = vocab.vocab_size;
    this.special = vocab.special;
    this.add_bos = vocab.add_bos && vocab.special.bos !== undefined;
    this.add_eos = vocab.add_eos && vocab.special.eos !== undefined;
    this.#library = new Library({ ...vocab.json, added_tokens: [] }, {});
    this.#normalize = normalizerOf(vocab.json["normalizer"]);
    this.#falls_back = JSON.stringify(vocab.json["decoder"] ?? null).includes('"ByteFallback"');
    this.#steps = wordSteps(vocab.json["pre_tokenizer"]);
    const model = objectOf(vocab.json["model"]);
    if (model["type"] === "WordLevel") {
      const words = objectOf(model["vocab"]) as Readonly<Record<string, number>>;
      this.#words = new Map(Object.entries(words));
      this.#unknown_id = this.#words.get(String(model["unk_token"])) ?? 0;
    }
    this.#unigram = model["type"] === "Unigram" ? unigramOf(model) : undefined;
    const raw = added.filter((token) => !token.normalized);
    const normalized = added.filter((token) => token.normalized);
    this.#raw = new AddedTokens(
      raw,
      raw.map((token) => token.content),
    );
    this.#normalized = new AddedTokens(
      normalized,
      normalized.map((token) => this.#normalize(token.content)),
    );
    const special = added.filter((token) => token.special);
    this.#hidden = new Set(special.map((token) => token.id));
    this.#added = new Map(added.map((token) => [token.id, token.content]));
    this.#eog = new Set(vocab.special.eog);
    this.control_texts = added
      .filter((token) => token.special || looksSpecial(token.content))
      .map((token) => token.content);
  }

  encode(text: string, options: EncodeOptions): Uint32Array {
    const out = new TokenSink();
    if (options.add_special && this.add_bos) out.push(this.special.bos!);
    let at_start = true;
    for (const piece of this.#raw.partition(text.toWellFormed(), options.parse_special)) {
      if (piece.kind === "token") out.push(piece.token);
      else this.#encodePiece(this.#normalize(piece.text), at_start, options, out);
      at_start = false;
    }
    if (options.add_special && this.add_eos) out.push(this.special.eos!);
    return out.tokens.slice(0, out.count);
  }

  #encodePiece(
    text: string,
    at_start: boolean,
    { parse_special, barrier }: EncodeOptions,
    out: TokenSink,
  ): void {
    let first = at_start;
    for (const piece of this.#normalized.partition(text, parse_special)) {
      if (piece.kind === "token") {
        out.push(piece.token);
      } else {
        const plain = barrier === undefined ? piece.text : piece.text.replaceAll(barrier, "");
        if (plain !== "") this.#encodeText(plain, first, out);
      }
      first = false;
    }
  }

  #encodeText(text: string, first: boolean, out: TokenSink): void {
    const { model } = this.#library;
    const words = this.#wordsOf(text, first);
    if (this.#words !== undefined) {
      for (const word of words) out.push(this.#words.get(word) ?? this.#unknown_id);
      return;
    }
    if (this.#unigram !== undefined) {
      for (const word of words) this.#unigram.encode(word, (id) => out.push(id));
      return;
    }
    if (model === null) return;
    for (const token of model(words)) {
      const id = model.tokens_to_ids.get(token) ?? model.unk_token_id;
      if (id !== undefined) out.push(id);
    }
  }

  #wordsOf(text: string, first: boolean): string[] {
    const { pre_tokenizer } = this.#library;
    if (this.#steps !== undefined) {
      return this.#steps.reduce<string[]>((words, step) => step(words, first), [text]);
    }
    return pre_tokenizer === null ? [text] : pre_tokenizer(text, { section_index: first ? 0 : 1 });
  }

  tokenBytes(token: number): Uint8Array {
    const text = this.#spelling(token);
    return text === undefined ? EMPTY : encoder.encode(text.replaceAll(SPELLED_SPACE, " "));
  }

  asciiText(): undefined {
    return undefined;
  }

  isControl(token: number): boolean {
    return this.#hidden.has(token);
  }

  isEog(token: number): boolean {
    return this.#eog.has(token);
  }

  newDecoder(): TokenDecoder {
    const isByte = (token: number): boolean =>
      byteOfToken(this.#spelling(token) ?? "") !== undefined;
    return new WindowDecoder((tokens) => this.#decode(tokens), isByte);
  }

  #spelling(token: number): string | undefined {
    return this.#added.get(token) ?? this.#library.model?.vocab[token];
  }

  #decode(ids: readonly number[]): string {
    const tokens = ids.map((id) => this.#spelling(id)).filter((text) => text !== undefined);
    const { decoder } = this.#library;
    if (decoder === null) return tokens.join(" ");
    return decoder(this.#falls_back ? joinRows(tokens) : tokens);
  }
}

function unigramOf(model: Json): Unigram {
  const unknown = model["unk_id"];
  return new Unigram(
    model["vocab"] as readonly (readonly [string, number])[],
    typeof unknown === "number" ? unknown : undefined,
    model["byte_fallback"] === true,
  );
}

/** Step by step: those that are known here, the others of the library. */
function normalizerOf(normalizer: unknown): (text: string) => string {
  const json = objectOf(normalizer);
  if (json["type"] === "Sequence") {
    const inner = json["normalizers"];
    const steps = (Array.isArray(inner) ? inner : []).map(normalizerOf);
    return (text) => steps.reduce((out, step) => step(out), text);
  }
  if (json["type"] === "BertNormalizer") return bertNormalizer(json);
  const steps = normalizerSteps(normalizer);
  if (typeof steps !== "string") return (text) => normalize(text, steps);
  const model = { type: "BPE", vocab: {}, merges: [] };
  const rest = { pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] };
  const alone = new Library({ model, normalizer, ...rest }, {}).normalizer;
  return (text) => (alone === null ? text : alone(text));
}

/** Tokens that may wait for what ends a character; more are no character. */
const MAX_HELD = 64;

/**
 * Text of single tokens where only whole texts can be decoded: the last tokens are decoded once
 * with and once without the new one. A text that ends in U+FFFD may be half a character.
 */
class WindowDecoder implements TokenDecoder {
  #tokens: number[] = [];
  /** How many of them are out; those stay for the sake of what follows. */
  #shown = 0;

  readonly #decode: (tokens: readonly number[]) => string;
  readonly #isByte: (token: number) => boolean;

  constructor(decode: (tokens: readonly number[]) => string, isByte: (token: number) => boolean) {
    this.#decode = decode;
    this.#isByte = isByte;
  }

  push(token: number): string {
    this.#tokens.push(token);
    const text = this.#rest();
    if (this.#tokens.length - this.#shown >= MAX_HELD) return this.#show(text);
    return this.#isByte(token) || text.endsWith("\ufffd") ? "" : this.#show(text);
  }

  flush(): string {
    return this.whole ? "" : this.#show(this.#rest());
  }

  get whole(): boolean {
    return this.#shown === this.#tokens.length;
  }

  #rest(): string {
    const before = this.#shown === 0 ? "" : this.#decode(this.#tokens.slice(0, this.#shown));
    return this.#decode(this.#tokens).slice(before.length);
  }

  #show(text: string): string {
    this.#tokens = this.#tokens.slice(Math.min(this.#shown, this.#tokens.length - 1));
    this.#shown = this.#tokens.length;
    return text;
  }
}
