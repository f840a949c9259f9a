/**
 * Made-up traces: `synthetic:KEY=VALUE,…`. Prompts are a prefix that a group shares and a rest of
 * their own; sessions grow turn by turn. Everything follows from the seed.
 */
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import type { TraceRequest } from "./trace.ts";

export type SyntheticOptions = {
  readonly requests: number;
  /** Mean prompt and answer, in tokens. */
  readonly isl: number;
  readonly osl: number;
  /** Lengths are uniform within ± this share of the mean. */
  readonly spread: number;
  /** Mean arrivals a second (of first turns). */
  readonly rate: number;
  /** Groups that share a prefix, and how much of the mean prompt that is; 0 groups: nothing. */
  readonly groups: number;
  readonly shared: number;
  /** Turns of a session, think time between them. */
  readonly turns: number;
  readonly think_ms: number;
  /** The rate swings by ± this share over this many seconds. */
  readonly sine: number;
  readonly period: number;
  /** Arrivals come in heaps of this many at once. */
  readonly burst: number;
  readonly seed: number;
};

export const syntheticDefaults: SyntheticOptions = {
  requests: 4_000,
  isl: 4_096,
  osl: 256,
  spread: 0.5,
  rate: 10,
  groups: 16,
  shared: 0.5,
  turns: 1,
  think_ms: 5_000,
  sine: 0,
  period: 60,
  burst: 1,
  seed: 1,
};

export class SyntheticError extends Error {
  readonly code = "bad_synthetic_trace";
}

/** Throws SyntheticError that names the key. */
export function readSyntheticOptions(text: string): SyntheticOptions {
  const options: Record<string, number> = { ...syntheticDefaults };
  for (const part of text.split(",").filter((each) => each !== "")) {
    const [key = "", value = ""] = part.split("=");
    if (!(key in options)) {
      const known = Object.keys(syntheticDefaults).join(", ");
      throw new SyntheticError(`synthetic trace: unknown key ${key}; there are ${known}`);
    }
    const number = Number(value);
    if (value === "" || !Number.isFinite(number) || number < 0) {
      throw new SyntheticError(
        `synthetic trace: ${key} must be a number from 0 on, not "${value}"`,
      );
    }
    options[key] = number;
  }
  const made = options as SyntheticOptions;
  for (const key of ["requests", "isl", "osl", "rate", "turns", "burst", "period"] as const) {
    if (made[key] > 0) continue;
    throw new SyntheticError(`synthetic trace: ${key} must be above 0`);
  }
  return made;
}

/** `block_size` tokens a hash id. */
export function syntheticTrace(options: SyntheticOptions, block_size: number): TraceRequest[] {
  const random = new SeededRandom(options.seed);
  const requests: TraceRequest[] = [];
  let now_ms = 0;
  const around = (mean: number) =>
    Math.max(1, Math.round(mean * (1 + options.spread * (2 * random.unit() - 1))));
  const prefix_blocks = Math.floor((options.isl * options.shared) / block_size);
  let fresh_id = options.groups * prefix_blocks;
  for (let session = 0; requests.length < options.requests; session++) {
    if (session % options.burst === 0) now_ms += gapMs(options, now_ms, random) * options.burst;
    const group = options.groups > 0 ? Math.floor(random.unit() * options.groups) : -1;
    const hash_ids: number[] = [];
    for (let i = 0; group >= 0 && i < prefix_blocks; i++) hash_ids.push(group * prefix_blocks + i);
    let input_length = hash_ids.length * block_size;
    for (let turn = 0; turn < options.turns && requests.length < options.requests; turn++) {
      // What is shared is part of the first turn's length.
      const more = around(options.isl) - (turn === 0 ? input_length : 0);
      input_length += Math.max(1, more);
      while (hash_ids.length * block_size < input_length) hash_ids.push(fresh_id++);
      requests.push({
        id: `${session}.${turn}`,
        arrival_ms: turn === 0 ? now_ms : undefined,
        after: turn === 0 ? [] : [requests.length - 1],
        delay_ms: turn === 0 ? 0 : -Math.log(1 - random.unit()) * options.think_ms,
        input_length,
        output_length: around(options.osl),
        hash_ids: [...hash_ids],
        session: options.turns > 1 ? String(session) : undefined,
        strict_priority: 0,
        policy_class: undefined,
      });
      // The last block was not full: the next turn fills it with something else.
      if (input_length % block_size !== 0) hash_ids.pop();
    }
  }
  return requests;
}

/** Exponential gaps, at the rate of that moment. */
function gapMs({ rate, sine, period }: SyntheticOptions, now_ms: number, random: SeededRandom) {
  const swing = 1 + sine * Math.sin((2 * Math.PI * now_ms) / (1_000 * period));
  return (-Math.log(1 - random.unit()) * 1_000) / (rate * Math.max(0.01, swing));
}
