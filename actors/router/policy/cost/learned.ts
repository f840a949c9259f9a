/** Learned by a dispatcher: the speed and load of workers, and the length of answers. */
import { type RoutedWorker, touch } from "../worker-state.ts";
import { LoadMeter } from "./load-meter.ts";
import { type PassRates, type PassSums, promptWorkMs, RateEstimator } from "./pass-rates.ts";

/** Answers' mean length moves by this share with each one. */
const MEAN_STEP = 0.01;
const OUTPUT_TOKENS_FIRST = 256;

export class Learned {
  readonly #pool = new RateEstimator();
  /** Rates by key of the worker. */
  readonly #own = new Map<string, RateEstimator>();
  readonly #meter = new LoadMeter();
  #prompt_load = 0;
  #output_tokens = OUTPUT_TOKENS_FIRST;

  /** Share of the workers' time that prompts take, 0 to 1. */
  get prompt_load(): number {
    return this.#prompt_load;
  }

  /** Running mean of answer lengths. */
  get output_tokens(): number {
    return this.#output_tokens;
  }

  /** Rates of all workers together; undefined: too few reports so far. */
  poolRates(): PassRates | undefined {
    return this.#pool.rates();
  }

  /** The worker's own rates once it has reported enough, the pool's until then. */
  ratesOf(worker: RoutedWorker): PassRates | undefined {
    return worker.rates ?? this.#pool.rates();
  }

  /**
   * @param sums since the worker's last report
   * @param workers how many share the load
   */
  observe(worker: RoutedWorker, sums: PassSums, workers: number, now_ms: number): void {
    let own = this.#own.get(worker.key);
    if (own === undefined) {
      own = new RateEstimator(this.#pool);
      this.#own.set(worker.key, own);
    }
    this.#pool.observe(sums);
    own.observe(sums);
    const learned = own.rates();
    if (learned !== worker.rates) {
      worker.rates = learned;
      touch(worker);
    }
    const rates = this.ratesOf(worker);
    if (rates === undefined) return;
    this.#meter.add(promptWorkMs(rates, sums), now_ms);
    this.#prompt_load = this.#meter.share(workers);
  }

  /** Adds the length of a finished answer. */
  answered(output_tokens: number): void {
    this.#output_tokens += MEAN_STEP * (output_tokens - this.#output_tokens);
  }

  forget(key: string): void {
    this.#own.delete(key);
  }
}
