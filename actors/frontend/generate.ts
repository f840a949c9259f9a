/**
 * The three POST routes: checked body → model → tokens → stream actors → response. Knows every
 * live answer, so that a drain can wait for them or cut them.
 */
import { Allowance, type AllowanceOptions } from "../../runtime/allowance.ts";
import type { Clock, Ids, Random } from "../../runtime/capabilities.ts";
import { parseTraceparent, type TraceContext } from "../../runtime/observe/trace.ts";
import type { StartAnswer } from "../stream/stream.ts";
import { Answering, type AnsweringOptions } from "./answer/answering.ts";
import { chatChunks, completionChunks } from "./answer/chunk-format.ts";
import { CollectedOutput } from "./answer/collected-output.ts";
import { clientGone, StreamedOutput } from "./answer/streamed-output.ts";
import { ApiError, modelNotFound } from "./api/api-error.ts";
import { chatFields, chatShape, messageFields } from "./api/chat/chat-fields.ts";
import { checkNames, checkShape } from "./api/check-body.ts";
import { completionFields, completionShape } from "./api/completions/completion-fields.ts";
import { embeddingFields, embeddingShape } from "./api/embeddings/embedding-fields.ts";
import {
  embeddingAnswer,
  type PreparedEmbedding,
  prepareEmbedding,
} from "./api/embeddings/embedding-request.ts";
import { type Nvext, nvextFields } from "./api/nvext-fields.ts";
import type { DoorSettings } from "./door-settings.ts";
import type { StartEmbedding } from "./embedding/embed.ts";
import { embedInParts } from "./embedding/embed-parts.ts";
import type { FrontendMetrics, MeteredEndpoint, RequestMeter } from "./frontend-metrics.ts";
import { FlushRounds } from "./http/flush-rounds.ts";
import { LateJson } from "./http/late-json.ts";
import { LiveRequests, type Quiet } from "./http/live-requests.ts";
import type { ModelDirectory } from "./models/models.ts";
import type { ServedModel } from "./models/served-model.ts";
import {
  type Endpoint,
  type Generation,
  type PrepareContext,
  prepareChat,
  prepareCompletion,
} from "./prompt/prepare.ts";
import { pinOf, routeHintsOf } from "./prompt/route-hints.ts";
import { TokensAhead } from "./prompt/tokens-ahead.ts";
import { bodyHash, type Claims, idempotencyKeyOf, keyedId } from "./resume/claims.ts";
import { madeCounts, withCopies } from "./resume/equal-answers.ts";
import { heldOrFirst } from "./resume/keyed-request.ts";
import { type RequestFacts, resumable, resumedFrom } from "./resume/resume-context.ts";
import { type FindAnswer, resumeStream } from "./resume/resume-request.ts";
import { type StreamCursor, startOf } from "./resume/stream-id.ts";
import type { Visit } from "./visit.ts";

export type GeneratorParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly findAnswer: FindAnswer;
  readonly claims: Claims;
  readonly models: ModelDirectory;
  readonly startAnswer: StartAnswer;
  readonly startEmbedding: StartEmbedding;
  readonly metrics: FrontendMetrics;
  readonly settings: DoorSettings;
  /** Called after the last live request has ended. */
  readonly idle: () => void;
};

export type Prepared =
  | { readonly kind: "generation"; readonly generation: Generation }
  | { readonly kind: "embedding"; readonly embedding: PreparedEmbedding };

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

type AnsweringHow = Pick<AnsweringOptions, "keeps" | "had"> &
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
  async prepareLong(visit: Visit, endpoint: Endpoint, body: object): Promise<Prepared> {
    const { clock, metrics } = this.#parts;
    const ahead = new TokensAhead(clock, metrics);
    return ahead.run(() => this.prepare(visit, endpoint, body, ahead));
  }

  /** Everything up to the tokens. Throws ApiError. */
  prepare(visit: Visit, endpoint: Endpoint, body: object, ahead?: TokensAhead): Prepared {
    const unknown = this.#parts.settings.unknown_fields;
    const modelOf = (name: string): ServedModel => {
      const model = this.#model(name);
      if (ahead === undefined) return model;
      return { ...model, tokenizer: ahead.of(model.tokenizer, model.card.context_length) };
    };
    if (endpoint === "chat_completions") {
      checkNames(body, chatFields, unknown);
      this.#checkMessageNames(body);
      this.#checkNvextNames(body);
      const checked = checkShape(body, chatShape);
      const ctx = this.#prepareContext(visit, checked.nvext);
      return {
        kind: "generation",
        generation: prepareChat(checked, modelOf(checked.model), ctx),
      };
    }
    if (endpoint === "completions") {
      checkNames(body, completionFields, unknown);
      this.#checkNvextNames(body);
      const checked = checkShape(body, completionShape);
      const ctx = this.#prepareContext(visit, checked.nvext);
      return {
        kind: "generation",
        generation: prepareCompletion(checked, modelOf(checked.model), ctx),
      };
    }
    checkNames(body, embeddingFields, unknown);
    this.#checkNvextNames(body);
    const checked = checkShape(body, embeddingShape);
    const ctx = this.#prepareContext(visit, checked.nvext);
    return {
      kind: "embedding",
      embedding: prepareEmbedding(checked, modelOf(checked.model), ctx),
    };
  }

  /** `owner`: the key that made it. Rejects with ApiError when it fails before the first token. */
  run(visit: Visit, owner: string, prepared: Prepared, body: object): Promise<Response> {
    if (prepared.kind === "embedding") return this.#embed(visit, prepared.embedding);
    const { generation } = prepared;
    const key = idempotencyKeyOf(visit.request.headers);
    if (key !== undefined) return this.#keyed(visit, owner, generation, key, body);
    const returns = mayReturn(visit) ?? this.#parts.settings.keep_hung_up;
    const facts = this.#factsOf(visit.id, owner, "", returns);
    // What is not streamed has no name that its client would know it by.
    const named = generation.stream ? resumable(generation, facts) : generation;
    return this.#runKept(visit, named, facts, {});
  }

  #factsOf(request: string, owner: string, body_hash: string, returns: boolean): RequestFacts {
    const created_s = Math.floor(this.#parts.clock.wall_ms() / 1000);
    return { request, owner, created_s, body_hash, returns };
  }

  async #keyed(
    visit: Visit,
    owner: string,
    generation: Generation,
    key: string,
    body: object,
  ): Promise<Response> {
    const { findAnswer: find, claims, clock, ids } = this.#parts;
    const id = keyedId(owner, key);
    const body_hash = bodyHash(generation.endpoint, body);
    const gone = () => visit.request.signal.aborted;
    const claim = claims.of(id);
    const over = () => claim.release();
    try {
      const parts = await heldOrFirst({ find, claim, clock }, { id, owner, body_hash, gone });
      if (parts === undefined) {
        const facts = this.#factsOf(id, owner, body_hash, true);
        const named = resumable(generation, facts);
        return await this.#runKept(visit, named, facts, { known: true, over });
      }
      const names = () => `${id}.${ids.next()}`;
      const held = resumedFrom(parts, generation.model, names, []);
      return await this.#runKept(visit, held.generation, held.facts, { known: true });
    } catch (error) {
      over();
      throw error;
    }
  }

  #runKept(
    visit: Visit,
    generation: Generation,
    facts: RequestFacts,
    how: RunOptions,
  ): Promise<Response> {
    return generation.stream
      ? this.#stream(visit, generation, facts, how)
      : this.#collect(visit, generation, facts, how);
  }

  /** Goes on with an answer that another request began. Rejects with ApiError as `run`. */
  async resume(visit: Visit, owner: string, id: string): Promise<Response> {
    const { findAnswer: find, ids } = this.#parts;
    await this.#workersKnown();
    const lookups = this.#lookups;
    const peers = { find, lookups, ids, model: (name: string) => this.#model(name) };
    const last_event_id = visit.request.headers.get("last-event-id");
    const { generation, facts, from } = await resumeStream(peers, owner, id, last_event_id);
    // What a browser's EventSource takes as: do not come again.
    if (from.done) return new Response(null, { status: 204, headers: visit.headers });
    // As its POST said, unless this request says otherwise.
    const returns = mayReturn(visit) ?? facts.returns;
    return this.#stream(visit, generation, { ...facts, returns }, { from, known: true });
  }

  /** A door that has just started would find nothing, because it knows nobody to ask. */
  async #workersKnown(): Promise<void> {
    const { clock, models } = this.#parts;
    for (let waited_ms = 0; waited_ms < START_UP_MS && !models.canServe(); waited_ms += LOOK_MS) {
      await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve));
    }
  }

  #checkMessageNames(body: object): void {
    const { messages } = body as { messages?: unknown };
    if (!Array.isArray(messages)) return;
    messages.forEach((message: unknown, i) => {
      if (typeof message !== "object" || message === null || Array.isArray(message)) return;
      // What other servers put into their answers comes back in conversations.
      checkNames(message, messageFields, "ignore", `messages[${i}]`);
    });
  }

  #checkNvextNames(body: object): void {
    const { nvext } = body as { nvext?: unknown };
    if (typeof nvext !== "object" || nvext === null || Array.isArray(nvext)) return;
    checkNames(nvext, nvextFields, this.#parts.settings.unknown_fields, "nvext");
  }

  #model(name: string): ServedModel {
    const { models } = this.#parts;
    const model = models.get(name);
    if (model !== undefined) return model;
    throw notServed(models, name);
  }

  #prepareContext(visit: Visit, nvext: Nvext | null | undefined): PrepareContext {
    const { settings, random, clock } = this.#parts;
    const { headers } = visit.request;
    const spent_ms = clock.now_ms() - visit.arrived_ms;
    return {
      random,
      request: visit.id,
      deadline_ms: Math.max(1, Math.round(settings.deadline_ms - spent_ms)),
      pin: pinOf(headers, nvext),
      hints: routeHintsOf(headers, nvext),
      default_max_tokens: settings.default_max_tokens,
      timed: this.#parts.metrics,
    };
  }

  #stream(
    visit: Visit,
    generation: Generation,
    facts: RequestFacts,
    { from = startOf(facts.request), known = false, over }: RunOptions,
  ): Promise<Response> {
    const { settings } = this.#parts;
    const { returns } = facts;
    const { model, include_usage, logprobs, echo, shown_each, answers, endpoint } = generation;
    const chat = endpoint === "chat_completions";
    const head = { ...headOf(generation, facts), model: model.name, include_usage };
    let answering: Answering | undefined;
    const output = new StreamedOutput({
      rounds: this.#rounds,
      request: facts.request,
      format: chat ? chatChunks(head, logprobs) : completionChunks(head, logprobs),
      choices: answers.length * shown_each,
      prompts: answers.length,
      from,
      resume_path: `/v1/streams/${facts.request}`,
      include_usage,
      echo: echo && ((choice) => echo[Math.floor(choice / shown_each)] ?? ""),
      headers: { ...visit.headers, ...eventStream },
      buffer_chars: settings.buffer_chars,
      drained: () => answering?.drained(),
      cancelled: () => answering?.abandon("client closed the stream"),
    });
    answering = this.#answering(visit, generation, output, {
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
    visit: Visit,
    generation: Generation,
    facts: RequestFacts,
    { known = false, over }: RunOptions,
  ): Promise<Response> {
    const head = { ...headOf(generation, facts), model: generation.model.name };
    const output = new CollectedOutput(generation, head);
    const gone = () => answering.abandon("client closed the answer");
    const late = new LateJson(visit, this.#parts.clock, gone);
    const how = { type: "unary", quiet: late, keeps: () => known, over } as const;
    const answering = this.#answering(visit, generation, output, how);
    return late.from(output.json);
  }

  #answering(
    visit: Visit,
    generation: Generation,
    output: StreamedOutput | CollectedOutput,
    how: AnsweringHow,
  ): Answering {
    const cut = (message: string) => {
      answering.cut({ code: "draining", status: 503, message, retry_after_s: 1 });
    };
    const { type, quiet, keeps, had = [], over } = how;
    const endpoint = had.length === 0 ? generation.endpoint : "streams";
    const meter = this.#meter(visit, generation.model, endpoint, type, { cut, quiet, over });
    const answering: Answering = new Answering({
      keeps,
      had,
      generation,
      start: this.#parts.startAnswer,
      output: withCopies(generation, output),
      meter,
      trace: traceOf(visit),
    });
    onAbort(visit, () => answering.abandon("client disconnected"));
    answering.begin();
    return answering;
  }

  /** Counted as live from here until it has ended. */
  #meter(
    visit: Visit,
    model: ServedModel,
    endpoint: MeteredEndpoint,
    type: "stream" | "unary",
    { cut, quiet, over }: LiveHow,
  ): RequestMeter {
    const { metrics, idle } = this.#parts;
    const live = this.#live.add({ cut, quiet, exchange: visit.exchange });
    return metrics.request(model.name, endpoint, type, visit.arrived_ms, () => {
      this.#live.remove(live);
      this.ended_ms = this.#parts.clock.now_ms();
      over?.();
      if (this.#live.size === 0) idle();
    });
  }

  #embed(visit: Visit, prepared: PreparedEmbedding): Promise<Response> {
    let stop: (error: ApiError) => void = () => {};
    const stopped = new Promise<never>((_, reject) => {
      stop = reject;
    });
    const cut = (message: string) => stop(new ApiError(503, "draining", message));
    const late = new LateJson(visit, this.#parts.clock, () => stop(clientGone()));
    const live = { cut, quiet: late };
    const meter = this.#meter(visit, prepared.model, "embeddings", "unary", live);
    onAbort(visit, () => stop(clientGone()));
    return late.from(this.#embedded(visit, prepared, meter, stopped));
  }

  async #embedded(
    visit: Visit,
    prepared: PreparedEmbedding,
    meter: RequestMeter,
    stopped: Promise<never>,
  ): Promise<string> {
    const { startEmbedding, clock } = this.#parts;
    const { request, model } = prepared;
    const vector_bytes = 4 * model.card.embedding_size;
    const handle = embedInParts(startEmbedding, request, vector_bytes, clock, traceOf(visit));
    try {
      const result = await Promise.race([handle.result, stopped]);
      const { body, prompt_tokens } = embeddingAnswer(prepared, result);
      meter.finished({ prompt_tokens, completion_tokens: 0, cached_tokens: 0 });
      return JSON.stringify(body);
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 500;
      handle.abandon("the request is over");
      if (status === 499) meter.disconnected();
      else meter.failed(status);
      throw error;
    }
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

function headOf(generation: Generation, { request, created_s }: RequestFacts) {
  const chat = generation.endpoint === "chat_completions";
  return { id: (chat ? "chatcmpl-" : "cmpl-") + request, created_s };
}

/** Whether the client says that it may lose its connection and come back; undefined: nothing. */
function mayReturn(visit: Visit): boolean | undefined {
  const said = visit.request.headers.get("x-resumable")?.trim();
  if (said === undefined) return undefined;
  if (/^(1|true|yes)$/i.test(said)) return true;
  return /^(0|false|no)$/i.test(said) ? false : undefined;
}

function traceOf(visit: Visit): TraceContext | undefined {
  const header = visit.request.headers.get("traceparent");
  return header === null ? undefined : parseTraceparent(header);
}

function onAbort(visit: Visit, then: () => void): void {
  const { signal } = visit.request;
  if (signal.aborted) then();
  else signal.addEventListener("abort", then, { once: true });
}
