/** A request that has ended → what the request trace says of it. Pure. */
import type { AnswerUsage } from "../../stream/stream.ts";
import type { RequestContext } from "../http/request-context.ts";
import type { Prepared } from "../prompt/prepare-request.ts";
import type { RequestEntry } from "../requests/request-entry.ts";
import type { RequestFacts } from "./trace-record.ts";

const SESSION = "x-dynamo-session-id";

/**
 * @param usage undefined where the answer has none
 * @param ended_ms Unix time
 */
export function factsOf(
  entry: RequestEntry,
  { headers, key }: Pick<RequestContext, "headers" | "key">,
  prepared: Prepared,
  usage: AnswerUsage | undefined,
  ended_ms: number,
): Omit<RequestFacts, "body"> {
  const { id, request, arrived_ms } = entry.arrival;
  const { first_ms, last_ms } = entry;
  const received_ms = ended_ms - (entry.ended_ms - arrived_ms);
  const x_request_id = headers["X-Request-Id"];
  return {
    ...shapeOf(prepared),
    request_id: id,
    x_request_id: x_request_id === id ? undefined : x_request_id,
    session_id: request.headers.get(SESSION) ?? undefined,
    key: key?.name,
    ...{ received_ms, ended_ms },
    ttft_ms: first_ms === 0 ? undefined : first_ms - arrived_ms,
    last_token_ms: last_ms === 0 ? undefined : received_ms + last_ms - arrived_ms,
    output_tokens: usage?.completion_tokens ?? entry.output_tokens,
    cached_tokens: usage?.cached_tokens ?? 0,
    outcome: outcomeOf(entry),
    finish_reasons: entry.finish_reasons,
    workers: entry.workers,
  };
}

function outcomeOf({ state, status }: RequestEntry): string {
  if (state === "done") return "success";
  return state === "cancelled" ? "disconnected" : `error ${status}`;
}

function shapeOf(prepared: Prepared) {
  if (prepared.makes === "embedding") {
    const { dialect, embedding } = prepared;
    const { name: model, card } = embedding.model;
    const input_tokens = embedding.request.inputs.reduce((sum, input) => sum + input.length, 0);
    const { block_size } = card;
    return { endpoint: dialect.name, model, input_tokens, prompt: undefined, block_size };
  }
  const { dialect, model, answers, counted_each } = prepared.generation;
  const [only] = answers;
  // Dynamo's replay knows requests of one answer alone.
  const prompt = answers.length === 1 && counted_each === 1 ? only?.prompt : undefined;
  return {
    ...{ endpoint: dialect.name, model: model.name, prompt, block_size: model.card.block_size },
    input_tokens: answers.reduce((sum, answer) => sum + answer.prompt.length, 0),
  };
}
