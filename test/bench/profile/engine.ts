/**
 * A profiled engine as the planner's formulas see it: what its passes take, interpolated between the
 * measured points, and what it holds.
 */
import { profileOfSweep } from "../../../actors/engine/mocker/profile.ts";
import { profileTiming } from "../../../actors/engine/mocker/timing.ts";
import type { PassModel } from "../../../actors/planner/model/pass-model.ts";
import type { WorkerLimits } from "../../../actors/planner/pipeline/snapshot.ts";
import type { Curves } from "./curves.ts";

/** What Dynamo's files have no place for; 0: unknown. Written as profile.json. */
export type EngineNotes = {
  readonly model: string;
  readonly gpus: number;
  readonly context_length: number;
  readonly block_size: number;
  readonly max_batch_tokens: number;
  readonly max_seqs: number;
};

export type ProfiledEngine = {
  readonly gpus: number;
  readonly limits: WorkerLimits;
  /** Of a lone prompt until its first token, as it was measured. */
  readonly prompts: PassModel;
  /**
   * Of prompts and draws in one pass, on average: passes with less than a prompt's `prompt_tokens`
   * stand for whole prompts in some of them. `context`: tokens of one request, where it is not said.
   */
  readonly passes: (context: number, prompt_tokens: number) => PassModel;
};

export const noNotes: EngineNotes = {
  ...{ model: "", gpus: 1, context_length: 0, block_size: 0, max_batch_tokens: 0, max_seqs: 0 },
};

/** vLLM's and the mocker's default. */
const usual_batch_tokens = 8192;
const shortest_pass_ms = 0.001;

/** Throws ProfileError when the curves are no profile. */
export function engineOf(curves: Curves, notes: EngineNotes): ProfiledEngine {
  const timing = profileTiming(profileOfSweep(arraysOf(curves.prefill), arraysOf(curves.decode)));
  const whole = arraysOf({ ...curves.prefill, prefill_draw_ms: [] });
  const ttft = profileTiming(profileOfSweep(whole, arraysOf(curves.decode)));
  const total_kv_tokens = curves.decode.max_kv_tokens[0];
  const draws = (sequences: number, context_tokens: number) =>
    timing.decodeMs({
      sequences,
      context_tokens,
      used_kv_tokens: Math.min(context_tokens, total_kv_tokens),
      total_kv_tokens,
    });
  const atLeast = (ms: number) => Math.max(shortest_pass_ms, ms);
  return {
    gpus: notes.gpus,
    limits: {
      context_length: notes.context_length,
      max_batch_tokens: notes.max_batch_tokens || usual_batch_tokens,
      max_kv_tokens: total_kv_tokens,
      // Nobody measured what more answers at once would take.
      max_seqs: Math.min(notes.max_seqs || Number.POSITIVE_INFINITY, mostInFlight(curves, notes)),
      block_size: notes.block_size,
    },
    prompts: { passMs: ({ prefill_tokens }) => atLeast(ttft.prefillMs(prefill_tokens)) },
    passes: (context, prompt_tokens) => ({
      passMs({ prefill_tokens, requests, kv_tokens }) {
        const prompts = Math.min(1, prefill_tokens / prompt_tokens);
        const prefill_ms = prompts * timing.prefillMs(Math.max(prefill_tokens, prompt_tokens));
        return atLeast(prefill_ms + draws(requests || kv_tokens / context, kv_tokens));
      },
    }),
  };
}

function mostInFlight({ decode }: Curves, { gpus }: EngineNotes): number {
  const counts = decode.z_itl.map((ms, i) => ((decode.z_thpt_per_gpu[i] ?? 0) * gpus * ms) / 1000);
  return Math.max(1, Math.round(Math.max(...counts)));
}

function arraysOf(curve: Readonly<Record<string, readonly number[]>>) {
  return new Map(
    Object.entries(curve).map(([name, values]) => [
      name,
      { shape: [values.length], values: Float64Array.from(values) },
    ]),
  );
}
