/**
 * The hub of every POST, whatever its dialect: body → names → what to run → response. It knows
 * every live answer, so that a drain can wait for them or cut them.
 */
import { Allowance, type AllowanceOptions } from "../../runtime/allowance.ts";
import type { Clock, Ids, Random } from "../../runtime/capabilities.ts";
import { parseTraceparent, type TraceContext } from "../../runtime/observe/trace.ts";
import type { StartAnswer } from "../stream/stream.ts";
import { CollectedOutput } from "./answer/collected-output.ts";
import { madeCounts, withCopies } from "./answer/equal-answers.ts";
import { RequestRun, type RequestRunOptions } from "./answer/request-run.ts";
import { clientGone, StreamedOutput } from "./answer/streamed-output.ts";
import { ApiError, modelNotFound } from "./api/api-error.ts";
import { checkAllNames } from "./api/check-body.ts";
import {
  type AnswerHead,
  type Dialect,
  type EmbeddingDialect,
  type EmbeddingWork,
  type Generation,
  generationDialect,
  type RequestScope,
} from "./api/dialect.ts";
import type { Nvext } from "./api/nvext-fields.ts";
import type { DoorSettings } from "./door-settings.ts";
import type { StartEmbedding } from "./embedding/embed.ts";
import { runEmbedding } from "./embedding/run-embedding.ts";
import type { FrontendMetrics, RequestMeter } from "./frontend-metrics.ts";
import { FlushRounds } from "./http/flush-rounds.ts";
import { LateJson } from "./http/late-json.ts";
import { LiveRequests, type Quiet } from "./http/live-requests.ts";
import type { RequestContext } from "./http/request-context.ts";
import type { ModelDirectory } from "./models/models.ts";
import type { ServedModel } from "./models/served-model.ts";
import type { PrepareContext } from "./prompt/prepare-context.ts";
import { pinOf, routeHintsOf } from "./prompt/route-hints.ts";
import { TokensAhead } from "./prompt/tokens-ahead.ts";
import { heldOrFirst } from "./resume/idempotency.ts";
import { bodyHash, type Claims, idempotencyKeyOf, keyedId } from "./resume/idempotency-claim.ts";
import { type RequestFacts, resumable, resumedFrom } from "./resume/resume-context.ts";
import { type FindAnswer, resumeStream } from "./resume/resume-stream.ts";
import { type StreamCursor, startOf } from "./resume/stream-id.ts";

export type GeneratorParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly findAnswer: FindAnswer;
  readonly claims: Claims;
  readonly models: ModelDirectory;
  readonly dialects: readonly Dialect[];
  readonly startAnswer: StartAnswer;
  readonly startEmbedding: StartEmbedding;
  readonly metrics: FrontendMetrics;
  readonly settings: DoorSettings;
  /** Called after the last live request has ended. */
  readonly idle: () => void;
};

export type Prepared =
  | { readonly makes: "generation"; readonly generation: Generation }
  | {
      readonly makes: "embedding";
      readonly embedding: EmbeddingWork;
      readonly dialect: EmbeddingDialect;
    };

const eventStream = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache",
  // Proxies that buffer would turn a stream into one late lump.
  "X-Accel-Buffering": "no",
};

/** How long a resumed stream waits for a door that has just started, and how often it looks. */
const START_UP_MS = 2_000;
const LOOK_MS = 10;

/** Of streams that nobody has: many may come back at once, but all of them are somewhere. */
const lookupAllowance: AllowanceOptions = { at_once: 128, each_ms: 125 };

type RunOptions = {
  /** What its client has already. */
  readonly from?: StreamCursor;
  /** Its client knows how to ask for it again before it has got anything. */
  readonly known?: boolean;
  /** Called once, when it has ended. */
  readonly over?: (() => void) | undefined;
};

type RunHow = Pick<RequestRunOptions, "keeps" | "had"> &
  Pick<RunOptions, "over"> & { readonly type: "stream" | "unary"; readonly quiet: Quiet };

type LiveHow = Pick<RunOptions, "over"> & {
  readonly cut: (message: string) => void;
  readonly quiet: Quiet;
};

export class Generator {
  readonly #parts: GeneratorParts;
  readonly #live: LiveRequests;
  readonly #rounds: FlushRounds;
  readonly #lookups: Allowance;
  /** When the last answer ended. */
  ended_ms = Number.NEGATIVE_INFINITY;

  constructor(parts: GeneratorParts) {
    this.#parts = parts;
    this.#rounds = new FlushRounds(parts.clock);
    this.#lookups = new Allowance(parts.clock, lookupAllowance);
    this.#live = new LiveRequests(parts.clock, parts.settings.heartbeat_ms);
  }

  get live(): number {
    return this.#live.size;
  }

  /** Ends whatever is live with an error; returns how many requests that were. */
  cut(message: string): number {
    return this.#live.cut(message);
  }

  /** `prepare` for a long body, with other requests in between. Rejects with ApiError. */
  async prepareLong(context: RequestContext, dialect: Dialect, body: object): Promise<Prepared> {
    const { clock, metrics } = this.#parts;
    const ahead = new TokensAhead(clock, metrics);
    return ahead.run(() => this.prepare(context, dialect, body, ahead));
  }

  /** Everything up to the tokens. Throws ApiError. */
  prepare(context: RequestContext, dialect: Dialect, body: object, ahead?: TokensAhead): Prepared {
    checkAllNames(body, dialect, this.#parts.settings.unknown_fields);
    const scope: RequestScope = {
      contextOf: (nvext) => this.#prepareContext(context, nvext),
      modelOf: (name) => {
        const model = this.#model(name);
        if (ahead === undefined) return model;
        return { ...model, tokenizer: ahead.of(model.tokenizer, model.card.context_length) };
      },
    };
    return dialect.makes === "generation"
      ? { makes: "generation", generation: dialect.prepare(body, scope) }
      : { makes: "embedding", embedding: dialect.prepare(body, scope), dialect };
  }

  /** `owner`: the key that made it. Rejects with ApiError when it fails before the first token. */
  run(context: RequestContext, owner: string, prepared: Prepared, body: object): Promise<Response> {
    if (prepared.makes === "embedding") {
      return this.#embed(context, prepared.dialect, prepared.embedding);
    }
    const { generation } = prepared;
    const key = idempotencyKeyOf(context.request.headers);
    if (key !== undefined) return this.#keyed(context, owner, generation, key, body);
    const returns = mayReturn(context) ?? this.#parts.settings.keep_hung_up;
    const facts = this.#factsOf(context.id, owner, "", returns);
    // What is not streamed has no name that its client would know it by.
    const named = generation.stream ? resumable(generation, facts) : generation;
    return this.#runKept(context, named, facts, {});
  }

  #factsOf(request: string, owner: string, body_hash: string, returns: boolean): RequestFacts {
    const created_s = Math.floor(this.#parts.clock.wall_ms() / 1000);
    return { request, owner, created_s, body_hash, returns };
  }

  async #keyed(
    context: RequestContext,
    owner: string,
    generation: Generation,
    key: string,
    body: object,
  ): Promise<Response> {
    const { findAnswer: find, claims, clock, ids } = this.#parts;
    const id = keyedId(owner, key);
    const body_hash = bodyHash(generation.dialect.name, body);
    const gone = () => context.request.signal.aborted;
    const claim = claims.of(id);
    const over = () => claim.release();
    try {
      const parts = await heldOrFirst({ find, claim, clock }, { id, owner, body_hash, gone });
      if (parts === undefined) {
        const facts = this.#factsOf(id, owner, body_hash, true);
        const named = resumable(generation, facts);
        return await this.#runKept(context, named, facts, { known: true, over });
      }
      const names = () => `${id}.${ids.next()}`;
      const { dialect, model } = generation;
      const held = resumedFrom(parts, dialect, model, names, []);
      return await this.#runKept(context, held.generation, held.facts, { known: true });
    } catch (error) {
      over();
      throw error;
    }
  }

  #runKept(
    context: RequestContext,
    generation: Generation,
    facts: RequestFacts,
    how: RunOptions,
  ): Promise<Response> {
    return generation.stream
      ? this.#stream(context, generation, facts, how)
      : this.#collect(context, generation, facts, how);
  }

  /** Goes on with an answer that another request began. Rejects with ApiError as `run`. */
  async resume(context: RequestContext, owner: string, id: string): Promise<Response> {
    const { findAnswer: find, ids } = this.#parts;
    await this.#workersKnown();
    const lookups = this.#lookups;
    const peers = {
      ...{ find, lookups, ids, model: (name: string) => this.#model(name) },
      dialect: (name: string) => generationDialect(this.#parts.dialects, name),
    };
    const last_event_id = context.request.headers.get("last-event-id");
    const { generation, facts, from } = await resumeStream(peers, owner, id, last_event_id);
    // What a browser's EventSource takes as: do not come again.
    if (from.done) return new Response(null, { status: 204, headers: context.headers });
    // As its POST said, unless this request says otherwise.
    const returns = mayReturn(context) ?? facts.returns;
    return this.#stream(context, generation, { ...facts, returns }, { from, known: true });
  }

  /** A door that has just started would find nothing, because it knows nobody to ask. */
  async #workersKnown(): Promise<void> {
    const { clock, models } = this.#parts;
    for (let waited_ms = 0; waited_ms < START_UP_MS && !models.canServe(); waited_ms += LOOK_MS) {
      await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve));
    }
  }

  #model(name: string): ServedModel {
    const { models } = this.#parts;
    const model = models.get(name);
    if (model !== undefined) return model;
    throw notServed(models, name);
  }

  #prepareContext(context: RequestContext, nvext: Nvext | null | undefined): PrepareContext {
    const { settings, random, clock } = this.#parts;
    const { headers } = context.request;
    const spent_ms = clock.now_ms() - context.arrived_ms;
    return {
      random,
      request: context.id,
      deadline_ms: Math.max(1, Math.round(settings.deadline_ms - spent_ms)),
      pin: pinOf(headers, nvext),
      hints: routeHintsOf(headers, nvext),
      default_max_tokens: settings.default_max_tokens,
      timed: this.#parts.metrics,
    };
  }

  #stream(
    context: RequestContext,
    generation: Generation,
    facts: RequestFacts,
    { from = startOf(facts.request), known = false, over }: RunOptions,
  ): Promise<Response> {
    const { settings } = this.#parts;
    const { returns } = facts;
    const { dialect, include_usage, echo, shown_each, answers } = generation;
    let run: RequestRun | undefined;
    const output = new StreamedOutput({
      rounds: this.#rounds,
      request: facts.request,
      format: dialect.chunks(headOf(generation, facts)),
      choices: answers.length * shown_each,
      prompts: answers.length,
      from,
      resume_path: `/v1/streams/${facts.request}`,
      include_usage,
      echo: echo && ((choice) => echo[Math.floor(choice / shown_each)] ?? ""),
      headers: { ...context.headers, ...eventStream },
      buffer_chars: settings.buffer_chars,
      drained: () => run?.drained(),
      cancelled: () => run?.abandon("client closed the stream"),
    });
    run = this.#answering(context, generation, output, {
      type: "stream",
      quiet: output,
      keeps: (why) => (why === "cut" ? known || output.committed : returns),
      over,
      had: madeCounts(
        generation,
        from.choices.map((choice) => choice.delivered),
      ),
    });
    return output.response;
  }

  #collect(
    context: RequestContext,
    generation: Generation,
    facts: RequestFacts,
    { known = false, over }: RunOptions,
  ): Promise<Response> {
    const output = new CollectedOutput(generation, headOf(generation, facts));
    const gone = () => run.abandon("client closed the answer");
    const late = new LateJson(context, this.#parts.clock, gone, generation.dialect.errorBody);
    const how = { type: "unary", quiet: late, keeps: () => known, over } as const;
    const run = this.#answering(context, generation, output, how);
    return late.from(output.json);
  }

  #answering(
    context: RequestContext,
    generation: Generation,
    output: StreamedOutput | CollectedOutput,
    how: RunHow,
  ): RequestRun {
    const cut = (message: string) => {
      run.cut({ code: "draining", status: 503, message, retry_after_s: 1 });
    };
    const { type, quiet, keeps, had = [], over } = how;
    // A resumed answer is a request of its own.
    const endpoint = had.length === 0 ? generation.dialect.name : "streams";
    const meter = this.#meter(context, generation.model, endpoint, type, { cut, quiet, over });
    const run: RequestRun = new RequestRun({
      keeps,
      had,
      generation,
      start: this.#parts.startAnswer,
      output: withCopies(generation, output),
      meter,
      trace: traceOf(context),
    });
    onAbort(context, () => run.abandon("client disconnected"));
    run.begin();
    return run;
  }

  /** Counted as live from here until it has ended. */
  #meter(
    context: RequestContext,
    model: ServedModel,
    endpoint: string,
    type: "stream" | "unary",
    { cut, quiet, over }: LiveHow,
  ): RequestMeter {
    const { metrics, idle } = this.#parts;
    const live = this.#live.add({ cut, quiet, exchange: context.exchange });
    return metrics.request(model.name, endpoint, type, context.arrived_ms, () => {
      this.#live.remove(live);
      this.ended_ms = this.#parts.clock.now_ms();
      over?.();
      if (this.#live.size === 0) idle();
    });
  }

  #embed(
    context: RequestContext,
    dialect: EmbeddingDialect,
    work: EmbeddingWork,
  ): Promise<Response> {
    let stop: (error: ApiError) => void = () => {};
    const stopped = new Promise<never>((_, reject) => {
      stop = reject;
    });
    const { clock, startEmbedding: start } = this.#parts;
    const cut = (message: string) => stop(new ApiError(503, "draining", message));
    const late = new LateJson(context, clock, () => stop(clientGone()), dialect.errorBody);
    const meter = this.#meter(context, work.model, dialect.name, "unary", { cut, quiet: late });
    onAbort(context, () => stop(clientGone()));
    const trace = traceOf(context);
    return late.from(runEmbedding(work, { start, clock, meter, trace, stopped }));
  }
}

function notServed(models: ModelDirectory, name: string): ApiError {
  const state = models.state(name);
  const served = models.ready().map((model) => model.name);
  if (state === "broken") {
    return new ApiError(
      503,
      "model_broken",
      `The model '${name}' cannot be served: ${models.whyBroken(name)}`,
      "model",
    );
  }
  // While nothing is served yet nobody can say that a name will not be.
  if (state === "unknown" && served.length > 0) return modelNotFound(name, served);
  return new ApiError(
    503,
    "model_not_ready",
    "The model is not ready yet. Retry in a moment; /health says when.",
    "model",
    { "Retry-After": "1" },
  );
}

function headOf(generation: Generation, { request, created_s }: RequestFacts): AnswerHead {
  const { dialect, model, include_usage, logprobs } = generation;
  return { id: dialect.id_prefix + request, created_s, model: model.name, include_usage, logprobs };
}

/** Whether the client says that it may lose its connection and come back; undefined: nothing. */
function mayReturn(context: RequestContext): boolean | undefined {
  const said = context.request.headers.get("x-resumable")?.trim();
  if (said === undefined) return undefined;
  if (/^(1|true|yes)$/i.test(said)) return true;
  return /^(0|false|no)$/i.test(said) ? false : undefined;
}

function traceOf(context: RequestContext): TraceContext | undefined {
  const header = context.request.headers.get("traceparent");
  return header === null ? undefined : parseTraceparent(header);
}

function onAbort(context: RequestContext, then: () => void): void {
  const { signal } = context.request;
  if (signal.aborted) then();
  else signal.addEventListener("abort", then, { once: true });
}
