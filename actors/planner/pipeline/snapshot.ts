/**
 * What a planner sees of one model at one moment, and of the interval since the moment before.
 * Plain data that survives JSON: the cluster's own figures, Prometheus, a replay and a simulation
 * all make it, and every stage of the pipeline is a pure function over it.
 */

export const planRoles = ["aggregated", "prefill", "decode"] as const;
export type PlanRole = (typeof planRoles)[number];

/** In ms, over what ended in the interval. */
export type Tail = {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
};

/**
 * Requests of the interval. No request at all is a figure (`started: 0`), and not the same as
 * figures that are missing. Undefined fields: nothing of the kind happened, or nobody said.
 */
export type Traffic = {
  /** Offered load: requests that came. */
  readonly started: number;
  readonly ended: number;
  readonly failed: number;
  /** Mean tokens of a prompt and of an answer. */
  readonly isl: number | undefined;
  readonly osl: number | undefined;
  readonly ttft_ms: Tail | undefined;
  /** Between two tokens of an answer. */
  readonly itl_ms: Tail | undefined;
  readonly duration_ms: Tail | undefined;
  /** In a router, before any worker had the request. */
  readonly queue_ms: Tail | undefined;
  /** Requests that wait in routers now. */
  readonly queued: number;
  /** Frontends that know the model by no worker yet, and refuse requests for it; absent: none. */
  readonly unaware?: number;
  /** Of those that wait now, how long the oldest has waited. */
  readonly oldest_queued_ms: number | undefined;
  /** Of the tokens of all prompts, those that some cache had; 0 to 1. */
  readonly kv_hit_rate: number | undefined;
  /** Prompt tokens of a request that no cache had: how requests spread by themselves. No times. */
  readonly uncached_tokens?: Tail | undefined;
  /** Tokens a decode step makes for one answer; 1 without speculation. */
  readonly accept_length: number | undefined;
  /** Of the answers that ended, the share within both limits of the SLA; 0 to 1. */
  readonly attainment: number | undefined;
};

export const workerStates = ["starting", "serving", "retiring"] as const;
export type WorkerState = (typeof workerStates)[number];

export type WorkerView = {
  readonly worker: string;
  /** Whose pool can retire it. */
  readonly machine: string;
  readonly role: PlanRole;
  readonly state: WorkerState;
  /** When it came into this state; the clock of `at_ms`. */
  readonly since_ms: number;
  /** False: it gave no figures this time, and the numbers below say nothing. */
  readonly reports: boolean;
  readonly running: number;
  /** Not counted: requests that wait for their prompt, which another worker computes. */
  readonly waiting: number;
  /** So many; absent: none. */
  readonly elsewhere?: number;
  /** Prompt tokens of what runs and waits that no pass has computed yet. */
  readonly queued_prefill_tokens: number;
  /** Tokens in blocks that requests refer to, and all that fit. */
  readonly kv_used_tokens: number;
  readonly kv_total_tokens: number;
  /** Passes of the interval; undefined: its engine keeps no sums, or none ran. */
  readonly passes: PassFigures | undefined;
  /** Prompt tokens of the interval that its cache saved: who is retired first has the least. */
  readonly cached_tokens: number;
};

/** Requests that a worker has, of any kind. */
export const requestsAt = ({ running, waiting, elsewhere = 0 }: WorkerView): number =>
  running + waiting + elsewhere;

/**
 * Sums over the passes of one engine in one interval. A linear cost of a pass holds for sums as it
 * does for each pass, so no record of single passes is needed.
 */
export type PassFigures = {
  readonly interval_ms: number;
  /** Passes that computed prompt tokens, and these. */
  readonly prefill_passes: number;
  readonly prefill_tokens: number;
  /** Over passes, each one's tokens squared. */
  readonly prefill_tokens_squared: number;
  /** Passes that drew tokens; tokens drawn; over these passes, the share of the blocks in use. */
  readonly decode_passes: number;
  readonly decode_tokens: number;
  readonly decode_share: number;
  readonly busy_ms: number;
};

/** Of one worker, by its model card; 0: unknown. */
export type WorkerLimits = {
  readonly context_length: number;
  readonly max_batch_tokens: number;
  readonly max_kv_tokens: number;
  readonly max_seqs: number;
  readonly block_size: number;
};

export type PlanSnapshot = {
  readonly model: string;
  /** ms of one clock: wall time in a cluster, virtual time in a replay. */
  readonly at_ms: number;
  /** Length of the interval. */
  readonly interval_ms: number;
  /** Undefined: nobody who counts requests answered. */
  readonly traffic: Traffic | undefined;
  readonly workers: readonly WorkerView[];
  readonly limits: WorkerLimits;
};
