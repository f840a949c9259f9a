/** What `/api/requests` and the live feed say of requests, as JSON. */

export type RequestRow = {
  readonly id: string;
  readonly trace_id?: string;
  readonly frontend: string;
  readonly endpoint: string;
  readonly model: string;
  readonly state: "live" | "done" | "failed" | "cancelled";
  readonly status: number;
  /** Name of the span that is open. */
  readonly phase: string;
  /** Wall clock. */
  readonly started_ms: number;
  readonly duration_ms: number;
  /** Since its last progress; of live ones. */
  readonly idle_ms?: number | null;
  readonly prompt_tokens: number;
  readonly output_tokens: number;
  readonly cached_tokens: number;
  readonly ttft_ms: number | null;
  readonly itl_ms: number | null;
  readonly workers: readonly string[];
  readonly migrations: number;
  readonly resumes: number;
  readonly stuck: boolean;
};

export type RequestsFrame = {
  readonly topic: "requests";
  readonly rows: readonly RequestRow[];
  readonly gone?: readonly string[];
};

export type Span = {
  readonly name: string;
  /** From the request's arrival. */
  readonly start_ms: number;
  /** null: it is open. */
  readonly end_ms: number | null;
  readonly node?: string;
  readonly choice?: number | null;
  /** Name of the span that it is a part of; without it, it adds to the latency. */
  readonly inside?: string | null;
  readonly attributes?: Readonly<Record<string, unknown>>;
};

export type RouteWorker = {
  readonly worker: string;
  readonly cost: number | null;
  readonly overlap_blocks?: number;
  readonly parts?: Readonly<Record<string, number>>;
  /** Why it could not get the request at all. */
  readonly left_out?: string;
};

export type Route = {
  /** Whose worker was sought. */
  readonly for?: "answer" | "prefill";
  readonly at_ms: number;
  readonly mode: string;
  readonly chosen: string;
  readonly why: string;
  /** Of the costs and their parts. */
  readonly unit?: string;
  /** Until a worker had room. */
  readonly waited_ms?: number;
  /** Workers that were looked at; of many the likeliest are listed. */
  readonly count?: number;
  readonly workers: readonly RouteWorker[];
};

export type RequestPage = RequestRow & {
  readonly spans: readonly Span[];
  readonly route?: readonly Route[];
  readonly text?: string;
  readonly finish_reasons?: readonly string[];
  readonly error?: string | null;
  readonly curl?: string | null;
};
