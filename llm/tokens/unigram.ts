/**
 * Unigram as Hugging Face's `tokenizers` runs it: of all ways to cut a word into pieces of the
 * vocabulary the one with the best sum of scores; of equal ones the first that was found.
 * Source: `encode_optimized` in `tokenizers/src/models/unigram/model.rs` (Apache-2.0).
 */
const UNKNOWN_PENALTY = 10;
const encoder = new TextEncoder();

type Node = { readonly next: Map<number, Node>; id: number };

export class Unigram {
  readonly #root: Node = { next: new Map(), id: -1 };
  readonly #scores: Float64Array;
  readonly #ids = new Map<string, number>();
  readonly #unknown_score: number;
  readonly #byte_ids: readonly (number | undefined)[];

  readonly #unknown_id: number | undefined;
  readonly #byte_fallback: boolean;

  constructor(
    vocab: readonly (readonly [string, number])[],
    unknown_id: number | undefined,
    byte_fallback: boolean,
  ) {
    this.#unknown_id = unknown_id;
    this.#byte_fallback = byte_fallback;
    this.#scores = Float64Array.from(vocab, ([, score]) => score);
    vocab.forEach(([text], id) => {
      this.#ids.set(text, id);
      let node = this.#root;
      for (const char of text) {
        const point = char.codePointAt(0)!;
        let next = node.next.get(point);
        if (next === undefined) {
          next = { next: new Map(), id: -1 };
          node.next.set(point, next);
        }
        node = next;
      }
      node.id = id;
    });
    this.#unknown_score = this.#scores.reduce((a, b) => Math.min(a, b), Infinity) - UNKNOWN_PENALTY;
    this.#byte_ids = Array.from({ length: 256 }, (_, byte) =>
      this.#ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
    );
  }

  /** The ids of a word's pieces, appended to `out`. */
  encode(word: string, out: (id: number) => void): void {
    const points = Array.from(word, (char) => char.codePointAt(0)!);
    const count = points.length;
    const score = new Float64Array(count + 1);
    const from = new Int32Array(count + 1).fill(-1);
    const piece = new Int32Array(count + 1);
    const offer = (start: number, end: number, id: number, gain: number): void => {
      const sum = gain + score[start]!;
      if (from[end]! >= 0 && !(sum > score[end]!)) return;
      score[end] = sum;
      from[end] = start;
      piece[end] = id;
    };
    for (let start = 0; start < count; start++) {
      let node: Node | undefined = this.#root;
      let single = false;
      for (let at = start; at < count; at++) {
        node = node.next.get(points[at]!);
        if (node === undefined) break;
        if (node.id < 0) continue;
        offer(start, at + 1, node.id, this.#scores[node.id]!);
        if (at === start) single = true;
      }
      if (!single) offer(start, start + 1, -1, this.#unknown_score);
    }
    const pieces: [start: number, end: number, id: number][] = [];
    for (let end = count; end > 0; end = from[end]!) {
      const start = from[end]!;
      const last = pieces.at(-1);
      const unknown = piece[end]! < 0 || piece[end] === this.#unknown_id;
      // Unknown characters in a row are one piece.
      if (unknown && last !== undefined && last[2] < 0) last[0] = start;
      else pieces.push([start, end, unknown ? -1 : piece[end]!]);
    }
    for (const [start, end, id] of pieces.reverse()) {
      if (id >= 0) out(id);
      else this.#unknown(String.fromCodePoint(...points.slice(start, end)), out);
    }
  }

  #unknown(text: string, out: (id: number) => void): void {
    const known = this.#ids.get(text);
    if (known !== undefined) {
      out(known);
      return;
    }
    const bytes = this.#byte_fallback
      ? Array.from(encoder.encode(text), (byte) => this.#byte_ids[byte])
      : [undefined];
    if (bytes.every((id) => id !== undefined)) bytes.forEach(out);
    else if (this.#unknown_id !== undefined) out(this.#unknown_id);
  }
}
