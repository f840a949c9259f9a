/** One request for vectors, from its start until its body is there or it failed. */
import type { Embedding, Embeddings, Refused } from "../../../proto/index.ts";
import type { Clock } from "../../../runtime/capabilities.ts";
import type { TraceContext } from "../../../runtime/observe/trace.ts";
import { ApiError } from "../api/api-error.ts";
import type { EmbeddingWork } from "../api/dialect.ts";
import type { RequestMeter } from "../frontend-metrics.ts";
import { headsOf } from "../models/heads.ts";
import { pause } from "../pause.ts";
import type { StartEmbedding } from "./embed.ts";
import { type AnswerBytes, embedInParts } from "./embed-parts.ts";

export type EmbeddingRun = {
  readonly start: StartEmbedding;
  readonly clock: Clock;
  readonly meter: RequestMeter;
  readonly trace: TraceContext | undefined;
  /** Rejects with an ApiError when the request ends before its answer is there. */
  readonly stopped: Promise<never>;
};

/** The JSON of the answer. Rejects with ApiError. */
export async function runEmbedding(work: EmbeddingWork, run: EmbeddingRun): Promise<string> {
  const { start, clock, meter, trace, stopped } = run;
  const handle = embedInParts(start, work.request, answerBytesOf(work), clock, trace);
  try {
    const items = itemsOf(work, await Promise.race([handle.result, stopped]));
    let prompt_tokens = 0;
    for (const item of items) prompt_tokens += item.prompt_tokens;
    const created_s = Math.floor(clock.wall_ms() / 1000);
    const json = await work.body(items, { prompt_tokens, created_s, pause: () => pause(clock, 0) });
    meter.finished({ prompt_tokens, completion_tokens: 0, cached_tokens: 0 });
    return json;
  } catch (error) {
    const status = error instanceof ApiError ? error.status : 500;
    handle.abandon("the request is over");
    if (status === 499) meter.disconnected();
    else meter.failed(status);
    throw error;
  }
}

/** Bytes of a 32-bit float. */
const FLOAT = 4;

function answerBytesOf({ model, request }: EmbeddingWork): AnswerBytes {
  const { embedding_size } = model.card;
  if (request.pool === "classes") return () => FLOAT * headsOf(model.card).classes;
  if (request.pool === "tokens") return (input) => FLOAT * embedding_size * input.length;
  return () => FLOAT * embedding_size;
}

/** Throws ApiError when the worker refused. */
function itemsOf(work: EmbeddingWork, result: Embeddings | Refused): readonly Embedding[] {
  if (result.kind === "refused") {
    throw new ApiError(refusalStatus(result.code), result.code, result.message);
  }
  if (result.items.length === work.request.inputs.length) return result.items;
  throw new ApiError(
    502,
    "engine_error",
    "The worker answered with another number of vectors than inputs. Send the request again.",
  );
}

/** HTTP status of a refusal by router, worker or engine. */
function refusalStatus(code: string): number {
  switch (code) {
    case "context_overflow":
    case "bad_request":
    case "not_supported":
      return 400;
    case "model_not_found":
      return 404;
    case "queue_full":
    case "overloaded":
      return 529;
    case "deadline":
      return 504;
    case "engine_error":
      return 502;
    default:
      return 503;
  }
}
