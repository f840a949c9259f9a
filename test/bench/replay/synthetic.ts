/**
 * Made-up traces: `synthetic:KEY=VALUE,…`. Prompts are a prefix that a group shares and a rest of
 * their own; sessions grow turn by turn. Everything follows from the seed.
 */
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import {
  type ArrivalShape,
  arrivalShape,
  arrivalsMost,
  nextArrivalMs,
  type ShapeKeys,
  type ShapeKind,
  shapeDefaults,
  shapeKinds,
} from "./arrival-shape.ts";
import type { TraceRequest } from "./trace.ts";

type SyntheticNumbers = {
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

export type SyntheticOptions = SyntheticNumbers & {
  /**
   * How the rate changes over the time of the trace, which then ends by its time; `requests`, if it
   * is given, is the most. `sine`, `period` and `burst` say nothing then.
   */
  readonly shape?: ArrivalShape;
};

export const syntheticDefaults: SyntheticNumbers = {
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
  const options: Record<string, number> = { ...syntheticDefaults, ...shapeDefaults };
  const parts = text
    .split(",")
    .filter((each) => each !== "")
    .map((part): readonly [string, string] => {
      const [key = "", value = ""] = part.split("=");
      return [key, value];
    });
  const shape = parts.find(([key]) => key === "shape")?.[1];
  const kind = shape === undefined ? undefined : shapeKindOf(shape);
  for (const [key, value] of parts) {
    if (key === "shape") continue;
    if (!(key in options)) {
      const known = [...Object.keys(syntheticDefaults), "shape", ...Object.keys(shapeDefaults)];
      throw new SyntheticError(
        `synthetic trace: unknown key ${key}; there are ${known.join(", ")}`,
      );
    }
    if (kind === undefined && key in shapeDefaults) {
      throw new SyntheticError(
        `synthetic trace: ${key} belongs to shape=${shapeKinds.join("|")}: give a shape, too`,
      );
    }
    const number = Number(value);
    const most = mosts[key] ?? USUAL_MOST;
    if (value === "" || !(number >= 0 && number <= most)) {
      throw new SyntheticError(
        `synthetic trace: ${key} must be a number from 0 to ${most}, not "${value}"`,
      );
    }
    options[key] = number;
  }
  const made = options as SyntheticNumbers & ShapeKeys;
  for (const key of POSITIVE) {
    if (made[key] > 0) continue;
    throw new SyntheticError(`synthetic trace: ${key} must be above 0`);
  }
  if (kind === undefined) return made;
  const counted = parts.some(([key]) => key === "requests");
  const requests = counted ? made.requests : Number.POSITIVE_INFINITY;
  const of_shape = arrivalShape(kind, made, made.rate);
  const arrivals = arrivalsMost(of_shape);
  if (arrivals > ARRIVALS_MOST) {
    throw new SyntheticError(
      `synthetic trace: its highest rate over its whole time is ${arrivals.toPrecision(3)} ` +
        `arrivals, and ${ARRIVALS_MOST} are the most: lower the rate, or its time`,
    );
  }
  return { ...made, requests, shape: of_shape };
}

/** What a trace can have that is held in memory and replayed. */
const REQUESTS_MOST = 5_000_000;
const BLOCKS_MOST = 100_000_000;
/** Draws at the highest rate of a shape. */
const ARRIVALS_MOST = 100_000_000;
const USUAL_MOST = 1e9;
const mosts: Readonly<Record<string, number>> = {
  ...{ requests: REQUESTS_MOST, isl: 10_000_000, osl: 10_000_000, spread: 1, shared: 1, sine: 1 },
  ...{ groups: 10_000, turns: 10_000, burst: 1_000_000 },
};

const POSITIVE = [
  ...(["requests", "isl", "osl", "rate", "turns", "burst", "period"] as const),
  ...(["high", "period_s", "periods", "factor"] as const),
];

function shapeKindOf(text: string): ShapeKind {
  const found = shapeKinds.find((kind) => kind === text);
  if (found !== undefined) return found;
  throw new SyntheticError(
    `synthetic trace: unknown shape ${text}; there are ${shapeKinds.join(", ")}`,
  );
}

const tooMuch = () =>
  new SyntheticError(
    `synthetic trace: it has more than ${REQUESTS_MOST} requests or ${BLOCKS_MOST} blocks of ` +
      "prompts: make fewer requests, or shorter ones",
  );

/** `block_size` tokens a hash id. Throws SyntheticError. */
export function syntheticTrace(options: SyntheticOptions, block_size: number): TraceRequest[] {
  const random = new SeededRandom(options.seed);
  const requests: TraceRequest[] = [];
  let now_ms = 0;
  const around = (mean: number) =>
    Math.max(1, Math.round(mean * (1 + options.spread * (2 * random.unit() - 1))));
  const prefix_blocks = Math.floor((options.isl * options.shared) / block_size);
  const { requests: count, isl, turns } = options;
  const in_all = (count * isl * (turns + 1)) / 2 / block_size;
  // A shape says by its time how many there are.
  if (Number.isFinite(count) && in_all > BLOCKS_MOST) throw tooMuch();
  let fresh_id = options.groups * prefix_blocks;
  let blocks = 0;
  for (let session = 0; requests.length < options.requests; session++) {
    const next_ms = nextMs(options, session, now_ms, random);
    if (next_ms === undefined) break;
    now_ms = next_ms;
    const group = options.groups > 0 ? Math.floor(random.unit() * options.groups) : -1;
    const hash_ids: number[] = [];
    for (let i = 0; group >= 0 && i < prefix_blocks; i++) hash_ids.push(group * prefix_blocks + i);
    let input_length = hash_ids.length * block_size;
    for (let turn = 0; turn < options.turns && requests.length < options.requests; turn++) {
      // What is shared is part of the first turn's length.
      const more = around(options.isl) - (turn === 0 ? input_length : 0);
      input_length += Math.max(1, more);
      while (hash_ids.length * block_size < input_length) hash_ids.push(fresh_id++);
      blocks += hash_ids.length;
      if (requests.length >= REQUESTS_MOST || blocks > BLOCKS_MOST) throw tooMuch();
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

/** When the next session comes; undefined: the trace is over. */
function nextMs(
  options: SyntheticOptions,
  session: number,
  now_ms: number,
  random: SeededRandom,
): number | undefined {
  if (options.shape !== undefined) return nextArrivalMs(options.shape, now_ms, random);
  if (session % options.burst !== 0) return now_ms;
  return now_ms + gapMs(options, now_ms, random) * options.burst;
}

/** Exponential gaps, at the rate of that moment. */
function gapMs({ rate, sine, period }: SyntheticOptions, now_ms: number, random: SeededRandom) {
  const swing = 1 + sine * Math.sin((2 * Math.PI * now_ms) / (1_000 * period));
  return (-Math.log(1 - random.unit()) * 1_000) / (rate * Math.max(0.01, swing));
}
