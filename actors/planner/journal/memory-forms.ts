/**
 * The form of what each stage remembers, by the stage's name, checked when it is read from a
 * journal. Who changes a memory changes its form here: the compiler holds them together.
 */
import { z } from "zod";
import type { ConstrainMemory } from "../constrain/constrain.ts";
import type { Regression } from "../model/regression.ts";
import type { PredictMemory } from "../predict/predict-stage.ts";
import type { ClassicMemory } from "../propose/classic.ts";
import type { CurrentMemory } from "../propose/current.ts";
import type { CostEvidence } from "../propose-tail/pass-costs.ts";
import type { Mean, TailMemory } from "../propose-tail/tail-memory.ts";
import { byRole, number, passes, predictionForm, proposalForm } from "./forms.ts";
import { predictorForm } from "./predictor-forms.ts";

const numbers = z.array(number);
const weighted = z.object({ sum: number, weight: number });

const predict: z.ZodType<PredictMemory> = z.object({
  part: z.object({
    ...{ elapsed_ms: number, seen_ms: number, started: number },
    ...{ isl: weighted, osl: weighted },
  }),
  series: z.object({
    requests: predictorForm.optional(),
    isl: predictorForm.optional(),
    osl: predictorForm.optional(),
  }),
  ...{ kv_hit_rate: number, accept_length: number },
  turn: z.enum(["requests", "isl", "osl"]).optional(),
  prediction: predictionForm.optional(),
});

/** One feature or two, of each sample as of the bounds. */
const regression: z.ZodType<Regression> = z
  .object({
    samples: z.array(z.object({ x: numbers, ms: number })),
    ...{ low: numbers, high: numbers, mean_context: number, mean_prefill_tokens: number },
    ...{ mean_requests: number, kv_tokens_max: number },
  })
  .refine(({ samples, low, high }) => {
    const rows = [...samples.map(({ x }) => x), high];
    return rows.every((row) => row.length === low.length);
  });

const held = z.object({ at_ms: number.nullable(), proposals: z.array(proposalForm) });

const current: z.ZodType<CurrentMemory> = z.object({
  ...{ regressions: byRole(regression), mean_isl: number, kv_hit_rate: number },
  ...{ throughput: held, load: held, downs: byRole(number) },
});

const classic: z.ZodType<ClassicMemory> = z.object({
  at_ms: number.nullable(),
  observed: z.object({
    ...{ interval_ms: number, whole: z.boolean(), started: number, ended: number },
    ...{ isl: number, osl: number, ttft_ms: number, itl_ms: number, duration_ms: number },
  }),
  corrections: z.object({ prefill: number, decode: number }),
  proposals: z.array(proposalForm),
});

const mean: z.ZodType<Mean> = z.object({ value: number, weight: number });
const FEATURES = 6;
const evidence: z.ZodType<CostEvidence> = z.object({
  products: numbers.length(FEATURES * FEATURES),
  targets: numbers.length(FEATURES),
  count: number,
});

const tail: z.ZodType<TailMemory> = z.object({
  arrivals: z.array(z.object({ at_ms: number, started: number, interval_ms: number.positive() })),
  ...{ prompt: mean, uncached: mean, answer: mean },
  roles: byRole(z.object({ evidence, passes })),
  spreads: z.object({
    ...{ tokens_log: mean, tokens_sigma: mean, ttft_log: mean, ttft_sigma: mean },
    ...{ itl_sigma: mean, itl_scale: mean },
  }),
  overloaded_ms: number.optional(),
  lost: z.object({ measured: mean, expected: mean }),
});

const wishes = z.object({
  since_ms: number,
  list: z.array(z.object({ at_ms: number, wanted: number })).min(1),
});

const constrain: z.ZodType<ConstrainMemory> = z.object({
  wishes: byRole(wishes),
  worth: z.record(z.string(), number),
  idle: z.object({ since_ms: number.optional() }),
});

/** Of a stage that is not here the memory is taken as it is. */
export const memoryForms: Readonly<Record<string, z.ZodType>> = {
  ...{ predict, current, classic, tail, constrain },
};
