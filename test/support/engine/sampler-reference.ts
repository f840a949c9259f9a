/**
 * Sampling written as plainly as it can be: sort everything, 64-bit floats, no shortcut. What
 * native/sampler/sampler.c must agree with.
 *
 * `margin` says how far the nearest decision was from going the other way, as a part of the mass:
 * below `UNSURE` rounding may decide, and a test must not.
 */
import type { Sampling } from "../../../actors/engine/engine.ts";

export const UNSURE = 1e-6;

export type History = { readonly prompt: readonly number[]; readonly answer: readonly number[] };

/** What can be drawn, by ascending id; `p` sums to 1. */
export type Distribution = {
  readonly candidates: readonly { readonly id: number; readonly p: number }[];
  readonly margin: number;
};

/** Bias, penalties, bans. Each stage rounds to float once, as the stored logits are floats. */
export function edited(
  logits: Float32Array,
  sampling: Sampling,
  history: History,
  banned: readonly number[],
): Float32Array {
  const out = Float32Array.from(logits);
  for (const [id, bias] of sampling.logit_bias) out[id] = out[id]! + Math.fround(bias);
  const times = new Map<number, number>();
  if (sampling.repetition_penalty !== 1) for (const id of history.prompt) times.set(id, 0);
  for (const id of history.answer) times.set(id, (times.get(id) ?? 0) + 1);
  const penalty = Math.fround(sampling.repetition_penalty);
  for (const [id, n] of times) {
    let l = out[id]!;
    l = l > 0 ? l / penalty : l * penalty;
    if (n > 0) l -= Math.fround(sampling.frequency_penalty) * n;
    if (n > 0) l -= Math.fround(sampling.presence_penalty);
    out[id] = l;
  }
  for (const id of banned) out[id] = Number.NEGATIVE_INFINITY;
  return out;
}

export function argmax(logits: Float32Array): number {
  let best = -1;
  for (let id = 0; id < logits.length; id++) {
    const l = logits[id]!;
    if (l > (best < 0 ? Number.NEGATIVE_INFINITY : logits[best]!)) best = id;
  }
  return Math.max(best, 0);
}

/** Skips what is no number, as Math.max would not. */
function largest(logits: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const l of logits) if (l > max) max = l;
  return max;
}

type Entry = { id: number; d: number; p: number };

function normalised(entries: readonly Entry[]): Entry[] {
  const mass = entries.reduce((sum, e) => sum + e.p, 0);
  return entries.map((e) => ({ ...e, p: e.p / mass }));
}

/** The smallest prefix whose mass reaches `target`, and how clear that was. */
function prefix(entries: readonly Entry[], target: number): { kept: Entry[]; margin: number } {
  let mass = 0;
  let margin = 1;
  for (const [i, entry] of entries.entries()) {
    if (i > 0) margin = Math.min(margin, Math.abs(mass - target));
    mass += entry.p;
    if (mass < target) continue;
    const last = i + 1 === entries.length;
    return {
      kept: entries.slice(0, i + 1),
      margin: last ? margin : Math.min(margin, Math.abs(mass - target)),
    };
  }
  return { kept: [...entries], margin: 0 };
}

function typical(entries: readonly Entry[], typical_p: number): { kept: Entry[]; margin: number } {
  const possible = entries.filter((e) => e.p > 0);
  const entropy = -possible.reduce((sum, e) => sum + e.p * Math.log(e.p), 0);
  const off = (e: Entry) => Math.abs(-Math.log(e.p) - entropy);
  const keyed = possible.map((entry) => ({ entry, off: off(entry) }));
  // Tokens of one logit are exactly as typical as each other, whatever Math.log rounds to.
  const same = (a: Entry, b: Entry) => a.d === b.d;
  keyed.sort((a, b) =>
    same(a.entry, b.entry) ? a.entry.id - b.entry.id : a.off - b.off || a.entry.id - b.entry.id,
  );
  const cut = prefix(
    keyed.map((k) => k.entry),
    typical_p,
  );
  const last = keyed[cut.kept.length - 1]!;
  const next = keyed[cut.kept.length];
  const gap = next && !same(last.entry, next.entry) ? next.off - last.off : 1;
  return { kept: cut.kept, margin: Math.min(cut.margin, gap) };
}

/** Every stage after the edits, for a temperature that is not greedy. */
export function distribution(logits: Float32Array, sampling: Sampling): Distribution {
  const temperature = Math.fround(sampling.temperature);
  const max = largest(logits);
  let entries: Entry[] = [];
  for (const [id, l] of logits.entries()) {
    const d = (l - max) / temperature;
    if (!Number.isNaN(d)) entries.push({ id, d, p: Math.exp(d) });
  }
  entries.sort((a, b) => b.d - a.d || a.id - b.id);
  if (sampling.top_k > 0) entries = entries.slice(0, sampling.top_k);
  entries = normalised(entries);
  let margin = 1;
  if (sampling.typical_p < 1) {
    const cut = typical(entries, Math.fround(sampling.typical_p));
    margin = Math.min(margin, cut.margin);
    entries = normalised(cut.kept).sort((a, b) => b.d - a.d || a.id - b.id);
  }
  if (sampling.top_p < 1) {
    const cut = prefix(entries, Math.fround(sampling.top_p));
    margin = Math.min(margin, cut.margin);
    entries = normalised(cut.kept);
  }
  if (sampling.min_p > 0) {
    const least = entries[0]!.p * Math.fround(sampling.min_p);
    const equal = (e: Entry) => e.p === entries[0]!.p;
    for (const e of entries) if (!equal(e)) margin = Math.min(margin, Math.abs(e.p / least - 1));
    entries = normalised(entries.filter((e) => e.p >= least));
  }
  entries.sort((a, b) => a.id - b.id);
  return { candidates: entries, margin };
}

export type Drawn = { readonly token: number; readonly margin: number };

/** The first candidate whose running mass reaches `u`. */
export function drawn(from: Distribution, u: number): Drawn {
  let mass = 0;
  for (const { id, p } of from.candidates) {
    const before = mass;
    mass += p;
    if (p === 0 || mass < u) continue;
    const margin = Math.min(from.margin, Math.abs(mass - u), Math.abs(u - before));
    return { token: id, margin };
  }
  return { token: from.candidates.at(-1)?.id ?? 0, margin: 0 };
}

/** Natural log-probabilities of all tokens at temperature 1; -9999 for the impossible. */
export function logprobs(logits: Float32Array): Float64Array {
  const max = largest(logits);
  const d = Float64Array.from(logits, (l) => (l === max ? 0 : l - max));
  const mass = d.reduce((sum, v) => (Number.isNaN(v) ? sum : sum + Math.exp(v)), 0);
  return d.map((v) => (v > -9999 ? v - Math.log(mass) : -9999));
}

/** Philox4x32-10 (Salmon et al. 2011): four 32-bit numbers of a counter and a key. */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  const low = 0xffff_ffffn;
  for (let round = 0; round < 10; round++) {
    const a = 0xd251_1f53n * c0;
    const b = 0xcd9e_8d57n * c2;
    [c0, c1, c2, c3] = [(b >> 32n) ^ c1 ^ k0, b & low, (a >> 32n) ^ c3 ^ k1, a & low];
    k0 = (k0 + 0x9e37_79b9n) & low;
    k1 = (k1 + 0xbb67_ae85n) & low;
  }
  return [c0, c1, c2, c3].map(Number);
}

/** The number in [0, 1) of (seed, choice, index): 53 bits. */
export function uniform(seed: bigint, choice: number, index: number): number {
  const key = [Number(seed & 0xffff_ffffn), Number(seed >> 32n)];
  const [x0, x1] = philox([index, choice, 0, 0], key) as [number, number];
  return ((x0 >>> 5) * 0x400_0000 + (x1 >>> 6)) / 0x20_0000_0000_0000;
}
