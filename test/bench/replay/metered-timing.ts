/** The timing of a simulated worker, and the sums of its passes as a live worker would report. */
import type { DecodeLoad, MockerTiming } from "../../../actors/engine/mocker/timing.ts";
import type { PassSums } from "../../../actors/router/policy/cost/pass-rates.ts";

type Sums = { -readonly [Key in keyof PassSums]: number };

const none = (): Sums => ({
  prefill_passes: 0,
  prefill_tokens: 0,
  prefill_tokens_squared: 0,
  decode_passes: 0,
  decode_share: 0,
  busy_ms: 0,
});

export class MeteredTiming implements MockerTiming {
  busy_ms = 0;
  #sums = none();

  readonly #timing: MockerTiming;

  constructor(timing: MockerTiming) {
    this.#timing = timing;
  }

  prefillMs(tokens: number): number {
    const ms = this.#timing.prefillMs(tokens);
    if (tokens > 0) {
      this.#sums.prefill_passes++;
      this.#sums.prefill_tokens += tokens;
      this.#sums.prefill_tokens_squared += tokens * tokens;
    }
    this.#add(ms);
    return ms;
  }

  decodeMs(load: DecodeLoad): number {
    const ms = this.#timing.decodeMs(load);
    if (load.sequences > 0) {
      this.#sums.decode_passes++;
      this.#sums.decode_share += load.used_kv_tokens / load.total_kv_tokens;
    }
    this.#add(ms);
    return ms;
  }

  /** Since the last call. */
  take(): PassSums {
    const sums = this.#sums;
    this.#sums = none();
    return sums;
  }

  #add(ms: number): void {
    this.#sums.busy_ms += ms;
    this.busy_ms += ms;
  }
}
