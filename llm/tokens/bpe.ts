import { MergeQueue, SymbolList } from "./merge-queue.ts";
import { Neighbours } from "./neighbours.ts";
import { PrefixCache, type PrefixCacheOptions } from "./prefix-cache.ts";
import { TextBuffer } from "./text-buffer.ts";
import { BYTE_TO_CODE_POINT, writeAlphabet } from "./vocab/byte-alphabet.ts";
import { type Vocab, VocabError } from "./vocab/vocab.ts";
import { preTokenizer } from "./words/pre-tokenizers.ts";
import { endsBeforeSpaces } from "./words/space-cuts.ts";
import { unicodeClasses } from "./words/unicode-classes.ts";
import { MAX_CACHED_WORD_BYTES, type TokenSink, WordCache } from "./words/word-cache.ts";
import { type SplitStep, WordSplitter } from "./words/word-splitter.ts";

const encoder = new TextEncoder();
const SPELLED_SPACE = "\u2581";

/**
 * Byte-pair encoding as llama.cpp's `llm_tokenizer_bpe`: the text is cut into words, the symbols of
 * each word are joined best merge first. Turns one text fragment at a time into tokens.
 */
export class BpeEncoder {
  /** Undefined where the text is one word; it is cut where no merge can reach across. */
  readonly #splitter: WordSplitter | undefined;
  readonly #neighbours: Neighbours | undefined;
  /** Undefined where a word's end may depend on text far behind it. */
  readonly #prefixes: PrefixCache | undefined;
  readonly #text: TextBuffer;
  readonly #cache = new WordCache();
  readonly #queue = new MergeQueue();
  readonly #symbols = new SymbolList();
  readonly #merges: MergeTable;
  /** Symbol of each byte value, -1 where the vocabulary has none. */
  readonly #byte_symbols = new Int32Array(256);
  /** Token of each byte value as a fall-back for symbols that are no token, -1 for none. */
  readonly #byte_tokens = new Int32Array(256);
  #spelled = new Uint8Array(2 * MAX_CACHED_WORD_BYTES);

  /** Throws VocabError when the vocabulary names a pre-tokenizer that is not known here. */
  readonly #vocab: Vocab;

  constructor(vocab: Vocab, options?: PrefixCacheOptions, words: WordRules = rulesOf(vocab.pre)) {
    this.#vocab = vocab;
    this.#text = new TextBuffer(words.classes);
    if (words.steps.length > 0) this.#splitter = new WordSplitter(words.steps);
    else this.#neighbours = new Neighbours(vocab);
    if (this.#splitter?.restartable === true && options?.limit_bytes !== 0)
      this.#prefixes = new PrefixCache(options);
    this.#merges = new MergeTable(vocab.merges);
    for (let byte = 0; byte < 256; byte++) {
      this.#byte_symbols[byte] = this.#find(String.fromCodePoint(BYTE_TO_CODE_POINT[byte]!));
      this.#byte_tokens[byte] = this.#byteToken(byte);
    }
  }

  /**
   * See Tokenizer.sliceable: words begin with a space or have none. `spelled`: what comes here has
   * its spaces spelled as U+2581.
   */
  isSliceable(spelled: boolean): boolean {
    const splitter = this.#splitter;
    const neighbours = this.#neighbours;
    if (splitter === undefined) return spelled && neighbours?.endsAtSpaces === true;
    return !spelled && endsBeforeSpaces(splitter);
  }

  encode(text: string, out: TokenSink): void {
    const spelled = this.#vocab.flags.escape_spaces ? text.replaceAll(" ", SPELLED_SPACE) : text;
    const prefixes = this.#prefixes;
    if (prefixes === undefined) {
      this.#encodeRest(spelled, out);
      return;
    }
    const from = prefixes.begin(spelled, out);
    if (prefixes.learning) this.#encodeAndLearn(spelled, from, out, prefixes);
    else this.#encodeRest(from === 0 ? spelled : spelled.slice(from), out);
    prefixes.done(out);
  }

  #encodeRest(text: string, out: TokenSink): void {
    if (this.#splitter === undefined) {
      this.#encodeWhole(text, out);
      return;
    }
    this.#text.fill(text);
    const { starts } = this.#text;
    const words = this.#splitter.split(this.#text);
    let start = 0;
    for (let i = 0; i < words.count; i++) {
      const end = starts[words.ends[i]!]!;
      this.#word(start, end, out);
      start = end;
    }
  }

  #encodeWhole(text: string, out: TokenSink): void {
    this.#text.encode(text);
    const { bytes, byte_count } = this.#text;
    let start = 0;
    for (let at = 1; at <= byte_count; at++) {
      if (at < byte_count && this.#neighbours!.mayJoin(bytes, at)) continue;
      this.#word(start, at, out);
      start = at;
    }
  }

  /** The same, and every word's end is told, in units of the whole text. */
  #encodeAndLearn(text: string, from: number, out: TokenSink, prefixes: PrefixCache): void {
    this.#text.fill(text.slice(from));
    const { points, starts } = this.#text;
    const words = this.#splitter!.split(this.#text);
    let point = 0;
    let unit = from;
    for (let i = 0; i < words.count; i++) {
      const end = words.ends[i]!;
      this.#word(starts[point]!, starts[end]!, out);
      for (; point < end; point++) unit += points[point]! > 0xffff ? 2 : 1;
      prefixes.wordEnded(unit, out);
    }
  }

  #word(start: number, end: number, out: TokenSink): void {
    const { bytes } = this.#text;
    if (this.#cache.append(bytes, start, end, out)) return;
    const from = out.count;
    this.#encodeWord(bytes, start, end, out);
    this.#cache.learn(bytes, start, end, out, from);
  }

  #encodeWord(bytes: Uint8Array, start: number, end: number, out: TokenSink): void {
    const whole = this.#wholeWord(bytes, start, end);
    if (whole >= 0) {
      out.push(whole);
      return;
    }
    this.#fillSymbols(bytes, start, end);
    const symbols = this.#symbols;
    const queue = this.#queue;
    queue.clear();
    for (let i = 1; i < symbols.count; i++) this.#offer(i - 1, i);
    while (queue.pop()) {
      const { left, right } = queue;
      const left_size = symbols.sizes[left]!;
      const right_size = symbols.sizes[right]!;
      const stale = left_size === 0 || right_size === 0 || left_size + right_size !== queue.size;
      if (stale) continue;
      symbols.join(left, right, queue.payload);
      this.#offer(symbols.prev[left]!, left);
      this.#offer(left, symbols.next[left]!);
    }
    for (let i = symbols.count === 0 ? -1 : 0; i !== -1; i = symbols.next[i]!) {
      this.#emit(i, bytes, out);
    }
  }

  /** The token a word is taken for without merging, or -1. */
  #wholeWord(bytes: Uint8Array, start: number, end: number): number {
    const { flags, table, token_count, pre } = this.#vocab;
    const newlines = pre === "gemma4" && bytes[start] === 0x0a; // lines hold nothing else then
    if (!flags.ignore_merges && !newlines) return -1;
    let found: number;
    if (flags.byte_alphabet) {
      if (this.#spelled.length < 2 * (end - start))
        this.#spelled = new Uint8Array(4 * (end - start));
      const length = writeAlphabet(bytes, start, end, this.#spelled);
      found = table.find(this.#spelled, 0, length);
    } else {
      found = table.find(bytes, start, end);
    }
    return found < token_count ? found : -1;
  }

  #fillSymbols(bytes: Uint8Array, start: number, end: number): void {
    const symbols = this.#symbols;
    const vocab = this.#vocab;
    symbols.clear();
    if (vocab.flags.byte_alphabet) {
      for (let i = start; i < end; i++) symbols.push(i, 1, this.#byte_symbols[bytes[i]!]!);
      return;
    }
    for (let i = start; i < end; ) {
      const lead = bytes[i]!;
      const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
      symbols.push(i, size, vocab.table.find(bytes, i, i + size));
      i += size;
    }
  }

  #offer(left: number, right: number): void {
    if (left < 0 || right < 0) return;
    const symbols = this.#symbols;
    const rank = this.#merges.rank(symbols.ids[left]!, symbols.ids[right]!);
    if (rank < 0) return;
    const size = symbols.sizes[left]! + symbols.sizes[right]!;
    this.#queue.push(rank, left, right, size, this.#vocab.merges[3 * rank + 2]!);
  }

  /** A symbol that is no token falls back to the tokens of its bytes, as far as there are any. */
  #emit(symbol: number, bytes: Uint8Array, out: TokenSink): void {
    const symbols = this.#symbols;
    const vocab = this.#vocab;
    const id = symbols.ids[symbol]!;
    if (id >= 0 && id < vocab.token_count) {
      out.push(id);
      return;
    }
    const start = symbols.starts[symbol]!;
    for (let i = start; i < start + symbols.sizes[symbol]!; i++) {
      const token = this.#byte_tokens[bytes[i]!]!;
      if (token >= 0) out.push(token);
    }
  }

  #byteToken(byte: number): number {
    if (!this.#vocab.flags.byte_alphabet) {
      return this.#findToken(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    }
    // llama.cpp looks up single bytes of the spelling, so only those spelled in ASCII can be found.
    const point = BYTE_TO_CODE_POINT[byte]!;
    return point < 0x80 ? this.#findToken(String.fromCodePoint(point)) : -1;
  }

  #find(text: string): number {
    const bytes = encoder.encode(text);
    return this.#vocab.table.find(bytes, 0, bytes.length);
  }

  #findToken(text: string): number {
    const found = this.#find(text);
    return found < this.#vocab.token_count ? found : -1;
  }
}

/** Which pairs of symbols merge, and how early: the index of the merge is its rank. */
class MergeTable {
  readonly #slots: Int32Array;
  readonly #mask: number;

  readonly #merges: Uint32Array;

  constructor(merges: Uint32Array) {
    this.#merges = merges;
    let size = 16;
    while (size < (2 * merges.length) / 3) size *= 2;
    this.#slots = new Int32Array(size).fill(-1);
    this.#mask = size - 1;
    for (let rank = 0; 3 * rank < merges.length; rank++) {
      const slot = this.#slotOf(merges[3 * rank]!, merges[3 * rank + 1]!);
      if (this.#slots[slot]! < 0) this.#slots[slot] = rank; // of equal pairs the first counts
    }
  }

  rank(left: number, right: number): number {
    if (left < 0 || right < 0) return -1;
    return this.#slots[this.#slotOf(left, right)]!;
  }

  #slotOf(left: number, right: number): number {
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    let slot = Math.imul(hash, 0x2c1b3c6d) & this.#mask;
    for (;;) {
      const rank = this.#slots[slot]!;
      if (rank < 0) return slot;
      if (this.#merges[3 * rank] === left && this.#merges[3 * rank + 1] === right) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }
}

/** How text is cut into words; without a step it is one word. */
export type WordRules = { readonly steps: readonly SplitStep[]; readonly classes: Uint8Array };

function rulesOf(pre_name: string): WordRules {
  const pre = preTokenizer(pre_name);
  if (pre === undefined) throw unknownPreTokenizer(pre_name);
  return { steps: pre.steps, classes: unicodeClasses() };
}

export function unknownPreTokenizer(name: string): VocabError {
  const advice = "convert the model again with a current llama.cpp, or take another model";
  return new VocabError("vocab_unsupported", `unknown pre-tokenizer "${name}": ${advice}`);
}
