/** What keys with a name have asked for and used. The number of names in metrics is bounded. */
import type { Counter, Metrics } from "../../../runtime/observe/metrics.ts";
import type { RefusedBy } from "../../limits/limits.ts";

/** Keys beyond these are counted together. */
const NAMES_MOST = 256;
const OTHERS = "other keys";

export class KeyMetrics {
  readonly #metrics: Metrics;
  readonly #names = new Set<string>();
  /** Those that count often, by what they count. */
  readonly #counters = new Map<string, Counter>();
  #estimated: Counter | undefined;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  asked(key: string, refused_by: RefusedBy): void {
    const result = refused_by === "" ? "admitted" : refused_by;
    const label = this.#label(key);
    const help = "Requests by the name of their key: admitted, or what refused them";
    this.#counter(`${label} ${result}`, () =>
      this.#metrics.counter("troupe_key_requests_total", help, { key: label, result }),
    ).add();
  }

  used(key: string, tokens: number): void {
    const help = "Tokens of prompts and answers by the name of their key";
    const label = this.#label(key);
    this.#counter(label, () =>
      this.#metrics.counter("troupe_key_tokens_total", help, { key: label }),
    ).add(tokens);
  }

  estimated(): void {
    const help = "Requests of keys with limits that this frontend decided alone";
    this.#estimated ??= this.#metrics.counter("troupe_key_limits_estimated_total", help);
    this.#estimated.add();
  }

  #counter(of: string, make: () => Counter): Counter {
    const known = this.#counters.get(of);
    if (known !== undefined) return known;
    const made = make();
    this.#counters.set(of, made);
    return made;
  }

  #label(key: string): string {
    if (this.#names.has(key)) return key;
    if (this.#names.size >= NAMES_MOST) return OTHERS;
    this.#names.add(key);
    return key;
  }
}
