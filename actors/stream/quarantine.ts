/**
 * Requests that crashed two workers, kept for a while by model and prompt. The same request is then
 * refused at once and crashes no worker. The list is empty as a rule, and then costs nothing.
 */
import type { AnswerRequest } from "./types.ts";

const KEPT_MS = 600_000;
const KEPT_MOST = 1_024;

type Key = Pick<AnswerRequest, "model" | "prompt">;

export class Quarantine {
  /** When each entry ends, oldest first. */
  readonly #until_ms = new Map<string, number>();

  get size(): number {
    return this.#until_ms.size;
  }

  add(request: Key, now_ms: number): void {
    const key = keyOf(request);
    this.#until_ms.delete(key);
    this.#until_ms.set(key, now_ms + KEPT_MS);
    if (this.#until_ms.size <= KEPT_MOST) return;
    for (const oldest of this.#until_ms.keys()) {
      this.#until_ms.delete(oldest);
      return;
    }
  }

  has(request: Key, now_ms: number): boolean {
    if (this.#until_ms.size === 0) return false;
    const key = keyOf(request);
    const until_ms = this.#until_ms.get(key);
    if (until_ms === undefined) return false;
    if (until_ms > now_ms) return true;
    this.#until_ms.delete(key);
    return false;
  }
}

/** Two hashes of 32 bits and the length: two prompts do not share them by chance. */
function keyOf({ model, prompt }: Key): string {
  let low = 0x811c9dc5;
  let high = 0x9e3779b9;
  for (const token of prompt) {
    low = Math.imul(low ^ token, 0x01000193);
    high = Math.imul(high ^ (token + (low >>> 7)), 0x85ebca6b);
  }
  return `${model}\n${prompt.length} ${low >>> 0} ${high >>> 0}`;
}
