/**
 * The load loop for an SLA (Dynamo 1.x, `core/load_scaling.py`): one worker more when all of them
 * are expected to miss it, one fewer when all are expected to stay well within.
 *
 *   TTFT  the queue and one mean prompt more, computed pass by pass
 *   ITL   the next pass with what runs, what waits and one mean context more
 */
import { drainMs, type PassModel } from "../model/pass-model.ts";
import type { Regression } from "../model/regression.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import type { PlanRole, PlanSnapshot, WorkerView } from "../pipeline/snapshot.ts";
import { countRole } from "./count-role.ts";
import type { Signal } from "./load-guards.ts";
import { queuedKvTokens } from "./load-static.ts";
import { figure } from "./throughput-loop.ts";

/** What is known of a role's passes. */
export type RoleModel = {
  readonly model: PassModel;
  readonly known: Regression;
  /** Prompt tokens that a mean prompt needs computed; 0: not known yet. */
  readonly mean_prompt: number;
};

export function slaSignal(
  config: PlannerConfig,
  snapshot: PlanSnapshot,
  role: PlanRole,
  of_role: RoleModel | undefined,
): Signal {
  if (of_role === undefined) {
    const why = `Fewer than ${config.load_min_observations} samples of passes fit a line.`;
    return { step: undefined, reason: "insufficient_data", why };
  }
  const { serving } = countRole(snapshot, role);
  const { max_batch_tokens } = snapshot.limits;
  const signals = [
    ...(role !== "decode" && max_batch_tokens > 0
      ? [
          judge(
            "TTFT",
            serving.map((each) => ttftMs(each, of_role, max_batch_tokens)),
            config.ttft_ms,
            config,
          ),
        ]
      : []),
    ...(role !== "prefill"
      ? [
          judge(
            "ITL",
            serving.map((each) => itlMs(each, of_role)),
            config.itl_ms,
            config,
          ),
        ]
      : []),
  ];
  if (signals.length === 0) {
    const why = "How many tokens a pass computes at most is not known.";
    return { step: undefined, reason: "insufficient_data", why };
  }
  const why = signals.map((signal) => signal.why).join(" ");
  if (signals.some(({ step }) => step === 1)) return { step: 1, why };
  return { step: signals.every(({ step }) => step === -1) ? -1 : 0, why };
}

type Judged = { readonly step: -1 | 0 | 1; readonly why: string };

function judge(
  name: string,
  estimates: readonly number[],
  limit_ms: number,
  { load_scaling_down_sensitivity }: PlannerConfig,
): Judged {
  const low_ms = (limit_ms * load_scaling_down_sensitivity) / 100;
  const why =
    `${name} ${figure(Math.min(...estimates))} to ${figure(Math.max(...estimates))} ms ` +
    `(limit ${figure(limit_ms)}, low ${figure(low_ms)}).`;
  if (estimates.every((ms) => ms > limit_ms)) return { step: 1, why };
  const fewer = estimates.length > 1 && estimates.every((ms) => ms < low_ms);
  return { step: fewer ? -1 : 0, why };
}

/** ms until a prompt that comes now has its first token. */
export function ttftMs(worker: WorkerView, of_role: RoleModel, max_batch_tokens: number): number {
  const tokens = worker.queued_prefill_tokens + of_role.mean_prompt;
  const kv_tokens = worker.role === "prefill" ? 0 : worker.kv_used_tokens;
  return drainMs(of_role.model, tokens, max_batch_tokens, kv_tokens);
}

/** ms of the next pass that draws tokens, with one request more. */
export function itlMs(worker: WorkerView, { model, known }: RoleModel): number {
  const queued = worker.role === "decode" ? queuedKvTokens(worker) : 0;
  return model.passMs({
    prefill_tokens: worker.role === "decode" ? 0 : known.mean_prefill_tokens,
    requests: known.mean_requests + 1,
    kv_tokens: worker.kv_used_tokens + queued + known.mean_context,
  });
}
