/** What keys with a name have asked for and used. The number of names in metrics is bounded. */
import type { Counter, Metrics } from "../../../runtime/observe/metrics.ts";
import type { RefusedBy } from "../../limits/limits.ts";

/** Keys beyond these are counted together. */
const NAMES_MOST = 256;
const OTHERS = "other keys";

export class KeyMetrics {
  readonly #metrics: Metrics;
  readonly #names = new Set<string>();
  #estimated: Counter | undefined;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  asked(key: string, refused_by: RefusedBy): void {
    const labels = { key: this.#label(key), result: refused_by === "" ? "admitted" : refused_by };
    const help = "Requests by the name of their key: admitted, or what refused them";
    this.#metrics.counter("troupe_key_requests_total", help, labels).add();
  }

  used(key: string, tokens: number): void {
    const help = "Tokens of prompts and answers by the name of their key";
    const labels = { key: this.#label(key) };
    this.#metrics.counter("troupe_key_tokens_total", help, labels).add(tokens);
  }

  estimated(): void {
    const help = "Requests of keys with limits that this frontend decided alone";
    this.#estimated ??= this.#metrics.counter("troupe_key_limits_estimated_total", help);
    this.#estimated.add();
  }

  #label(key: string): string {
    if (this.#names.has(key)) return key;
    if (this.#names.size >= NAMES_MOST) return OTHERS;
    this.#names.add(key);
    return key;
  }
}
