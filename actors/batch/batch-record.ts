/**
 * What is known of one batch, in three records, each with one writer:
 *
 *   made     by the request that made it; never changes
 *   state    by the runner: how far it is
 *   cancel   by whoever cancels it
 *
 * `stateAfter` is the only way from one state to the next; pure.
 */
export const BATCH_PREFIX = "batch_";

export type BatchStatus =
  | "validating"
  | "in_progress"
  | "finalizing"
  | "cancelling"
  | "completed"
  | "failed"
  | "expired"
  | "cancelled";

export type BatchMade = {
  readonly id: string;
  /** The key that made it; "" where none is required. */
  readonly owner: string;
  /** The path of every line, as OpenAI names it. */
  readonly endpoint: string;
  readonly input_file_id: string;
  readonly completion_window: string;
  /** Unix seconds, as all times of a batch. */
  readonly created_at: number;
  readonly expires_at: number;
  readonly metadata: Readonly<Record<string, string>> | null;
  /** Drawn beforehand, so that files which are written again after a crash are the same files. */
  readonly output_file_id: string;
  readonly error_file_id: string;
  readonly output_expires_after_s?: number | undefined;
};

export type LineError = {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
  readonly line: number | null;
};

export type LineCounts = {
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
};

export type BatchUsage = {
  readonly input_tokens: number;
  readonly cached_tokens: number;
  readonly output_tokens: number;
  readonly reasoning_tokens: number;
};

/** How a batch ends, once its files are written. */
type Ending = "completed" | "expired" | "cancelled";

export type BatchState = {
  readonly status: BatchStatus;
  readonly counts: LineCounts;
  readonly usage: BatchUsage;
  readonly model: string | null;
  /** Of a batch that failed, or the first of its bad lines. */
  readonly errors: readonly LineError[];
  readonly has_output: boolean;
  readonly has_errors: boolean;
  readonly ending?: Ending | undefined;
  readonly at: Readonly<Partial<Record<TimeName, number>>>;
  /** The life of the runner that may go on with it; another one takes it over by its own name. */
  readonly run?: string | undefined;
};

const timeNames = [
  "in_progress_at",
  "finalizing_at",
  "completed_at",
  "failed_at",
  "expired_at",
  "cancelling_at",
  "cancelled_at",
] as const;
type TimeName = (typeof timeNames)[number];

export type Progress = Pick<BatchState, "usage" | "model"> &
  Pick<LineCounts, "completed" | "failed">;

export type BatchEvent =
  /** Its file was read once. `fatal`: nothing of it can be answered. */
  | {
      readonly kind: "checked";
      readonly total: number;
      readonly errors: readonly LineError[];
      readonly fatal: boolean;
    }
  | { readonly kind: "progress"; readonly progress: Progress }
  | { readonly kind: "cancel" }
  | { readonly kind: "expire" }
  /** No line is under way or waits any more. */
  | { readonly kind: "answered" }
  | { readonly kind: "written"; readonly has_output: boolean; readonly has_errors: boolean };

export const noUsage: BatchUsage = {
  input_tokens: 0,
  cached_tokens: 0,
  output_tokens: 0,
  reasoning_tokens: 0,
};

export const newState: BatchState = {
  status: "validating",
  counts: { total: 0, completed: 0, failed: 0 },
  usage: noUsage,
  model: null,
  errors: [],
  has_output: false,
  has_errors: false,
  at: {},
};

export const isOver = (status: BatchStatus): boolean =>
  status === "completed" || status === "failed" || status === "expired" || status === "cancelled";

/** An event that means nothing in a state leaves it as it is. `now_s`: Unix seconds. */
export function stateAfter(state: BatchState, event: BatchEvent, now_s: number): BatchState {
  const { status } = state;
  const become = (next: BatchStatus, more: Partial<BatchState> = {}): BatchState => {
    return { ...state, ...more, status: next, at: { ...state.at, [`${next}_at`]: now_s } };
  };
  switch (event.kind) {
    case "checked": {
      if (status !== "validating") return state;
      const { errors, total } = event;
      const counts = { total, completed: 0, failed: 0 };
      return become(event.fatal ? "failed" : "in_progress", { errors, counts });
    }
    case "progress": {
      if (isOver(status) || status === "validating") return state;
      const { completed, failed, usage, model } = event.progress;
      return { ...state, counts: { ...state.counts, completed, failed }, usage, model };
    }
    case "cancel":
      if (status !== "validating" && status !== "in_progress") return state;
      return become("cancelling", { ending: "cancelled" });
    case "expire":
      if (status !== "validating" && status !== "in_progress") return state;
      return become("finalizing", { ending: "expired" });
    case "answered":
      return status === "in_progress" ? become("finalizing", { ending: "completed" }) : state;
    case "written": {
      if (status !== "finalizing" && status !== "cancelling") return state;
      const { has_output, has_errors } = event;
      return become(state.ending ?? "completed", { has_output, has_errors });
    }
  }
}

/** OpenAI's Batch. `cancelled_at`: when somebody asked for its cancelling; undefined: nobody. */
export function batchJson(made: BatchMade, state: BatchState, cancel_s?: number): object {
  const asked = cancel_s !== undefined && !isOver(state.status) && state.status !== "finalizing";
  const times = Object.fromEntries(timeNames.map((name) => [name, state.at[name] ?? null]));
  const { input_tokens, cached_tokens, output_tokens, reasoning_tokens } = state.usage;
  return {
    id: made.id,
    object: "batch",
    endpoint: made.endpoint,
    model: state.model,
    errors: state.errors.length === 0 ? null : { object: "list", data: state.errors },
    input_file_id: made.input_file_id,
    completion_window: made.completion_window,
    status: asked ? "cancelling" : state.status,
    output_file_id: state.has_output ? made.output_file_id : null,
    error_file_id: state.has_errors ? made.error_file_id : null,
    created_at: made.created_at,
    expires_at: made.expires_at,
    ...times,
    ...(asked ? { cancelling_at: state.at.cancelling_at ?? cancel_s } : {}),
    request_counts: state.counts,
    usage: {
      input_tokens,
      input_tokens_details: { cached_tokens },
      output_tokens,
      output_tokens_details: { reasoning_tokens },
      total_tokens: input_tokens + output_tokens,
    },
    metadata: made.metadata,
  };
}
