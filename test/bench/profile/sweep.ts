/**
 * The sweep of one engine: warm-up, prompt lengths, then answers in flight for each context length.
 * Each point is repeated and its median taken. It ends by itself: after the plan, at the time limit
 * or when it is aborted, and what was measured until then is the result.
 */

import { Prompts } from "../load/prompts.ts";
import { median } from "../statistics.ts";
import { Asker, RequestFailed, type Target } from "./asker.ts";
import { acceptedTokens, EndpointError } from "./facts.ts";
import { KnownLengthPrompts, UnknownLengthError, wordsOf } from "./known-length.ts";
import {
  type DecodeSample,
  measureDecode,
  measurePrefill,
  NeverTogetherError,
  warmPrompts,
} from "./measure.ts";
import {
  type DecodePoint,
  decodePoints,
  longestAnswer,
  prefillLengths,
  type SweepLimits,
} from "./sweep-plan.ts";

export type SweepPlan = {
  readonly target: Target;
  readonly limits: SweepLimits;
  readonly prefill_granularity: number;
  readonly decode_granularity: number;
  readonly repeats: number;
  readonly warm_up: number;
  readonly time_limit_ms: number;
  readonly request_timeout_ms: number;
  readonly seed: number;
};

export type PrefillMeasured = {
  readonly isl: number;
  readonly ttft_ms: number;
  /** Tokens of the prompts that the engine's cache had all the same. */
  readonly cached_tokens: number;
};

export type DecodeMeasured = {
  readonly isl: number;
  readonly in_flight: number;
  readonly itl_ms: number;
  readonly context_tokens: number;
  /** Tokens that a pass made for one answer; absent: nobody says that any were guessed. */
  readonly accept_length?: number;
};

export type SweepResult = {
  readonly prefill: readonly PrefillMeasured[];
  readonly decode: readonly DecodeMeasured[];
  /** What was left out, and why. */
  readonly notes: readonly string[];
  readonly ended: "whole" | "time limit" | "stopped";
};

export type SweepProgress = (now: {
  readonly phase: "warm-up" | "prefill" | "decode";
  readonly done: number;
  readonly total: number;
  /** The point just measured. */
  readonly what: string;
}) => void;

/** The engine takes no more: so many points after each other that could not be measured. */
const failures_in_a_row = 3;
/** Of the time limit, what prompts may take. */
const prefill_share = 0.5;
const warm_up_share = 0.1;
const short_words = 16;
const long_words = 1040;
/** With a small vocabulary one prompt's tokens a word are off by a tenth. */
const calibration_prompts = 3;
/** Answers that do not overlap are asked for again, longer, so many times. */
const longer_times = 2;
/** Ids of prompts of the decode sweep; those of the prefill sweep are drawn below. */
const first_decode_id = 1_000_000;

/** Rejects with EndpointError when the first requests fail. */
export async function sweep(
  plan: SweepPlan,
  progress: SweepProgress,
  stop: AbortSignal,
): Promise<SweepResult> {
  const time = AbortSignal.timeout(plan.time_limit_ms);
  const asker = new Asker(plan.target, plan.request_timeout_ms, AbortSignal.any([stop, time]));
  try {
    const run = new Sweep(plan, asker, progress, () => stop.aborted || time.aborted);
    await run.all();
    const ended = stop.aborted ? "stopped" : time.aborted ? "time limit" : "whole";
    return { prefill: run.prefill, decode: run.decode, notes: run.notes, ended };
  } finally {
    asker.close();
  }
}

class Sweep {
  readonly prefill: PrefillMeasured[] = [];
  readonly decode: DecodeMeasured[] = [];
  readonly notes: string[] = [];
  readonly #plan: SweepPlan;
  readonly #asker: Asker;
  readonly #progress: SweepProgress;
  readonly #over: () => boolean;
  readonly #started_ms = performance.now();
  #next_id = 0;
  /** Context length → how many of the decode prompts the engine has computed. */
  readonly #warmed = new Map<number, number>();
  /** Context length → more in flight than this was never together. */
  readonly #most = new Map<number, number>();

  constructor(plan: SweepPlan, asker: Asker, progress: SweepProgress, over: () => boolean) {
    this.#plan = plan;
    this.#asker = asker;
    this.#progress = progress;
    this.#over = over;
  }

  async all(): Promise<void> {
    const prompts = await this.#calibrated();
    if (prompts === undefined) return;
    await this.#warmUp(prompts);
    await this.#prefillAll(prompts);
    await this.#decodeAll(prompts);
  }

  /** Undefined: the sweep ended before it began. */
  async #calibrated(): Promise<KnownLengthPrompts | undefined> {
    const { seed } = this.#plan;
    const raw = new Prompts({ isl: 0, shared: 0 }, seed);
    const counted = async (words: number) => {
      let tokens = 0;
      for (let i = 0; i < calibration_prompts; i++) {
        const answer = await this.#asker.ask(wordsOf(raw, this.#next_id++, words), 1);
        tokens += answer.prompt_tokens / calibration_prompts;
      }
      return { words, tokens };
    };
    try {
      const long = Math.min(long_words, Math.max(2 * short_words, this.#plan.limits.context >> 2));
      return new KnownLengthPrompts(seed, await counted(short_words), await counted(long));
    } catch (error) {
      if (this.#over()) return undefined;
      if (!(error instanceof RequestFailed || error instanceof UnknownLengthError)) throw error;
      throw new EndpointError(`${this.#plan.target.url} gives no good answer: ${error.message}`);
    }
  }

  /** Compilers, connections and the engine's first passes are slow and no figure of its own. */
  async #warmUp(prompts: KnownLengthPrompts): Promise<void> {
    const { warm_up, limits, time_limit_ms } = this.#plan;
    const until_ms = this.#started_ms + warm_up_share * time_limit_ms;
    const isl = Math.max(1, Math.min(512, limits.context >> 1));
    const osl = Math.min(limits.osl, 16);
    for (let done = 0; done < warm_up && !this.#over(); done++) {
      if (performance.now() > until_ms) return;
      await this.#asker.ask(prompts.text(this.#next_id++, isl), osl).catch(onlyFailed);
      this.#progress({ phase: "warm-up", done: done + 1, total: warm_up, what: "" });
    }
  }

  async #prefillAll(prompts: KnownLengthPrompts): Promise<void> {
    const { limits, prefill_granularity, repeats, time_limit_ms } = this.#plan;
    const lengths = prefillLengths(limits, prefill_granularity);
    const until_ms = this.#started_ms + prefill_share * time_limit_ms;
    await this.#points("prefill", lengths, async (isl) => {
      if (performance.now() > until_ms) return "its share of the time limit is over";
      const samples = await this.#repeated(repeats, () =>
        measurePrefill(this.#asker, prompts, this.#next_id++, isl),
      );
      const point = {
        isl: Math.round(meanOf(samples.map((sample) => sample.isl))),
        ttft_ms: median(samples.map((sample) => sample.ttft_ms)),
        cached_tokens: Math.round(meanOf(samples.map((sample) => sample.cached_tokens))),
      };
      this.prefill.push(point);
      return { what: `${point.isl} tokens: ${point.ttft_ms.toFixed(1)} ms` };
    });
  }

  async #decodeAll(prompts: KnownLengthPrompts): Promise<void> {
    const { limits, decode_granularity } = this.#plan;
    await this.#points("decode", decodePoints(limits, decode_granularity), async (point) => {
      const measured = await this.#decodePoint(prompts, point);
      if (typeof measured === "string") return measured;
      this.decode.push(measured);
      const { in_flight, context_tokens, itl_ms } = measured;
      const context = Math.round(context_tokens);
      return { what: `${in_flight} × ${context} tokens: ${itl_ms.toFixed(2)} ms` };
    });
  }

  /** A text says why the point is left out. */
  async #decodePoint(
    prompts: KnownLengthPrompts,
    { isl, in_flight }: DecodePoint,
  ): Promise<DecodeMeasured | string> {
    const { repeats, limits } = this.#plan;
    const most = this.#most.get(isl) ?? Number.POSITIVE_INFINITY;
    if (in_flight >= most) return `more than ${most} at once never run together`;
    const ids = Array.from({ length: in_flight }, (_, i) => first_decode_id + i);
    const warmed = this.#warmed.get(isl) ?? 0;
    await warmPrompts(this.#asker, prompts, ids.slice(warmed), isl);
    this.#warmed.set(isl, Math.max(warmed, in_flight));
    for (let longer = 0; ; longer++) {
      const osl = limits.osl << (2 * longer);
      try {
        const samples = await this.#repeated(repeats, () =>
          this.#counted(() => measureDecode(this.#asker, prompts, ids, isl, osl)),
        );
        const lengths = samples.flatMap(({ accept_length = [] }) => accept_length);
        return {
          isl,
          in_flight,
          itl_ms: median(samples.map((sample) => sample.itl_ms)),
          context_tokens: meanOf(samples.map((sample) => sample.context_tokens)),
          ...(lengths.length === 0 ? {} : { accept_length: median(lengths) }),
        };
      } catch (error) {
        if (!(error instanceof NeverTogetherError)) throw error;
        const more = longestAnswer({ isl, in_flight }, limits, osl << 2);
        if (longer < longer_times && more >= osl << 2 && !this.#over()) continue;
        this.#most.set(isl, Math.min(most, in_flight));
        return error.message;
      }
    }
  }

  /** The sample, with tokens a pass where the engine counts what it guessed. */
  async #counted(
    measured: () => Promise<DecodeSample>,
  ): Promise<DecodeSample & { readonly accept_length?: number }> {
    const { target } = this.#plan;
    const before = await acceptedTokens(target);
    const sample = await measured();
    const after = before === undefined ? undefined : await acceptedTokens(target);
    if (before === undefined || after === undefined) return sample;
    const passes = sample.made_tokens - (after - before);
    // Others may use the engine, too.
    return passes > 0 ? { ...sample, accept_length: sample.made_tokens / passes } : sample;
  }

  /** At least one sample, and no more once the sweep is over. Rejects when the first one fails. */
  async #repeated<Sample>(repeats: number, measured: () => Promise<Sample>): Promise<Sample[]> {
    const samples = [await measured()];
    while (samples.length < repeats && !this.#over()) {
      const more = await measured().catch(onlyFailed);
      if (more === undefined) break;
      samples.push(more);
    }
    return samples;
  }

  async #points<Point extends number | DecodePoint>(
    phase: "prefill" | "decode",
    points: readonly Point[],
    measured: (point: Point) => Promise<{ readonly what: string } | string>,
  ): Promise<void> {
    let failures = 0;
    for (const [i, point] of points.entries()) {
      if (this.#over() || failures === failures_in_a_row) {
        this.notes.push(`${phase}: ${points.length - i} of ${points.length} points not measured`);
        return;
      }
      const outcome = await measured(point).catch((error: unknown) => {
        if (!(error instanceof RequestFailed)) throw error;
        failures++;
        return error.message;
      });
      const left_out = typeof outcome === "string";
      if (left_out && !this.#over()) {
        this.notes.push(`${phase}, ${nameOf(point)} left out: ${outcome}`);
      }
      if (!left_out) failures = 0;
      const what = left_out ? `${nameOf(point)} left out` : outcome.what;
      this.#progress({ phase, done: i + 1, total: points.length, what });
    }
  }
}

const nameOf = (point: number | DecodePoint): string =>
  typeof point === "number" ? `${point} tokens` : `${point.in_flight} × ${point.isl} tokens`;

function onlyFailed(error: unknown): undefined {
  if (!(error instanceof RequestFailed || error instanceof NeverTogetherError)) throw error;
  return undefined;
}

const meanOf = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
