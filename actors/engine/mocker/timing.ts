/** How long a pass takes on the engine that is simulated. */

export interface MockerTiming {
  /** Time of a pass that computes `tokens` uncached prompt tokens; 0 for none. */
  prefillMs(tokens: number): number;
  /** Time to draw one token for each of `load.sequences`; 0 for none. */
  decodeMs(load: DecodeLoad): number;
}

export type DecodeLoad = {
  readonly sequences: number;
  /** Tokens in blocks that running sequences refer to, shared ones once, and all that fit. */
  readonly used_kv_tokens: number;
  readonly total_kv_tokens: number;
  /** Sum of the lengths of the sequences that draw a token. */
  readonly context_tokens: number;
};

/** Two passes that make a token must not fall on one instant. */
const SHORTEST_DECODE_MS = 1;

/** Dynamo's default: polynomials fitted to one measured engine (lib/mocker, perf_model.rs). */
export const polynomialTiming: MockerTiming = {
  prefillMs(tokens) {
    if (tokens === 0) return 0;
    return 4.209989e-7 * tokens * tokens + 1.518344e-2 * tokens + 16.50142;
  },
  decodeMs({ sequences, used_kv_tokens, total_kv_tokens }) {
    if (sequences === 0) return 0;
    const share = Math.min(1, used_kv_tokens / total_kv_tokens);
    return Math.max(SHORTEST_DECODE_MS, -25.74 * share * share + 54.01 * share + 5.74);
  },
};

/** Measured points of an engine; both axes of each row ascend strictly. */
export type TimingProfile = {
  readonly prefill_isl: readonly number[];
  readonly prefill_ttft_ms: readonly number[];
  readonly decode_active_kv_tokens: readonly number[];
  readonly decode_context_length: readonly number[];
  /** By active KV tokens, then by context length. */
  readonly decode_itl: readonly (readonly number[])[];
};

/** Linear between the points of a profile, and beyond them along the outermost pair. */
export function profileTiming(profile: TimingProfile): MockerTiming {
  const { prefill_isl, prefill_ttft_ms, decode_active_kv_tokens, decode_context_length } = profile;
  return {
    prefillMs(tokens) {
      if (tokens === 0) return 0;
      return Math.max(0, interpolate(prefill_isl, prefill_ttft_ms, tokens));
    },
    decodeMs({ sequences, context_tokens }) {
      if (sequences === 0) return 0;
      const context_length = context_tokens / sequences;
      const [row, between] = place(decode_active_kv_tokens, context_tokens);
      const low = interpolate(decode_context_length, profile.decode_itl[row]!, context_length);
      const high_row = profile.decode_itl[row + 1] ?? profile.decode_itl[row]!;
      const high = interpolate(decode_context_length, high_row, context_length);
      return Math.max(SHORTEST_DECODE_MS, low + between * (high - low));
    },
  };
}

function interpolate(axis: readonly number[], values: readonly number[], at: number): number {
  const [index, between] = place(axis, at);
  const low = values[index]!;
  const high = values[index + 1] ?? low;
  return low + between * (high - low);
}

/** The pair of points around `at` and where between them it lies: 0 at the first, 1 at the next. */
function place(axis: readonly number[], at: number): [index: number, between: number] {
  if (axis.length === 1) return [0, 0];
  let low = 0;
  let high = axis.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (axis[middle]! <= at) low = middle;
    else high = middle;
  }
  return [low, (at - axis[low]!) / (axis[high]! - axis[low]!)];
}
