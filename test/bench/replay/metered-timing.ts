/** The timing of a simulated worker, and the sums of its passes as a live worker would report. */
import type { DecodeLoad, MockerTiming } from "../../../actors/engine/mocker/timing.ts";
import type { PassFigures } from "../../../actors/planner/pipeline/snapshot.ts";
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
  /** Since the router heard of them, and since a planner did. */
  #routed = none();
  #planned = none();
  #decode_tokens = 0;
  #accepted = 0;

  readonly #timing: MockerTiming;

  constructor(timing: MockerTiming) {
    this.#timing = timing;
  }

  prefillMs(tokens: number): number {
    const ms = this.#timing.prefillMs(tokens);
    addPrefill(this.#routed, tokens, ms);
    addPrefill(this.#planned, tokens, ms);
    this.busy_ms += ms;
    return ms;
  }

  decodeMs(load: DecodeLoad): number {
    const ms = this.#timing.decodeMs(load);
    addDecode(this.#routed, load, ms);
    addDecode(this.#planned, load, ms);
    this.#decode_tokens += load.sequences;
    this.busy_ms += ms;
    return ms;
  }

  /** For the router, since the last call. */
  take(): PassSums {
    const sums = this.#routed;
    this.#routed = none();
    return sums;
  }

  /**
   * For a planner, since its last call; undefined: no pass ran.
   * @param accepted guessed tokens of all answers so far, which passes made beside their own
   */
  takeForPlanner(interval_ms: number, accepted: number): PassFigures | undefined {
    const sums = this.#planned;
    const decode_tokens = this.#decode_tokens + accepted - this.#accepted;
    this.#accepted = accepted;
    this.#planned = none();
    this.#decode_tokens = 0;
    if (sums.prefill_passes + sums.decode_passes === 0) return undefined;
    return { interval_ms, decode_tokens, ...sums };
  }
}

function addPrefill(sums: Sums, tokens: number, ms: number): void {
  if (tokens > 0) {
    sums.prefill_passes++;
    sums.prefill_tokens += tokens;
    sums.prefill_tokens_squared += tokens * tokens;
  }
  sums.busy_ms += ms;
}

function addDecode(sums: Sums, load: DecodeLoad, ms: number): void {
  if (load.sequences > 0) {
    sums.decode_passes++;
    sums.decode_share += load.used_kv_tokens / load.total_kv_tokens;
  }
  sums.busy_ms += ms;
}
