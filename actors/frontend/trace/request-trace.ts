/**
 * One request while it is answered: it stands before the answer's meter and output, notes what they
 * are told, and gives the whole to the queue when the request is over.
 */
import type { Clock } from "../../../runtime/capabilities.ts";
import type { AnswerEnd, AnswerFailure, AnswerPiece, AnswerUsage } from "../../stream/stream.ts";
import type { AnswerOutput } from "../answer/request-run.ts";
import type { RequestMeter } from "../frontend-metrics.ts";
import type { RequestContext } from "../http/request-context.ts";
import type { Prepared } from "../prompt/prepare-request.ts";
import type { RequestFacts } from "./trace-record.ts";
import type { Traced } from "./traced.ts";

const SESSION = "x-dynamo-session-id";
const WORKERS_MOST = 16;

export class RequestTrace implements Traced {
  readonly #clock: Clock;
  readonly #context: RequestContext;
  readonly #prepared: Prepared;
  readonly #body: object | undefined;
  readonly #done: (facts: RequestFacts) => void;
  readonly #finish_reasons: string[] = [];
  readonly #workers: string[] = [];
  #made = 0;
  #first_ms: number | undefined;
  #last_ms: number | undefined;
  #over = false;

  constructor(
    clock: Clock,
    context: RequestContext,
    prepared: Prepared,
    body: object | undefined,
    done: (facts: RequestFacts) => void,
  ) {
    this.#clock = clock;
    this.#context = context;
    this.#prepared = prepared;
    this.#body = body;
    this.#done = done;
  }

  meter(meter: RequestMeter): RequestMeter {
    return {
      tokens: (count) => {
        this.#last_ms = this.#clock.now_ms();
        this.#first_ms ??= this.#last_ms;
        this.#made += count;
        meter.tokens(count);
      },
      finished: (usage) => {
        this.#end("success", usage);
        meter.finished(usage);
      },
      failed: (status) => {
        this.#end(`error ${status}`);
        meter.failed(status);
      },
      disconnected: () => {
        this.#end("disconnected");
        meter.disconnected();
      },
    };
  }

  output(output: AnswerOutput): AnswerOutput {
    return {
      placed: (prompt: number, worker: string, attempt: number) => {
        if (this.#workers.length < WORKERS_MOST) this.#workers.push(worker);
        output.placed?.(prompt, worker, attempt);
      },
      piece: (choice: number, piece: AnswerPiece) => output.piece(choice, piece),
      end: (choice: number, end: AnswerEnd) => {
        this.#finish_reasons.push(end.reason);
        output.end(choice, end);
      },
      done: (usage: AnswerUsage) => output.done(usage),
      failed: (failure: AnswerFailure) => output.failed(failure),
      abandoned: () => output.abandoned(),
    };
  }

  /** `usage`: undefined where the answer has none. */
  #end(outcome: string, usage?: AnswerUsage): void {
    if (this.#over) return;
    this.#over = true;
    const { id, headers, request, key, arrived_ms } = this.#context;
    const now_ms = this.#clock.now_ms();
    const ended_ms = this.#clock.wall_ms();
    const received_ms = ended_ms - (now_ms - arrived_ms);
    const since = (at_ms: number | undefined) =>
      at_ms === undefined ? undefined : at_ms - arrived_ms;
    const last_ms = since(this.#last_ms);
    const x_request_id = headers["X-Request-Id"];
    this.#done({
      ...this.#shape(),
      request_id: id,
      x_request_id: x_request_id === id ? undefined : x_request_id,
      session_id: request.headers.get(SESSION) ?? undefined,
      key: key?.name,
      ...{ received_ms, ended_ms, ttft_ms: since(this.#first_ms) },
      last_token_ms: last_ms === undefined ? undefined : received_ms + last_ms,
      output_tokens: usage?.completion_tokens ?? this.#made,
      cached_tokens: usage?.cached_tokens ?? 0,
      ...{ outcome, finish_reasons: this.#finish_reasons, workers: this.#workers },
      body: this.#body,
    });
  }

  #shape() {
    const prepared = this.#prepared;
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
}
