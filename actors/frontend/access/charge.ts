/** What one answer costs its key, and the meter that says so when the answer has ended. */
import type { AnswerUsage } from "../../stream/stream.ts";
import type { RequestMeter } from "../frontend-metrics.ts";

/** What one answer costs its key. */
export interface Charge {
  readonly prompt_tokens: number;
  /** Prompt and answer as they were. Only the first call counts. */
  settle(tokens: number): void;
}

export class ChargedMeter implements RequestMeter {
  readonly #meter: RequestMeter;
  readonly #charge: Charge;
  #made = 0;

  constructor(meter: RequestMeter, charge: Charge) {
    this.#meter = meter;
    this.#charge = charge;
  }

  tokens(count: number): void {
    this.#made += count;
    this.#meter.tokens(count);
  }

  finished(usage: AnswerUsage): void {
    this.#charge.settle(usage.prompt_tokens + usage.completion_tokens);
    this.#meter.finished(usage);
  }

  /** What was made before counts; an answer that never began is free. */
  failed(status: number): void {
    this.#charge.settle(this.#made === 0 ? 0 : this.#charge.prompt_tokens + this.#made);
    this.#meter.failed(status);
  }

  disconnected(): void {
    this.#charge.settle(this.#charge.prompt_tokens + this.#made);
    this.#meter.disconnected();
  }
}
