import { BpeEncoder } from "./bpe.ts";
import { FolderTokenizer } from "./folder-tokenizer.ts";
import type { PrefixCacheOptions } from "./prefix-cache.ts";
import { outliveCuts } from "./slices.ts";
import { SpmEncoder } from "./spm.ts";
import type { EncodeOptions, Tokenizer } from "./tokenizer.ts";
import { readAlphabet, readAscii } from "./vocab/byte-alphabet.ts";
import { controlTexts } from "./vocab/control-texts.ts";
import { SpecialTokens } from "./vocab/special-tokens.ts";
import {
  ATTR_BYTE,
  ATTR_CONTROL,
  ATTR_NORMAL,
  ATTR_UNKNOWN,
  ATTR_USER_DEFINED,
  type SpecialIds,
  type Vocab,
} from "./vocab/vocab.ts";
import { TokenSink } from "./words/word-cache.ts";

/** Throws VocabError when the vocabulary's kind or pre-tokenizer is not known here. */
export function createTokenizer(vocab: Vocab, prefixes?: PrefixCacheOptions): Tokenizer {
  const { folder } = vocab;
  if (folder !== undefined) return new FolderTokenizer(vocab, folder, prefixes);
  return new VocabTokenizer(vocab, prefixes);
}

const SPELLED_SPACE = "\u2581";
const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

class VocabTokenizer implements Tokenizer {
  readonly vocab_size: number;
  readonly special: SpecialIds;
  readonly add_bos: boolean;
  readonly add_eos: boolean;
  readonly add_space_prefix: boolean;
  readonly #encoder: BpeEncoder | SpmEncoder;
  /** By `parse_special`; built when first asked for. */
  #with_control: SpecialTokens | undefined;
  #without_control: SpecialTokens | undefined;
  readonly #eog: ReadonlySet<number>;
  #controls: readonly string[] | undefined;
  #cuts: boolean | undefined;

  readonly #vocab: Vocab;

  constructor(vocab: Vocab, prefixes: PrefixCacheOptions | undefined) {
    this.#vocab = vocab;
    this.vocab_size = vocab.token_count;
    this.special = vocab.special;
    this.add_bos = vocab.flags.add_bos && vocab.special.bos !== undefined;
    this.add_eos = vocab.flags.add_eos && vocab.special.eos !== undefined;
    this.add_space_prefix = vocab.kind === "spm" && vocab.flags.add_space_prefix;
    this.#encoder = vocab.kind === "bpe" ? new BpeEncoder(vocab, prefixes) : new SpmEncoder(vocab);
    this.#eog = new Set(vocab.special.eog);
  }

  get control_texts(): readonly string[] {
    this.#controls ??= controlTexts(this.#vocab);
    return this.#controls;
  }

  get sliceable(): boolean {
    this.#cuts ??=
      this.#encoder.isSliceable(this.#vocab.flags.escape_spaces) &&
      outliveCuts(spelledSpecials(this.#vocab));
    return this.#cuts;
  }

  encode(text: string, options: EncodeOptions): Uint32Array {
    const { barrier } = options;
    const out = new TokenSink();
    if (options.add_special && this.add_bos) out.push(this.special.bos!);
    let after_special = true;
    for (const fragment of this.#specials(options.parse_special).partition(text)) {
      if (fragment.kind === "token") {
        out.push(fragment.token);
        after_special = true;
      } else {
        const plain = barrier === undefined ? fragment.text : fragment.text.replaceAll(barrier, "");
        if (plain === "") continue;
        const lead = this.add_space_prefix && after_special ? " " : "";
        this.#encoder.encode(lead + plain, out);
        after_special = false;
      }
    }
    if (options.add_special && this.add_eos) out.push(this.special.eos!);
    return out.tokens.slice(0, out.count);
  }

  tokenBytes(token: number): Uint8Array {
    return token >= 0 && token < this.vocab_size ? pieceOf(this.#vocab, token) : EMPTY;
  }

  asciiText(token: number): string | undefined {
    const { attrs, flags, table } = this.#vocab;
    const ordinary = attrs[token] === ATTR_NORMAL && flags.byte_alphabet;
    return ordinary ? readAscii(table.bytes, table.start(token), table.ends[token]!) : undefined;
  }

  isControl(token: number): boolean {
    return ((this.#vocab.attrs[token] ?? 0) & (ATTR_CONTROL | ATTR_UNKNOWN)) !== 0;
  }

  isEog(token: number): boolean {
    return this.#eog.has(token);
  }

  #specials(parse_special: boolean): SpecialTokens {
    if (parse_special) {
      this.#with_control ??= new SpecialTokens(this.#vocab, true);
      return this.#with_control;
    }
    this.#without_control ??= new SpecialTokens(this.#vocab, false);
    return this.#without_control;
  }
}

function* spelledSpecials(vocab: Vocab): Generator<string> {
  const marks = ATTR_CONTROL | ATTR_UNKNOWN | ATTR_USER_DEFINED;
  for (let token = 0; token < vocab.token_count; token++) {
    if ((vocab.attrs[token]! & marks) !== 0) yield decoder.decode(vocab.table.at(token));
  }
}

/** As llama.cpp's `token_to_piece` with special tokens shown. */
function pieceOf(vocab: Vocab, token: number): Uint8Array {
  const attr = vocab.attrs[token]!;
  const spelled = vocab.table.at(token);
  if ((attr & (ATTR_UNKNOWN | ATTR_CONTROL | ATTR_USER_DEFINED)) !== 0) return spelled;
  if ((attr & ATTR_NORMAL) !== 0) {
    if (vocab.flags.byte_alphabet) return readAlphabet(spelled) ?? spelled;
    return encoder.encode(decoder.decode(spelled).replaceAll(SPELLED_SPACE, " "));
  }
  if ((attr & ATTR_BYTE) !== 0) {
    return Uint8Array.of(Number.parseInt(decoder.decode(spelled.subarray(3, 5)), 16));
  }
  return EMPTY;
}
