import { MergeQueue, SymbolList } from "./merge-queue.ts";
import { Neighbours } from "./neighbours.ts";
import { TextBuffer } from "./text-buffer.ts";
import { type Vocab, VocabError } from "./vocab/vocab.ts";
import { type TokenSink, WordCache } from "./words/word-cache.ts";

const SPELLED_SPACE = "\u2581";
const encoder = new TextEncoder();

/**
 * SentencePiece-style merging as llama.cpp's `llm_tokenizer_spm`: characters join to the token with
 * the best score, leftmost first; what is no token falls back to byte tokens.
 *
 * llama.cpp merges the whole text at once. Here it is cut wherever no token of the vocabulary holds
 * the two characters at the cut side by side: no merge can cross such a place, so the pieces give
 * the same tokens, and most pieces are words that the cache knows.
 */
export class SpmEncoder {
  readonly #text = new TextBuffer();
  readonly #cache = new WordCache();
  readonly #queue = new MergeQueue();
  readonly #symbols = new SymbolList();
  readonly #neighbours: Neighbours;
  readonly #byte_tokens: Int32Array;

  /** Throws VocabError when the vocabulary lacks byte tokens. */
  readonly #vocab: Vocab;

  constructor(vocab: Vocab) {
    this.#vocab = vocab;
    this.#neighbours = new Neighbours(vocab);
    this.#byte_tokens = byteTokens(vocab);
  }

  /** See Tokenizer.sliceable. */
  isSliceable(): boolean {
    return this.#neighbours.endsAtSpaces;
  }

  encode(text: string, out: TokenSink): void {
    this.#text.encode(text.replaceAll(" ", SPELLED_SPACE));
    const { bytes, byte_count } = this.#text;
    let start = 0;
    for (let at = 1; at <= byte_count; at++) {
      if (at < byte_count && this.#neighbours.mayJoin(bytes, at)) continue;
      if (!this.#cache.append(bytes, start, at, out)) {
        const from = out.count;
        this.#encodePiece(bytes, start, at, out);
        this.#cache.learn(bytes, start, at, out, from);
      }
      start = at;
    }
  }

  #encodePiece(bytes: Uint8Array, start: number, end: number, out: TokenSink): void {
    const symbols = this.#symbols;
    const queue = this.#queue;
    symbols.clear();
    for (let i = start; i < end; ) {
      const lead = bytes[i]!;
      const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
      symbols.push(i, size, 0);
      i += size;
    }
    queue.clear();
    for (let i = 1; i < symbols.count; i++) this.#offer(bytes, i - 1, i);
    while (queue.pop()) {
      const { left, right } = queue;
      const left_size = symbols.sizes[left]!;
      const right_size = symbols.sizes[right]!;
      const stale = left_size === 0 || right_size === 0 || left_size + right_size !== queue.size;
      if (stale) continue;
      symbols.join(left, right, queue.payload);
      this.#offer(bytes, symbols.prev[left]!, left);
      this.#offer(bytes, left, symbols.next[left]!);
    }
    for (let i = symbols.count === 0 ? -1 : 0; i !== -1; i = symbols.next[i]!) {
      this.#emit(bytes, symbols.starts[i]!, symbols.sizes[i]!, out);
    }
  }

  #offer(bytes: Uint8Array, left: number, right: number): void {
    if (left < 0 || right < 0) return;
    const symbols = this.#symbols;
    const vocab = this.#vocab;
    const start = symbols.starts[left]!;
    const size = symbols.sizes[left]! + symbols.sizes[right]!;
    const token = vocab.table.find(bytes, start, start + size);
    if (token < 0) return;
    this.#queue.push(-vocab.scores[token]!, left, right, size, token);
  }

  #emit(bytes: Uint8Array, start: number, size: number, out: TokenSink): void {
    const token = this.#vocab.table.find(bytes, start, start + size);
    if (token >= 0) {
      out.push(token);
      return;
    }
    for (let i = start; i < start + size; i++) out.push(this.#byte_tokens[bytes[i]!]!);
  }
}

function byteTokens(vocab: Vocab): Int32Array {
  const tokens = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const name = encoder.encode(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    let token = vocab.table.find(name, 0, name.length);
    if (token < 0) token = vocab.table.find(Uint8Array.of(byte), 0, 1);
    if (token < 0) {
      const message = `the vocabulary has no token for byte ${byte}: get the model again`;
      throw new VocabError("vocab_corrupt", message);
    }
    tokens[byte] = token;
  }
  return tokens;
}
