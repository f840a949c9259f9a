/**
 * The form of what a journal holds beside the memories of stages, checked when it is read: a record
 * that is damaged, or of another release, must not reach a tick.
 */
import { z } from "zod";
import { WORKERS_MOST } from "../connect/connector.ts";
import type { Decision, PlanAction, Prediction, Proposal } from "../pipeline/decision.ts";
import { reasonNames } from "../pipeline/decision.ts";
import type { FailedStarts, Gathered, PendingChange } from "../pipeline/planner-state.ts";
import type { PassFigures, PlanSnapshot, Tail, Traffic, WorkerView } from "../pipeline/snapshot.ts";
import { planRoles, workerStates } from "../pipeline/snapshot.ts";

export const number = z.number();
const some = z.number().min(0);

/** Of a field that is always there, and may be undefined. */
export const maybe = <Form extends z.ZodType>(form: Form) =>
  form.optional().transform((value) => value);

export const role = z.enum(planRoles);
/** Only of the roles that there are; a role may be missing. */
export const byRole = <Form extends z.ZodType>(form: Form) => z.partialRecord(role, form);

const names = z.array(z.string());
const action: z.ZodType<PlanAction> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("add"), role, count: z.int().min(1).max(WORKERS_MOST) }),
  z.object({ kind: z.literal("retire"), role, workers: names }),
  z.object({ kind: z.literal("cancel"), role, workers: names }),
  z.object({ kind: z.literal("change_role"), from: role, to: role, workers: names }),
]);

export const pendingForm: z.ZodType<PendingChange> = z.object({
  change: z.string(),
  decision: z.int(),
  action,
  asked_ms: number,
  cancelled: z.int().min(0).optional(),
});

export const failedForm: z.ZodType<FailedStarts> = z.object({
  count: z.int().min(0),
  until_ms: number,
  why: z.string(),
});

const tail: z.ZodType<Tail> = z.object({ mean: some, p50: some, p95: some, p99: some });

const traffic: z.ZodType<Traffic> = z.object({
  ...{ started: some, ended: some, failed: some, queued: some },
  ...{ isl: maybe(some), osl: maybe(some) },
  ...{ ttft_ms: maybe(tail), itl_ms: maybe(tail), duration_ms: maybe(tail) },
  ...{ queue_ms: maybe(tail), oldest_queued_ms: maybe(some) },
  ...{ kv_hit_rate: maybe(some), accept_length: maybe(some), attainment: maybe(some) },
  uncached_tokens: tail.optional(),
});

/** Differences of sums, which may be a little below 0. */
export const passes: z.ZodType<PassFigures> = z.object({
  ...{ interval_ms: number, prefill_passes: number, prefill_tokens: number },
  ...{ prefill_tokens_squared: number, decode_passes: number, decode_tokens: number },
  ...{ decode_share: number, busy_ms: number },
});

const worker: z.ZodType<WorkerView> = z.object({
  ...{ worker: z.string(), machine: z.string(), role, state: z.enum(workerStates) },
  ...{ since_ms: number, reports: z.boolean(), running: some, waiting: some },
  ...{ queued_prefill_tokens: some, kv_used_tokens: some, kv_total_tokens: some },
  ...{ passes: maybe(passes), cached_tokens: some, elsewhere: some.optional() },
});

export const snapshotForm: z.ZodType<PlanSnapshot> = z.object({
  ...{ model: z.string(), at_ms: number, interval_ms: some, traffic: maybe(traffic) },
  workers: z.array(worker),
  limits: z.object({
    ...{ context_length: some, max_batch_tokens: some, max_kv_tokens: some },
    ...{ max_seqs: some, block_size: some },
  }),
});

export const gatheredForm: z.ZodType<Gathered> = z.object({
  interval_ms: some,
  traffic: maybe(traffic),
});

const load = { requests: maybe(some), isl: maybe(some), osl: maybe(some) };

export const predictionForm: z.ZodType<Prediction> = z.object({
  ...load,
  interval_ms: some,
  steps: z.array(z.object(load)).optional(),
  ...{ kv_hit_rate: some.optional(), accept_length: some.optional() },
  failure: z.object({ code: z.literal("predict_failed"), why: z.string() }).optional(),
});

const reason = z.enum(reasonNames);

export const proposalForm: z.ZodType<Proposal> = z.object({
  loop: z.enum(["throughput", "load", "sla"]),
  ...{ role, wanted: maybe(some), passing: some.optional(), floor: z.boolean(), reason },
  ...{ why: z.string(), foreseen: predictionForm.optional() },
  ...{ estimated_ttft_ms: some.optional(), estimated_itl_ms: some.optional() },
});

const observed = {
  ...{ requests_per_s: maybe(some), isl: maybe(some), osl: maybe(some) },
  ...{ ttft_p50_ms: maybe(some), ttft_p95_ms: maybe(some) },
  ...{ itl_p50_ms: maybe(some), itl_p95_ms: maybe(some) },
  ...{ queue_p95_ms: maybe(some), queued: maybe(some), attainment: maybe(some) },
};

export const decisionForm: z.ZodType<Decision> = z.object({
  ...{ id: z.int().min(0), model: z.string(), at_ms: number, interval_ms: some },
  roles: z.array(
    z.object({
      ...{ role, serving: some, starting: some, retiring: some, target: some },
      ...{ throughput_reason: reason, load_reason: reason, reason, why: z.string() },
    }),
  ),
  ...{ targets: byRole(some), actions: z.array(action), advisory: z.boolean() },
  advised: z.array(action).optional(),
  ...{ observed: z.object(observed), predicted: predictionForm },
  estimated: z.object({ ttft_ms: maybe(some), itl_ms: maybe(some) }),
});
