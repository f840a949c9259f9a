/**
 * The tokens a simulated engine answers with: a pure function of (seed, choice, index), so that an
 * answer goes on the same on whatever worker continues it.
 */
import type { TokenLogprob } from "../engine.ts";

/** Which tokens may be drawn. */
export type Drawable = {
  readonly vocab_size: number;
  /** Ids to draw from (see `textTokens`); undefined: any of the vocabulary. */
  readonly tokens?: Uint32Array | undefined;
};

export type Draw = {
  readonly seed_low: number;
  readonly seed_high: number;
  readonly choice: number;
};

export function drawOf(seed: bigint, choice: number): Draw {
  const seed_low = Number(seed & 0xffffffffn);
  return { seed_low, seed_high: Number((seed >> 32n) & 0xffffffffn), choice };
}

/** A u32 of its own for each index of each answer. */
export function drawHash({ seed_low, seed_high, choice }: Draw, index: number): number {
  const hash = mix(mix(mix(seed_low ^ 0x9e3779b9) + seed_high) + choice);
  return mix(hash + Math.imul(index, 0x9e3779b1));
}

/** The token at an answer's index; `held_back` ones are passed over, unless nothing else is left. */
export function drawnToken(
  from: Drawable,
  draw: Draw,
  index: number,
  held_back: ReadonlySet<number> | undefined,
): number {
  const count = from.tokens?.length ?? from.vocab_size;
  const first = drawHash(draw, index) % count;
  if (held_back === undefined) return from.tokens?.[first] ?? first;
  for (let skipped = 0; skipped < count; skipped++) {
    const at = (first + skipped) % count;
    const token = from.tokens?.[at] ?? at;
    if (!held_back.has(token)) return token;
  }
  return from.tokens?.[first] ?? first;
}

/** The chosen token has half the probability, each next id half of what is left. */
export function drawnLogprob(token: number, top: number, vocab_size: number): TokenLogprob {
  return {
    logprob: -Math.LN2,
    top: Array.from({ length: top }, (_, i) => {
      return [(token + i) % vocab_size, (i + 1) * -Math.LN2] as const;
    }),
  };
}

/**
 * Score `index` of a prompt, of its `token`: as if that token had been drawn at this index. A prompt
 * that ends with an answer drawn with the same seed behind one token has the answer's log
 * probabilities.
 */
export function promptScore(
  from: Drawable,
  draw: Draw,
  index: number,
  token: number,
  top: number,
): TokenLogprob {
  const likeliest = drawnToken(from, draw, index, undefined);
  const { vocab_size } = from;
  const rank = ((token - likeliest + vocab_size) % vocab_size) + 1;
  const logprob = Math.max(LEAST_LOGPROB, rank * -Math.LN2);
  return { ...drawnLogprob(likeliest, top, vocab_size), logprob, rank };
}

/** What JSON shows of an impossible token, as OpenAI. */
const LEAST_LOGPROB = -9999;

/** The finalizer of MurmurHash3 (32 bits). */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
