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
const FIRST = 1;
const LATER = 2;
const SECOND = 4;
const LAST = 8;

export class ControlMarks {
  readonly #whole = new Trie();
  /** Built when a text may begin in the middle of a spelling. */
  #suffixes: Trie | undefined;
  readonly texts: readonly string[];
  readonly #first_units: readonly number[];
  readonly #first_chars: readonly string[];
  /** By unit: where in spellings it stands, so that nearly all text is passed over at a glance. */
  readonly #units = new Uint8Array(65_536);

  /** Spellings of one character cannot be cut and are left out. */
  constructor(texts: readonly string[]) {
    this.texts = texts.filter((text) => text.length > (isPair(text, 0) ? 2 : 1));
    for (const text of this.texts) {
      this.#whole.insert(text, 0);
      this.#units[text.charCodeAt(0)]! |= FIRST;
      for (let i = 1; i < text.length; i++) this.#units[text.charCodeAt(i)]! |= LATER;
      this.#units[text.charCodeAt(1)]! |= SECOND;
      this.#units[text.charCodeAt(text.length - 1)]! |= LAST;
    }
    this.#first_units = [...new Set(this.texts.map((text) => text.charCodeAt(0)))];
    this.#first_chars = this.#first_units.map((unit) => String.fromCharCode(unit));
  }

  /** Does the text need a cut? Takes the time of a search, and makes nothing. */
  touches(text: string): boolean {
    if (text === "" || this.texts.length === 0) return false;
    if (this.#startsInside(text, 0)) return true;
    if (mayBeBlank(text.charCodeAt(0))) {
      const start = firstVisible(text);
      if (start > 0 && this.#startsInside(text, start)) return true;
    }
    const end = lastVisible(text);
    if (this.#first_chars.length > MAX_SEARCHES) {
      for (let at = 0; at < text.length; at++) {
        if ((this.#units[text.charCodeAt(at)]! & FIRST) !== 0 && this.#reaches(text, at, end))
          return true;
      }
      return false;
    }
    for (const first of this.#first_chars) {
      for (let at = text.indexOf(first); at >= 0; at = text.indexOf(first, at + 1)) {
        if (this.#reaches(text, at, end)) return true;
      }
    }
    return false;
  }

  /** Offsets at which something must stand between two characters, ascending. */
  cuts(text: string): readonly number[] {
    const found = new Set<number>();
    if (this.touches(text)) {
      this.#cutStart(text, 0, found);
      this.#cutStart(text, firstVisible(text), found);
      const end = lastVisible(text);
      for (let at = 0; at < text.length; at++) {
        const begins = (this.#units[text.charCodeAt(at)]! & FIRST) !== 0;
        if (begins && this.#reaches(text, at, end)) found.add(at + (isPair(text, at) ? 2 : 1));
      }
    }
    return [...found].sort((a, b) => a - b);
  }

  /** Does a spelling stand here, or does the text end within one? Blanks behind do not count. */
  #reaches(text: string, from: number, end: number): boolean {
    if (from + 1 < end && (this.#units[text.charCodeAt(from + 1)]! & SECOND) === 0) return false;
    let node: number | undefined = 0;
    for (let at = from; at < text.length; at++) {
      node = this.#whole.next(node, text.charCodeAt(at));
      if (node === undefined) return false;
      if (this.#whole.ends[node] === true) return true;
      if (at + 1 === end) return true;
    }
    return true;
  }

  #startsInside(text: string, from: number): boolean {
    const suffixes = this.#suffixes;
    const units = this.#units;
    let end = from;
    while (end < text.length && (units[text.charCodeAt(end)]! & (LATER | LAST)) === LATER) end++;
    if (end === text.length || (units[text.charCodeAt(end)]! & LAST) === 0) return false;
    if (suffixes === undefined) {
      this.#suffixes = this.#allSuffixes();
      return this.#startsInside(text, from);
    }
    let node: number | undefined = 0;
    for (let at = from; at < text.length; at++) {
      node = suffixes.next(node, text.charCodeAt(at));
      if (node === undefined) return false;
      if (suffixes.ends[node] === true) return true;
    }
    return false;
  }

  /** A cut before the last character of each end of a spelling that stands at `from`. */
  #cutStart(text: string, from: number, found: Set<number>): void {
    this.#suffixes ??= this.#allSuffixes();
    let node: number | undefined = 0;
    for (let at = from; at < text.length; at++) {
      node = this.#suffixes.next(node, text.charCodeAt(at));
      if (node === undefined) return;
      if (this.#suffixes.ends[node] === true) found.add(isPair(text, at - 1) ? at - 1 : at);
    }
  }

  #allSuffixes(): Trie {
    const suffixes = new Trie();
    for (const text of this.texts) {
      for (let from = 1; from < text.length; from++) suffixes.insert(text, from);
    }
    return suffixes;
  }
}

function isPair(text: string, at: number): boolean {
  return at >= 0 && (text.codePointAt(at) ?? 0) > 0xffff;
}

function firstVisible(text: string): number {
  return text.length - text.trimStart().length;
}

/** Index behind the last character that is no blank. */
function lastVisible(text: string): number {
  return mayBeBlank(text.charCodeAt(text.length - 1)) ? text.trimEnd().length : text.length;
}

function mayBeBlank(unit: number): boolean {
  return unit <= 0x20 || unit > 0x7e;
}
