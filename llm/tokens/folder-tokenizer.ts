import { AddedTokens } from "./added-tokens.ts";
import { BpeEncoder } from "./bpe.ts";
import { ByteFallbackDecoder, byteOfToken } from "./byte-fallback.ts";
import type { PrefixCacheOptions } from "./prefix-cache.ts";
import { outliveCuts } from "./slices.ts";
import type { EncodeOptions, TokenDecoder, Tokenizer } from "./tokenizer.ts";
import { readAlphabet, readAscii } from "./vocab/byte-alphabet.ts";
import { controlTexts } from "./vocab/control-texts.ts";
import type { FolderRules } from "./vocab/folder-rules.ts";
import { ATTR_NORMAL, ATTR_UNUSED, type SpecialIds, type Vocab } from "./vocab/vocab.ts";
import { type NormalizerStep, normalize } from "./words/normalizers.ts";
import { categoryClasses } from "./words/unicode-categories.ts";
import { TokenSink } from "./words/word-cache.ts";

const SPELLED_SPACE = "\u2581";
const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The tokenizer of a `tokenizer.json`, equal to Hugging Face's `tokenizers` token for token:
 *
 *   text ─▶ added tokens ─▶ normalized ─▶ added tokens ─▶ words ─▶ merges
 *
 * `parse_special` false leaves special tokens text, as its `encode_special_tokens` does.
 */
export class FolderTokenizer implements Tokenizer {
  readonly vocab_size: number;
  readonly special: SpecialIds;
  readonly add_bos: boolean;
  readonly add_eos: boolean;
  readonly add_space_prefix: boolean;
  readonly newDecoder?: () => TokenDecoder;
  readonly #encoder: BpeEncoder;
  readonly #raw: AddedTokens;
  readonly #normalized: AddedTokens;
  /** Spellings of added tokens; those that are looked for in normalized text are shown so, too. */
  readonly #added: ReadonlyMap<number, Uint8Array>;
  readonly #hidden: ReadonlySet<number>;
  readonly #eog: ReadonlySet<number>;
  #controls: readonly string[] | undefined;
  #cuts: boolean | undefined;

  readonly #vocab: Vocab;
  readonly #rules: FolderRules;

  constructor(vocab: Vocab, rules: FolderRules, prefixes: PrefixCacheOptions | undefined) {
    this.#vocab = vocab;
    this.#rules = rules;
    this.vocab_size = vocab.token_count;
    this.special = vocab.special;
    this.add_bos = vocab.flags.add_bos && vocab.special.bos !== undefined;
    this.add_eos = vocab.flags.add_eos && vocab.special.eos !== undefined;
    this.add_space_prefix = rules.strip_start;
    const words = { steps: rules.words, classes: categoryClasses() };
    this.#encoder = new BpeEncoder(vocab, prefixes, words);
    const raw = rules.added.filter((token) => !token.normalized);
    const normalized = rules.added.filter((token) => token.normalized);
    this.#raw = new AddedTokens(
      raw,
      raw.map((token) => token.content),
    );
    this.#normalized = new AddedTokens(
      normalized,
      normalized.map((token) => normalize(token.content, rules.normalizer)),
    );
    this.#added = new Map(
      rules.added.map(({ id, content, normalized: formed }) => {
        return [id, encoder.encode(formed ? normalize(content, rules.normalizer) : content)];
      }),
    );
    this.#hidden = new Set(rules.added.filter((token) => token.special).map((token) => token.id));
    this.#eog = new Set(vocab.special.eog);
    if (!rules.byte_level) this.newDecoder = () => this.#fallbackDecoder();
  }

  get control_texts(): readonly string[] {
    this.#controls ??= controlTexts(this.#vocab);
    return this.#controls;
  }

  get sliceable(): boolean {
    this.#cuts ??= this.#outlivesCuts();
    return this.#cuts;
  }

  encode(text: string, options: EncodeOptions): Uint32Array {
    const out = new TokenSink();
    if (options.add_special && this.add_bos) out.push(this.special.bos!);
    const well_formed = text.isWellFormed() ? text : text.toWellFormed();
    for (const piece of this.#raw.partition(well_formed, options.parse_special)) {
      if (piece.kind === "token") out.push(piece.token);
      else this.#encodePiece(normalize(piece.text, this.#rules.normalizer), options, out);
    }
    if (options.add_special && this.add_eos) out.push(this.special.eos!);
    return out.tokens.slice(0, out.count);
  }

  #outlivesCuts(): boolean {
    const { normalizer, space_prefix, strip_start, added } = this.#rules;
    const spells = (step: NormalizerStep) =>
      step.kind === "replace" && step.from === " " && step.to === SPELLED_SPACE;
    const rest = normalizer.filter((step) => !spells(step));
    // A step that adds or removes text at the ends of a text would do so for each slice.
    const local = rest.every(({ kind }) => kind === "form" || kind === "lower");
    if (!local || space_prefix || strip_start) return false;
    const spelled = rest.length < normalizer.length;
    return this.#encoder.isSliceable(spelled) && outliveCuts(added.map(({ content }) => content));
  }

  #encodePiece(text: string, options: EncodeOptions, out: TokenSink): void {
    if (this.#normalized.empty) {
      this.#encodeText(text, options, out);
      return;
    }
    for (const piece of this.#normalized.partition(text, options.parse_special)) {
      if (piece.kind === "token") out.push(piece.token);
      else this.#encodeText(piece.text, options, out);
    }
  }

  #encodeText(text: string, { barrier }: EncodeOptions, out: TokenSink): void {
    const plain = barrier === undefined ? text : text.replaceAll(barrier, "");
    if (plain === "") return;
    const lead = this.#rules.space_prefix && !plain.startsWith(" ") ? " " : "";
    this.#encoder.encode(lead + plain, out);
  }

  tokenBytes(token: number): Uint8Array {
    if (!(token >= 0 && token < this.vocab_size)) return EMPTY;
    if ((this.#vocab.attrs[token]! & ATTR_UNUSED) !== 0) return EMPTY;
    const spelled = this.#added.get(token) ?? this.#vocab.table.at(token);
    if (this.#rules.byte_level) return readAlphabet(spelled) ?? spelled;
    const text = decoder.decode(spelled);
    const byte = byteOfToken(text);
    if (byte !== undefined) return Uint8Array.of(byte);
    return text.includes(SPELLED_SPACE)
      ? encoder.encode(text.replaceAll(SPELLED_SPACE, " "))
      : spelled;
  }

  asciiText(token: number): string | undefined {
    const { attrs, table } = this.#vocab;
    const ordinary = attrs[token] === ATTR_NORMAL && this.#rules.byte_level;
    return ordinary ? readAscii(table.bytes, table.start(token), table.ends[token]!) : undefined;
  }

  isControl(token: number): boolean {
    return this.#hidden.has(token);
  }

  isEog(token: number): boolean {
    return this.#eog.has(token);
  }

  #fallbackDecoder(): TokenDecoder {
    return new ByteFallbackDecoder((token) => {
      const in_use = token >= 0 && token < this.vocab_size;
      if (!in_use || (this.#vocab.attrs[token]! & ATTR_UNUSED) !== 0) return undefined;
      const spelled = this.#added.get(token) ?? this.#vocab.table.at(token);
      return decoder.decode(spelled).replaceAll(SPELLED_SPACE, " ");
    });
  }
}
