/**
 * Markers that are looked for together. None is the beginning of another, so that what is found
 * first does not depend on how much of the text is there yet.
 */
export class Markers {
  readonly texts: readonly string[];
  /** First units of all markers. */
  readonly #firsts: readonly number[];
  readonly #only: string;

  /** Throws when one marker begins with another: a fault of the table. */
  constructor(texts: readonly string[]) {
    this.texts = [...new Set(texts)].filter((text) => text !== "");
    for (const text of this.texts) {
      const longer = this.texts.find((other) => other !== text && other.startsWith(text));
      if (longer !== undefined) throw new Error(`marker ${text} begins marker ${longer}`);
    }
    this.#firsts = [...new Set(this.texts.map((text) => text.charCodeAt(0)))];
    this.#only = this.#firsts.length === 1 ? String.fromCharCode(this.#firsts[0]!) : "";
  }

  /** Where a marker could begin at or after `from`, or −1. */
  candidate(text: string, from: number): number {
    if (this.#only !== "") return text.indexOf(this.#only, from);
    const firsts = this.#firsts;
    for (let at = from; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      for (let i = 0; i < firsts.length; i++) if (firsts[i] === unit) return at;
    }
    return -1;
  }
}
