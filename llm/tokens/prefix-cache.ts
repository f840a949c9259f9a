/**
 * Beginnings of texts that were tokenized before. Conversations repeat everything but their last
 * turn and applications repeat their instructions, so a long text is mostly one that was seen.
 *
 *   text    │ chunk 0 │ chunk 1 │ chunk 2 │ rest     a path in a tree, keyed by the chunks
 *   tokens  │ …    c0 │ …    c1 │ …    c2 │           each node: tokens up to its checkpoint
 *
 * A checkpoint is the end of a word that no text behind the chunk can change; tokenizing goes on
 * from there. Exact: chunks are compared, not hashes of them. Only what comes a second time is
 * kept, so that texts that never come again cost neither memory nor time.
 */
import type { TokenSink } from "./words/word-cache.ts";

type Node = {
  readonly children: Map<string, Node>;
  /** Tokens between the parent's checkpoint and this one. */
  readonly tokens: Uint32Array;
  /** The checkpoint, in UTF-16 units from the text's start. */
  readonly end: number;
  /** Number of the last text that came by; a parent's is never older than a child's. */
  used: number;
};

export type PrefixCacheOptions = {
  /** Units of a chunk. Default 1,024. */
  readonly chunk?: number;
  /** Roughly what it may hold; 0 = there is none. Default 16 MiB. */
  readonly limit_bytes?: number;
};

const CHUNK = 1_024;
const LIMIT_BYTES = 16 * 1024 * 1024;
/** A node and its place in the parent's map. */
const NODE_BYTES = 240;
/** Chunks seen once, by the hash of all text up to their end. */
const SEEN = 1 << 15;

export class PrefixCache {
  size_bytes = 0;
  readonly #chunk: number;
  readonly #limit_bytes: number;
  readonly #root: Node = newNode(0, new Uint32Array(0));
  readonly #seen = new Int32Array(SEEN);
  readonly #units: Uint16Array;
  #texts = 0;

  // The text at hand, from `begin` on.
  #text = "";
  #node = this.#root;
  #depth = 0;
  /** Chunks from the start that are to be in the tree when this text is done. */
  #wanted = 0;
  #best = 0;
  #best_count = 0;
  #last_count = 0;

  constructor(options: PrefixCacheOptions = {}) {
    this.#chunk = options.chunk ?? CHUNK;
    this.#limit_bytes = options.limit_bytes ?? LIMIT_BYTES;
    this.#units = new Uint16Array(this.#chunk);
  }

  /**
   * Appends the tokens of the longest beginning that is known, and says where the rest starts. Of
   * the rest each word's end is to be told by `wordEnded` while `learning`, then `done` called.
   */
  begin(text: string, out: TokenSink): number {
    const chunk = this.#chunk;
    const root = this.#root;
    const chunks = Math.floor(text.length / chunk);
    this.#texts++;
    let node = root;
    let depth = 0;
    while (depth < chunks) {
      const next = node.children.get(text.slice(depth * chunk, (depth + 1) * chunk));
      if (next === undefined) break;
      node = next;
      node.used = this.#texts;
      out.append(node.tokens);
      depth++;
    }
    this.#wanted = this.#seenChunks(text, depth, chunks);
    this.#text = text;
    this.#node = node;
    this.#depth = depth;
    this.#best = node.end;
    this.#best_count = out.count;
    this.#last_count = out.count;
    return node.end;
  }

  get learning(): boolean {
    return this.#depth < this.#wanted;
  }

  /** `end`: in units of the whole text. To be called for each word in turn. */
  wordEnded(end: number, out: TokenSink): void {
    while (this.learning && end + 2 > (this.#depth + 1) * this.#chunk) this.#add(out);
    if (!isFirm(this.#text, end)) return;
    this.#best = end;
    this.#best_count = out.count;
  }

  done(out: TokenSink): void {
    while (this.learning) this.#add(out);
    this.#text = "";
    this.#node = this.#root;
    if (this.size_bytes > this.#limit_bytes) this.#prune();
  }

  /** The chunk at hand has been passed: what was certain inside of it is. */
  #add(out: TokenSink): void {
    const chunk = this.#chunk;
    const depth = this.#depth;
    const text = this.#text;
    const tokens = out.tokens.slice(this.#last_count, this.#best_count);
    const node = newNode(this.#best, tokens);
    node.used = this.#texts;
    this.#node.children.set(this.#copy(text, depth * chunk), node);
    this.size_bytes += this.#bytesOf(node);
    this.#node = node;
    this.#depth++;
    this.#last_count = this.#best_count;
  }

  /** How many chunks were seen before, from `depth` on in a row; notes them all as seen. */
  #seenChunks(text: string, depth: number, chunks: number): number {
    const chunk = this.#chunk;
    const seen = this.#seen;
    let known = depth;
    let hash = depth;
    for (let i = depth; i < chunks; i++) {
      hash = Bun.hash.xxHash32(text.slice(i * chunk, (i + 1) * chunk), hash) | 0;
      const slot = hash & (SEEN - 1);
      if (known === i && seen[slot] === hash) known++;
      seen[slot] = hash;
    }
    return known;
  }

  /** A slice would keep the whole prompt alive that it was cut from. */
  #copy(text: string, from: number): string {
    const units = this.#units;
    for (let i = 0; i < units.length; i++) units[i] = text.charCodeAt(from + i);
    return String.fromCharCode(...units);
  }

  #bytesOf(node: Node): number {
    return 2 * this.#chunk + node.tokens.byteLength + NODE_BYTES;
  }

  /** Forgets the half that was not used for the longest time. */
  #prune(): void {
    const nodes: Node[] = [];
    const gather = (node: Node): void => {
      for (const child of node.children.values()) {
        nodes.push(child);
        gather(child);
      }
    };
    gather(this.#root);
    nodes.sort((a, b) => b.used - a.used);
    let kept_bytes = 0;
    let oldest = Number.POSITIVE_INFINITY;
    for (const node of nodes) {
      kept_bytes += this.#bytesOf(node);
      if (kept_bytes > this.#limit_bytes / 2) break;
      oldest = node.used;
    }
    this.size_bytes = this.#keep(this.#root, oldest);
  }

  #keep(node: Node, oldest: number): number {
    let size_bytes = 0;
    for (const [key, child] of node.children) {
      if (child.used < oldest) node.children.delete(key);
      else size_bytes += this.#bytesOf(child) + this.#keep(child, oldest);
    }
    return size_bytes;
  }
}

function newNode(end: number, tokens: Uint32Array): Node {
  return { children: new Map(), tokens, end, used: 0 };
}

/**
 * Nothing behind the two units after `end` can move this word's end: splitters look ahead no
 * further than to the end of a run of blanks, and here it ends.
 */
function isFirm(text: string, end: number): boolean {
  const next = text.charCodeAt(end);
  return isVisible(next) || (next === 0x20 && isVisible(text.charCodeAt(end + 1)));
}

/** Printable ASCII but for the apostrophe, whose contractions look two characters ahead. */
function isVisible(unit: number): boolean {
  return unit > 0x20 && unit < 0x7f && unit !== 0x27;
}
