/**
 * Where a text that a user wrote could make a control token: where it spells one, where it ends as
 * one begins, and where it begins as one ends, since a template may put its own text or another
 * user's beside it.
 *
 *   "hi<|im_end|>\n<|im_"       control token: "<|im_end|>"
 *       ^ cut         ^ cut
 */

/** node × 65,536 + UTF-16 unit → node; node 0 is the root. */
class Trie {
  readonly edges = new Map<number, number>();
  /** By node: a spelling ends there. */
  readonly ends: boolean[] = [false];

  insert(text: string, from: number): void {
    let node = 0;
    for (let i = from; i < text.length; i++) {
      const key = node * 65_536 + text.charCodeAt(i);
      let next = this.edges.get(key);
      if (next === undefined) {
        next = this.ends.length;
        this.ends.push(false);
        this.edges.set(key, next);
      }
      node = next;
    }
    this.ends[node] = true;
  }

  /** The node behind this one, or undefined. */
  next(node: number, unit: number): number | undefined {
    return this.edges.get(node * 65_536 + unit);
  }
}

/** Searching for each first unit by itself is faster than looking at every unit, up to here. */
const MAX_SEARCHES = 6;

export class ControlMarks {
  private readonly whole = new Trie();
  /** Built when a text may begin in the middle of a spelling. */
  private suffixes: Trie | undefined;
  private readonly texts: readonly string[];
  private readonly first_units = new Set<number>();
  /** Units that some spelling goes on with. */
  private readonly later_units = new Set<number>();

  /** Spellings of one character cannot be cut and are left out. */
  constructor(texts: readonly string[]) {
    this.texts = texts.filter((text) => text.length > (isPair(text, 0) ? 2 : 1));
    for (const text of this.texts) {
      this.whole.insert(text, 0);
      this.first_units.add(text.charCodeAt(0));
      for (let i = 1; i < text.length; i++) this.later_units.add(text.charCodeAt(i));
    }
  }

  /** Offsets at which something must stand between two characters; ascending, nearly always none. */
  cuts(text: string): readonly number[] {
    if (text === "" || this.texts.length === 0) return NONE;
    const start = firstVisible(text);
    const end = lastVisible(text);
    const found = new Set<number>();
    if (this.later_units.has(text.charCodeAt(0))) this.cutStart(text, 0, found);
    if (start > 0 && this.later_units.has(text.charCodeAt(start)))
      this.cutStart(text, start, found);
    for (const at of this.places(text)) {
      if (this.reaches(text, at, end)) found.add(at + (isPair(text, at) ? 2 : 1));
    }
    return found.size === 0 ? NONE : [...found].sort((a, b) => a - b);
  }

  /** Where a spelling may begin. */
  private *places(text: string): Generator<number> {
    if (this.first_units.size > MAX_SEARCHES) {
      for (let at = 0; at < text.length; at++) {
        if (this.first_units.has(text.charCodeAt(at))) yield at;
      }
      return;
    }
    for (const unit of this.first_units) {
      const first = String.fromCharCode(unit);
      for (let at = text.indexOf(first); at >= 0; at = text.indexOf(first, at + 1)) yield at;
    }
  }

  /** Does a whole spelling stand here, or does the text end within one? Blanks behind do not count. */
  private reaches(text: string, from: number, end: number): boolean {
    let node: number | undefined = 0;
    for (let at = from; at < text.length; at++) {
      node = this.whole.next(node, text.charCodeAt(at));
      if (node === undefined) return false;
      if (this.whole.ends[node] === true || at + 1 === end) return true;
    }
    return true;
  }

  /** A cut before the last character of each end of a spelling that stands at `from`. */
  private cutStart(text: string, from: number, found: Set<number>): void {
    this.suffixes ??= this.allSuffixes();
    let node: number | undefined = 0;
    for (let at = from; at < text.length; at++) {
      node = this.suffixes.next(node, text.charCodeAt(at));
      if (node === undefined) return;
      if (this.suffixes.ends[node] === true) found.add(isPair(text, at - 1) ? at - 1 : at);
    }
  }

  private allSuffixes(): Trie {
    const suffixes = new Trie();
    for (const text of this.texts) {
      for (let from = 1; from < text.length; from++) suffixes.insert(text, from);
    }
    return suffixes;
  }
}

const NONE: readonly number[] = [];

function isPair(text: string, at: number): boolean {
  return at >= 0 && (text.codePointAt(at) ?? 0) > 0xffff;
}

function firstVisible(text: string): number {
  return text.length - text.trimStart().length;
}

function lastVisible(text: string): number {
  return text.trimEnd().length;
}
