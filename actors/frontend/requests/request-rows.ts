/** Entries of the request book as the inspector shows them. Pure. */
import type { RouteChoice } from "../../../proto/index.ts";
import { asCurl } from "./as-curl.ts";
import type { RequestEntry } from "./request-entry.ts";
import { isOpen, type Note, type Span } from "./span.ts";

/** When, and where, an entry is looked at. */
export type LookedAt = {
  readonly now_ms: number;
  readonly wall_ms: number;
  readonly node: string;
};

export type RequestRow = {
  readonly id: string;
  readonly trace_id: string;
  readonly frontend: string;
  readonly endpoint: string;
  readonly model: string;
  readonly state: string;
  readonly status: number;
  /** Name of the open span; "" where it is over. */
  readonly phase: string;
  readonly started_ms: number;
  readonly duration_ms: number;
  readonly idle_ms: number;
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

type ShownSpan = {
  readonly name: string;
  readonly start_ms: number;
  readonly end_ms: number | null;
  readonly node: string;
  readonly choice?: number;
  readonly inside?: string;
  readonly attributes: Readonly<Record<string, Note>>;
};

export type RequestPage = RequestRow & {
  readonly spans: readonly ShownSpan[];
  readonly route: readonly object[];
  readonly text: string;
  readonly finish_reasons: readonly string[];
  readonly error?: string;
  readonly curl: string;
};

/** A live request without progress for so long is stuck, or for so many times its pace. */
const STUCK_MS = 5_000;
const STUCK_PACES = 20;
/** A prompt may take a while: so long a token counts as progress. */
const PROMPT_TOKEN_MS = 5;

export function rowOf(entry: RequestEntry, { now_ms, wall_ms, node }: LookedAt): RequestRow {
  const { arrival, state, first_ms, last_ms, output_tokens } = entry;
  const { arrived_ms } = arrival;
  const isLive = state === "live";
  const until_ms = isLive ? now_ms : entry.ended_ms;
  const itl_ms = output_tokens > 1 ? (last_ms - first_ms) / (output_tokens - 1) : undefined;
  const idle_ms = isLive ? now_ms - entry.progress_ms : 0;
  return {
    id: arrival.id,
    trace_id: entry.trace?.trace_id ?? "",
    frontend: node,
    endpoint: entry.endpoint,
    model: entry.model,
    state,
    status: entry.status,
    phase: isLive ? phaseOf(entry.spans) : "",
    started_ms: Math.round(wall_ms - (now_ms - arrived_ms)),
    duration_ms: rounded(until_ms - arrived_ms),
    idle_ms: rounded(idle_ms),
    prompt_tokens: entry.prompt_tokens,
    output_tokens,
    cached_tokens: entry.cached_tokens,
    ttft_ms: first_ms === 0 ? null : rounded(first_ms - arrived_ms),
    itl_ms: itl_ms === undefined ? null : rounded(itl_ms),
    workers: entry.workers,
    migrations: entry.migrations,
    resumes: entry.resumes,
    stuck: isLive && idle_ms > patienceMs(entry, itl_ms),
  };
}

function patienceMs({ first_ms, prompt_tokens }: RequestEntry, itl_ms: number | undefined): number {
  if (first_ms === 0) return STUCK_MS + PROMPT_TOKEN_MS * prompt_tokens;
  return Math.max(STUCK_MS, STUCK_PACES * (itl_ms ?? 0));
}

/** The innermost of what is under way: spans are in the order of their begin. */
const phaseOf = (spans: readonly Span[]): string => spans.findLast(isOpen)?.name ?? "receive";

export function pageOf(entry: RequestEntry, at: LookedAt, origin: string): RequestPage {
  const { arrived_ms } = entry.arrival;
  return {
    ...rowOf(entry, at),
    spans: [
      ...entry.spans.map((span) => shown(span, arrived_ms, at.node)),
      ...parseSpan(entry, at),
    ],
    route: entry.routes.map(({ at_ms, choice }) => storyOf(rounded(at_ms - arrived_ms), choice)),
    text: entry.text?.whole ?? "",
    finish_reasons: entry.finish_reasons,
    ...(entry.error === undefined ? {} : { error: entry.error }),
    curl: asCurl(entry.arrival, origin, entry.body?.value),
  };
}

function shown(span: Span, arrived_ms: number, node: string): ShownSpan {
  const { name, inside, from_ms, to_ms, worker, prompt, notes } = span;
  return {
    name,
    start_ms: rounded(from_ms - arrived_ms),
    end_ms: isOpen(span) ? null : rounded(to_ms - arrived_ms),
    node: worker ?? node,
    ...(prompt === undefined ? {} : { choice: prompt }),
    ...(inside === undefined ? {} : { inside }),
    attributes: notes ?? {},
  };
}

/** The sum of many short times, at the begin of the decoding that they are spread over. */
function parseSpan({ first_ms, shown_ms, arrival }: RequestEntry, { node }: LookedAt): ShownSpan[] {
  if (first_ms === 0 || shown_ms === 0) return [];
  const start_ms = rounded(first_ms - arrival.arrived_ms);
  const attributes = { sum: true, estimated: true };
  const end_ms = rounded(start_ms + shown_ms);
  return [{ name: "parse", start_ms, end_ms, node, inside: "decode", attributes }];
}

function storyOf(at_ms: number, choice: RouteChoice): object {
  const { prefill, mode, chosen, why, unit, waited_ms, count, workers } = choice;
  return {
    ...{ at_ms, for: prefill ? "prefill" : "answer", mode, chosen, why, unit, count },
    waited_ms: rounded(waited_ms),
    workers: workers.map(({ worker, cost, overlap_blocks, parts, left_out }) => ({
      ...{ worker, cost: rounded(cost), overlap_blocks },
      parts: Object.fromEntries(parts.map(({ name, value }) => [name, rounded(value)])),
      ...(left_out === "" ? {} : { left_out }),
    })),
  };
}

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;

const ENTRY_BYTES = 1_024;
const SPAN_BYTES = 128;
const ROUTE_BYTES = 4_096;

/** About as much as it takes of memory: of an entry that has ended always the same. */
export function entryBytes({ spans, routes, text, body }: RequestEntry): number {
  const content = 2 * (text?.chars ?? 0) + 2 * (body?.bytes ?? 0);
  return ENTRY_BYTES + SPAN_BYTES * spans.length + ROUTE_BYTES * routes.length + content;
}
