/** The workers of one model: pools say which there are, their processes how they do. Pure. */
import type {
  ModelCard,
  Pool,
  WirePassSums,
  WorkerFigures,
  WorkerRole,
} from "../../../proto/index.ts";
import { rise } from "../../inspector/inspector.ts";
import type { PassFigures, WorkerLimits, WorkerView } from "../pipeline/snapshot.ts";
import type { Interval } from "./intervals.ts";

/** What a worker that serves says of itself in the registry. */
export type Registered = {
  readonly worker: string;
  readonly role: WorkerRole;
  readonly card?: ModelCard;
};

type Reported = {
  readonly now: WorkerFigures;
  readonly before: Partial<WorkerFigures>;
  readonly interval_ms: number;
};

/** @param at_ms of the look, the clock that `since_ms` is of */
export function workerViews(
  model: string,
  pools: readonly Pool[],
  registered: readonly Registered[],
  intervals: readonly Interval[],
  at_ms: number,
): readonly WorkerView[] {
  const reported = reportsOf(intervals);
  const records = new Map(registered.map((record) => [record.worker, record]));
  return pools.flatMap(({ machine, workers }) =>
    workers
      .filter((each) => each.model === model)
      .map(({ worker, role, state, state_ms }): WorkerView => {
        const record = records.get(worker);
        const block_size = record?.card?.block_size ?? 0;
        return {
          ...{ worker, machine },
          // A worker may have changed its role since its start.
          role: record?.role ?? role,
          state: state === "starting" || state === "retiring" ? state : "serving",
          since_ms: at_ms - state_ms,
          ...loadOf(reported.get(worker), block_size),
        };
      }),
  );
}

function reportsOf(intervals: readonly Interval[]): ReadonlyMap<string, Reported> {
  const reported = new Map<string, Reported>();
  for (const { now, before, interval_ms } of intervals) {
    for (const row of now.workers) {
      const past = before.workers.find(({ worker }) => worker === row.worker) ?? {};
      reported.set(row.worker, { now: row, before: past, interval_ms });
    }
  }
  return reported;
}

type LoadOfView = Omit<WorkerView, "worker" | "machine" | "role" | "state" | "since_ms">;

function loadOf(reported: Reported | undefined, block_size: number): LoadOfView {
  if (reported === undefined) {
    return {
      ...{ reports: false, running: 0, waiting: 0, queued_prefill_tokens: 0 },
      ...{ kv_used_tokens: 0, kv_total_tokens: 0, passes: undefined, cached_tokens: 0 },
    };
  }
  const { now, before } = reported;
  return {
    reports: true,
    running: now.running,
    // A worker that lacks prompts needs more of those that compute them, and none of its own role.
    waiting: Math.max(0, now.waiting - now.prompts_elsewhere),
    elsewhere: now.prompts_elsewhere,
    queued_prefill_tokens: now.queued_prefill_tokens,
    kv_used_tokens: now.kv_used * block_size,
    kv_total_tokens: now.kv_total * block_size,
    passes: passesOf(reported),
    cached_tokens: rise(before.cached_tokens_total, now.cached_tokens_total),
  };
}

/** Undefined: its engine keeps no sums, or made no pass. */
function passesOf({ now, before, interval_ms }: Reported): PassFigures | undefined {
  if (now.passes === undefined) return undefined;
  const past = anew(before.passes, now.passes) ? undefined : before.passes;
  const of = (field: keyof WirePassSums) => now.passes![field] - (past?.[field] ?? 0);
  const prefill_passes = of("prefill_passes");
  const decode_passes = of("decode_passes");
  if (prefill_passes + decode_passes === 0) return undefined;
  return {
    ...{ interval_ms, prefill_passes, decode_passes },
    prefill_tokens: of("prefill_tokens"),
    prefill_tokens_squared: of("prefill_tokens_squared"),
    decode_tokens: rise(past && before.generated_tokens_total, now.generated_tokens_total),
    decode_share: of("decode_share"),
    busy_ms: of("busy_ms"),
  };
}

/** All of an engine's sums begin anew together. */
const anew = (before: WirePassSums | undefined, now: WirePassSums): boolean =>
  before !== undefined && now.busy_ms < before.busy_ms;

/** By the cards of those that serve; 0: nobody says. */
export function limitsOf(cards: readonly ModelCard[]): WorkerLimits {
  const [card] = cards;
  const block_size = card?.block_size ?? 0;
  return {
    context_length: card?.context_length ?? 0,
    max_batch_tokens: card?.max_num_batched_tokens ?? 0,
    max_kv_tokens: (card?.total_blocks ?? 0) * block_size,
    max_seqs: card?.max_num_seqs ?? 0,
    block_size,
  };
}
