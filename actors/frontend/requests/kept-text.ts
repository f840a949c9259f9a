/** The last part of what an answer's choices say, for somebody who follows it. */

const MOST_CHARS = 16 * 1024;

export class KeptText {
  /** By choice. */
  readonly #texts: string[] = [];

  add(choice: number, text: string): void {
    const all = (this.#texts[choice] ?? "") + text;
    // Cut seldom, as a cut copies.
    this.#texts[choice] = all.length > 2 * MOST_CHARS ? all.slice(-MOST_CHARS) : all;
  }

  get chars(): number {
    let sum = 0;
    for (const text of this.#texts) sum += text?.length ?? 0;
    return sum;
  }

  /** Of several choices each with its number before it. */
  get whole(): string {
    const texts = this.#texts.map((text) => (text ?? "").slice(-MOST_CHARS));
    if (texts.length < 2) return texts[0] ?? "";
    return texts.map((text, choice) => `[choice ${choice}]\n${text}`).join("\n\n");
  }
}
