/**
 * What a sweep measured as NVIDIA Dynamo's profiler stores it, which its planner, its mocker, our
 * planner and our mocker read: lengths in tokens, times in ms, throughput in tokens a second of one
 * GPU.
 */
import type { DecodeMeasured, PrefillMeasured } from "./sweep.ts";

export type PrefillCurve = {
  readonly prefill_isl: readonly number[];
  readonly prefill_ttft: readonly number[];
  readonly prefill_thpt_per_gpu: readonly number[];
  /**
   * Not Dynamo's: of each time to the first token, the part in which the token itself was drawn. A
   * simulated pass costs its prompt tokens and its drawing, and would count that part twice.
   */
  readonly prefill_draw_ms: readonly number[];
};

/** Points, not a grid: one x for each in-flight count, one y for each context length. */
export type DecodeCurve = {
  readonly max_kv_tokens: readonly [number];
  readonly x_kv_usage: readonly number[];
  readonly y_context_length: readonly number[];
  readonly z_itl: readonly number[];
  readonly z_thpt_per_gpu: readonly number[];
  /**
   * Not Dynamo's: tokens that a pass made for one answer, where the engine guesses some and says so.
   * A pass took so many times the time between two tokens.
   */
  readonly z_accept_length?: readonly number[];
};

export type Curves = { readonly prefill: PrefillCurve; readonly decode: DecodeCurve };

/** `gpus`: of the engine that was measured. Ascending in all axes. */
export function curvesOf(
  prefill: readonly PrefillMeasured[],
  decode: readonly DecodeMeasured[],
  max_kv_tokens: number,
  osl: number,
  gpus: number,
): Curves {
  const prompts = oneForEach(prefill, ({ isl }) => isl);
  const answers = [...decode].sort((a, b) => a.isl - b.isl || a.in_flight - b.in_flight);
  const lone = oneForEach(answers, ({ isl }) => isl);
  const draw = (isl: number) =>
    between(
      lone.map(({ context_tokens, itl_ms, accept_length = 1 }) => [
        context_tokens,
        itl_ms * accept_length,
      ]),
      isl,
    );
  return {
    prefill: {
      prefill_isl: prompts.map(({ isl }) => isl),
      prefill_ttft: prompts.map(({ ttft_ms }) => ttft_ms),
      prefill_thpt_per_gpu: prompts.map(({ isl, ttft_ms }) => (1000 * isl) / ttft_ms / gpus),
      prefill_draw_ms: prompts.map(({ isl, ttft_ms }) => Math.min(ttft_ms, draw(isl))),
    },
    decode: {
      max_kv_tokens: [max_kv_tokens],
      x_kv_usage: answers.map(({ in_flight, context_tokens }) =>
        Math.min(1, (in_flight * context_tokens) / max_kv_tokens),
      ),
      y_context_length: answers.map(({ isl }) => isl + osl / 2),
      z_itl: answers.map(({ itl_ms }) => itl_ms),
      z_thpt_per_gpu: answers.map(({ in_flight, itl_ms }) => (1000 * in_flight) / itl_ms / gpus),
      ...(answers.some(({ accept_length }) => accept_length !== undefined)
        ? { z_accept_length: answers.map(({ accept_length = 1 }) => accept_length) }
        : {}),
    },
  };
}

/** The first of each place, in ascending order of places. */
function oneForEach<Item>(items: readonly Item[], place: (item: Item) => number): Item[] {
  const found = new Map<number, Item>();
  for (const item of items) if (!found.has(place(item))) found.set(place(item), item);
  return [...found.values()].sort((a, b) => place(a) - place(b));
}

/** Linear within the points, the nearest beyond them; 0 without points. */
function between(points: readonly (readonly [number, number])[], at: number): number {
  const next = points.findIndex(([place]) => place >= at);
  const [high_at, high] = points[next] ?? points.at(-1) ?? [0, 0];
  const before = next > 0 ? points[next - 1] : undefined;
  if (before === undefined) return high;
  const [low_at, low] = before;
  return low + ((high - low) * (at - low_at)) / (high_at - low_at);
}
