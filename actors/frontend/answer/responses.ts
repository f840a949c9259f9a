/**
 * A prepared request → its HTTP response: streamed, in one piece, or vectors. Each way has the same
 * steps: an output that the client reads, a meter that counts it as live, and a run that fills it.
 */
import type { Clock } from "../../../runtime/capabilities.ts";
import { parseTraceparent, type TraceContext } from "../../../runtime/observe/trace.ts";
import type { StartAnswer } from "../../stream/stream.ts";
import { ApiError, clientGone } from "../api/api-error.ts";
import type { AnswerHead, EmbeddingDialect, EmbeddingWork, Generation } from "../api/dialect.ts";
import type { StartEmbedding } from "../embedding/embed.ts";
import { runEmbedding } from "../embedding/run-embedding.ts";
import { FlushRounds } from "../http/flush-rounds.ts";
import { LateJson } from "../http/late-json.ts";
import type { Quiet } from "../http/live-requests.ts";
import type { RequestContext } from "../http/request-context.ts";
import type { RequestFacts } from "../resume/resume-context.ts";
import { type StreamCursor, startOf } from "../resume/stream-id.ts";
import { CollectedOutput } from "./collected-output.ts";
import { madeCounts, withCopies } from "./equal-answers.ts";
import { FormattedOutput } from "./formatted-output.ts";
import type { MeteredRequests } from "./metered-requests.ts";
import type { Recording } from "./recording.ts";
import { RequestRun, type RequestRunOptions } from "./request-run.ts";
import { StreamedOutput } from "./streamed-output.ts";

export type ResponsesParts = {
  readonly clock: Clock;
  readonly startAnswer: StartAnswer;
  readonly startEmbedding: StartEmbedding;
  readonly metered: MeteredRequests;
  /** Unsent text of one answer that is kept for a slow client, in UTF-16 units. */
  readonly buffer_chars: number;
};

export type ResponseOptions = {
  /** Tokens that the client has already. */
  readonly from?: StreamCursor;
  /** True: the client knows the answer's id before it has got any token. */
  readonly known?: boolean;
  /** Called once, when it has ended. */
  readonly over?: (() => void) | undefined;
  /** Who stores it. */
  readonly recording?: Recording | undefined;
  /** It goes on when its client leaves. */
  readonly detached?: boolean;
  /** The client has the events up to this number. */
  readonly after?: number;
  /** Another request has counted it. */
  readonly counted?: boolean;
};

type RunHow = Pick<RequestRunOptions, "keeps" | "had"> &
  Pick<ResponseOptions, "over" | "recording" | "detached"> & {
    readonly type: "stream" | "unary";
    readonly quiet: Quiet;
  };

export const eventStream = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache",
  // Proxies that buffer would turn a stream into one late lump.
  "X-Accel-Buffering": "no",
};

export class Responses {
  readonly #parts: ResponsesParts;
  readonly #rounds: FlushRounds;
  readonly #now_s: () => number;

  constructor(parts: ResponsesParts) {
    this.#parts = parts;
    this.#rounds = new FlushRounds(parts.clock);
    this.#now_s = () => Math.floor(parts.clock.wall_ms() / 1000);
  }

  /** As its client asked for it. Rejects with ApiError when it fails before the first token. */
  of(
    context: RequestContext,
    generation: Generation,
    facts: RequestFacts,
    options: ResponseOptions,
  ): Promise<Response> {
    return generation.stream
      ? this.streamed(context, generation, facts, options)
      : this.#collected(context, generation, facts, options);
  }

  streamed(
    context: RequestContext,
    generation: Generation,
    facts: RequestFacts,
    options: ResponseOptions,
  ): Promise<Response> {
    const { from = startOf(facts.request), known = false, over, recording } = options;
    const { detached = false, after, counted = false } = options;
    const { returns } = facts;
    const { dialect, include_usage, echo, shown_each, answers, scoring } = generation;
    let run: RequestRun | undefined;
    const head = this.#headOf(generation, facts, after);
    const whole = dialect.whole?.(head);
    const early = whole?.early() ?? [];
    const output = new StreamedOutput({
      rounds: this.#rounds,
      request: facts.request,
      format: whole ?? dialect.chunks(head),
      // Who goes on behind an event has had these.
      early: from.choices.length === 0 ? early : [],
      choices: answers.length * shown_each,
      prompts: answers.length,
      from,
      resume_path: `/v1/streams/${facts.request}`,
      include_usage,
      echo: echo && ((choice) => echo[Math.floor(choice / shown_each)] ?? ""),
      scored: scoring && ((choice) => scoring.prompts[Math.floor(choice / shown_each)]!),
      headers: { ...context.headers, ...eventStream },
      buffer_chars: this.#parts.buffer_chars,
      drained: () => run?.drained(),
      // What is written for a client that left goes nowhere, and is never too much.
      cancelled: () => (detached ? run?.drained() : run?.abandon("client closed the stream")),
      recorded: whole &&
        recording && {
          ...recording,
          whole: () => recording.whole(whole.response(), whole.deltas),
        },
    });
    run = this.#run(context, generation, output, {
      type: "stream",
      quiet: output,
      keeps: (why) => (why === "cut" ? known || output.committed : returns),
      ...{ over, recording, detached },
      had: counted
        ? [Number.POSITIVE_INFINITY]
        : madeCounts(
            generation,
            from.choices.map((choice) => choice.delivered),
          ),
    });
    return output.response;
  }

  #collected(
    context: RequestContext,
    generation: Generation,
    facts: RequestFacts,
    { known = false, over, recording }: ResponseOptions,
  ): Promise<Response> {
    const output = this.#wholeOutput(generation, facts, recording, true);
    const gone = () => run.abandon("client closed the answer");
    const late = new LateJson(context, this.#parts.clock, gone);
    const how = { type: "unary", quiet: late, keeps: () => known, over, recording } as const;
    const run = this.#run(context, generation, output, how);
    return late.from(output.json);
  }

  /** An answer without a client, for who stores it. */
  background(
    context: RequestContext,
    generation: Generation,
    facts: RequestFacts,
    { recording, counted = false }: Required<Pick<ResponseOptions, "recording">> & ResponseOptions,
  ): void {
    const output = this.#wholeOutput(generation, facts, recording, false);
    // Who stores it hears of the failure.
    output.json.catch(() => {});
    const quiet: Quiet = { look: () => {} };
    const keeps = (why: "left" | "cut") => why === "cut";
    const had = counted ? [Number.POSITIVE_INFINITY] : [];
    const how = { type: "unary", quiet, keeps, recording, detached: true, had } as const;
    this.#run({ ...context, exchange: undefined }, generation, output, how);
  }

  /** As it is stored while it is not whole. */
  unfinished(
    generation: Generation,
    facts: RequestFacts,
    status: "queued" | "in_progress",
  ): object | undefined {
    return generation.dialect.whole?.(this.#headOf(generation, facts)).unfinished(status);
  }

  #wholeOutput(
    generation: Generation,
    facts: RequestFacts,
    recording: Recording | undefined,
    has_client: boolean,
  ) {
    const { dialect } = generation;
    const head = this.#headOf(generation, facts, Number.MAX_SAFE_INTEGER);
    return dialect.whole === undefined
      ? new CollectedOutput(generation, head)
      : new FormattedOutput(dialect.whole(head), recording, has_client);
  }

  #headOf(
    generation: Generation,
    { request, created_s }: RequestFacts,
    after?: number,
  ): AnswerHead {
    const { dialect, model, answers, include_usage, logprobs, parsing, shell } = generation;
    const { scoring } = generation;
    const id = dialect.id_prefix + request;
    const { context_length } = model.card;
    let prompt_tokens = 0;
    for (const { prompt } of answers) prompt_tokens += prompt.length;
    return {
      ...{ id, created_s, model: model.name, prompt_tokens, context_length },
      ...{ include_usage, logprobs, parsing, scoring, shell, after, now_s: this.#now_s },
    };
  }

  /** Vectors, in one piece. Rejects with ApiError. */
  embedded(
    context: RequestContext,
    dialect: EmbeddingDialect,
    work: EmbeddingWork,
  ): Promise<Response> {
    let stop: (error: ApiError) => void = () => {};
    const stopped = new Promise<never>((_, reject) => {
      stop = reject;
    });
    const { clock, startEmbedding: start, metered } = this.#parts;
    const quiet = new LateJson(context, clock, () => stop(clientGone()));
    const meter = metered.begin(context, {
      ...{ model: work.model.name, endpoint: dialect.name, type: "unary", quiet },
      cut: (message) => stop(new ApiError(503, "draining", message)),
    });
    onAbort(context, () => stop(clientGone()));
    const trace = traceOf(context);
    context.entry?.computing();
    return quiet.from(runEmbedding(work, { start, clock, meter, trace, stopped }));
  }

  #run(
    context: RequestContext,
    generation: Generation,
    output: StreamedOutput | CollectedOutput | FormattedOutput,
    { type, quiet, keeps, had = [], over, recording, detached = false }: RunHow,
  ): RequestRun {
    const { metered, startAnswer } = this.#parts;
    let cancelled = false;
    const meter = metered.begin(context, {
      model: generation.model.name,
      // A resumed answer is a request of its own.
      endpoint: had.length === 0 ? generation.dialect.name : "streams",
      type,
      cut: (message) => run.cut({ code: "draining", status: 503, message, retry_after_s: 1 }),
      quiet,
      over,
    });
    const run: RequestRun = new RequestRun({
      keeps: (why) => !cancelled && keeps(why),
      had,
      generation,
      start: startAnswer,
      output: withCopies(generation, output),
      meter,
      trace: traceOf(context),
      entry: context.entry,
    });
    if (!detached) onAbort(context, () => run.abandon("client disconnected"));
    recording?.started(() => {
      cancelled = true;
      run.abandon("cancelled");
    });
    run.begin();
    return run;
  }
}

function traceOf(context: RequestContext): TraceContext | undefined {
  if (context.entry !== undefined) return context.entry.trace;
  const header = context.request.headers.get("traceparent");
  return header === null ? undefined : parseTraceparent(header);
}

function onAbort(context: RequestContext, then: () => void): void {
  const { signal } = context.request;
  if (signal.aborted) then();
  else signal.addEventListener("abort", then, { once: true });
}
