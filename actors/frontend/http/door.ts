/**
 * HTTP in, HTTP out: the server calls this door for every request. The door checks and prepares the
 * request and starts the answer, which goes from the stream actor's sink into the response.
 *
 *   route ─▶ key ─▶ body ─▶ fields ─▶ model ─▶ tokens ─▶ stream actors ─▶ SSE or JSON
 *                     any step ─▶ ApiError ─▶ the error body of the dialect, else OpenAI's
 */
import type { HttpExchange, Log } from "../../../runtime/capabilities.ts";
import { formatTraceparent } from "../../../runtime/observe/trace.ts";
import type { PlaneState } from "../../../runtime/planes.ts";
import { Access, keyIn } from "../access/access.ts";
import { KeyGate, type SharedLimits } from "../access/key-gate.ts";
import { plainKey } from "../access/key-rule.ts";
import { ApiError, draining } from "../api/api-error.ts";
import { checkObject } from "../api/check-body.ts";
import { type Dialect, dialectAround } from "../api/dialect.ts";
import type { Archive, JsonRoute, ServerFacts } from "../api/json-route.ts";
import { openAiErrorBody } from "../api/openai-format.ts";
import { openApiDocument } from "../api/openapi.ts";
import type { OpenApiDocument } from "../api/openapi-document.ts";
import { placeOf } from "../api/paths.ts";
import { Generator, type GeneratorParts } from "../generate.ts";
import type { Loaded } from "../kept/earlier.ts";
import { healthOf } from "../models/info-bodies.ts";
import type { Prepared } from "../prompt/prepare-request.ts";
import { withTemplate } from "../prompt/request-template.ts";
import { LONG_TEXT } from "../prompt/tokens-ahead.ts";
import type { RequestBook } from "../requests/request-book.ts";
import type { Arrival, RequestEntry } from "../requests/request-entry.ts";
import { newRequestId } from "../resume/stream-id.ts";
import { answerJsonRoute, type RouteCaller, type SentBody } from "./answer-json-route.ts";
import { BodyBudget, type HeldBody } from "./body-budget.ts";
import { allowOrigin, checkOrigin, preflightHeaders } from "./cors.ts";
import { statusOf, unknownPath, wrongMethod } from "./door-errors.ts";
import { readJson } from "./read-body.ts";
import { errorResponse, type RequestContext } from "./request-context.ts";
import { type Found, pathOf, type Routes, routeOf, routesOf } from "./routes.ts";

export type DoorParts = Omit<GeneratorParts, "gate"> & {
  /** Rules of keys; undefined: the keys of the settings, without rules. */
  readonly access?: Access | undefined;
  readonly limits?: SharedLimits | undefined;
  readonly log: Log;
  readonly jsonRoutes: readonly JsonRoute[];
  readonly clearCaches: ServerFacts["clearCaches"];
  readonly busy: ServerFacts["busy"];
  readonly lora: ServerFacts["lora"];
  readonly archive: Archive;
  /** Keeps account of requests; undefined: nobody does. */
  readonly book?: RequestBook | undefined;
  /** Prometheus text of everything that this process shows. */
  readonly renderMetrics: () => string | Promise<string>;
  readonly page?: ServerFacts["page"] | undefined;
  /** Planes that this process shares with other machines; empty when it is alone. */
  readonly planes: () => readonly PlaneState[];
  readonly router: () => string | undefined;
  /** Processes of the cluster that keep ending. */
  readonly crashLoops: () => readonly string[];
};

export class Door {
  readonly #parts: DoorParts;
  readonly #routes: Routes;
  readonly #access: Access;
  readonly #gate: KeyGate;
  readonly #generator: Generator;
  readonly #bodies: BodyBudget;
  #draining = false;
  #leaving = false;
  /** Requests that have arrived and are neither answered nor live. */
  #entering = 0;
  readonly #facts: ServerFacts;
  #openapi: OpenApiDocument | undefined;

  constructor(parts: DoorParts) {
    this.#parts = parts;
    const { dialects, jsonRoutes, settings } = parts;
    this.#routes = routesOf(dialects, jsonRoutes, settings.paths);
    const { clock, access = new Access(settings.api_keys.map(plainKey)) } = parts;
    this.#access = access;
    this.#gate = new KeyGate({ clock, access, shared: parts.limits, metrics: parts.metrics.keys });
    this.#generator = new Generator({ ...parts, gate: this.#gate });
    this.#bodies = new BodyBudget(settings.bodies_bytes);
    this.#facts = {
      namespace: settings.namespace,
      health: () => {
        const { models, planes, crashLoops, router } = parts;
        return healthOf(models, this.draining, planes(), crashLoops(), router());
      },
      metrics: parts.renderMetrics,
      page: (headers) => parts.page?.(headers),
      clearCaches: parts.clearCaches,
      busy: parts.busy,
      lora: parts.lora,
      openapi: () => {
        this.#openapi ??= openApiDocument(settings.version, dialects, jsonRoutes, settings.paths);
        return this.#openapi;
      },
      endpoints: dialects.map(({ path }) => path),
      pathOf: (path) => placeOf(settings.paths, path),
    };
  }

  /** Requests whose answer has not ended. */
  get live(): number {
    return this.#generator.live;
  }

  /** When the last answer ended, on the clock's scale. */
  get ended_ms(): number {
    return this.#generator.ended_ms;
  }

  /** True: a request or its answer is under way. */
  get busy(): boolean {
    return this.#entering > 0 || this.live > 0;
  }

  /** True from the begin of a drain; /health shows it. */
  get draining(): boolean {
    return this.#draining || this.#leaving;
  }

  /**
   * Others take the requests from now on. A request that still comes here is answered, and its
   * connection is closed.
   */
  leave(): void {
    this.#leaving = true;
  }

  /** Called a few times a second: looks after what is stored. */
  tend(): void {
    this.#generator.tend(!this.draining);
  }

  /** From now on: no new requests, `/health` says so; live answers go on. */
  drain(): void {
    this.#draining = true;
  }

  /** Ends live answers with an error; returns how many there were. */
  cut(message: string): number {
    return this.#generator.cut(message);
  }

  /** Never rejects. */
  async handle(request: Request, exchange?: HttpExchange): Promise<Response> {
    const response = await this.#handle(request, exchange);
    if (this.#leaving) response.headers.set("Connection", "close");
    return response;
  }

  /** A request of this process's own in the name of a key, which is not asked for. */
  inside(request: Request, owner: string): Promise<Response> {
    return this.#handle(request, undefined, owner);
  }

  #handle(request: Request, exchange?: HttpExchange, owner?: string): Promise<Response> {
    const { clock, random, settings, dialects } = this.#parts;
    const path = pathOf(request.url);
    const id = newRequestId(random);
    const given = request.headers.get("x-request-id");
    const headers: Record<string, string> = {
      "X-Request-Id": given !== null && /^[\x20-\x7e]{1,256}$/.test(given) ? given : id,
    };
    const found = routeOf(this.#routes, request.method, path);
    if (found.guarded) allowOrigin(headers, settings.cors_origins, request.headers);
    const dialect =
      found.route.kind === "dialect"
        ? found.route.dialect
        : dialectAround(dialects, path, request.headers, this.#facts.pathOf);
    if (dialect?.id_header !== undefined) headers[dialect.id_header] = id;
    const arrived_ms = clock.now_ms();
    const context: RequestContext = {
      ...{ request, path, id, headers, exchange, arrived_ms },
      entry: this.#entryOf(found, { id, request, path, arrived_ms }),
      form: { errorBody: dialect?.errorBody ?? openAiErrorBody },
    };
    const { entry } = context;
    if (entry?.exports === true && entry.trace !== undefined) {
      headers["traceparent"] = formatTraceparent(entry.trace);
    }
    return this.#answered(context, found, owner);
  }

  /** What makes an answer is in the request book. */
  #entryOf({ route }: Found, arrival: Arrival): RequestEntry | undefined {
    const { book, metrics } = this.#parts;
    if (route.kind === "dialect") return book?.begin(arrival, route.dialect.name, metrics);
    return route.kind === "resume" ? book?.begin(arrival, "streams", metrics) : undefined;
  }

  async #answered(context: RequestContext, found: Found, owner?: string): Promise<Response> {
    const { entry } = context;
    try {
      // For HEAD the server itself leaves out the body and keeps its length.
      const response = await this.#answer(context, found, owner);
      if (entry?.metered === false) entry.answered(response.status);
      return response;
    } catch (given) {
      const error = this.#apiError(context, given);
      entry?.failed(error.status, error.message);
      return errorResponse(context, error);
    }
  }

  async #answer(given: RequestContext, found: Found, inside?: string): Promise<Response> {
    const { route, guarded } = found;
    const { settings } = this.#parts;
    if (route.kind === "preflight") {
      const headers = preflightHeaders(settings.cors_origins, given.request.headers, route.allow);
      return new Response(null, { status: 204, headers: { ...given.headers, ...headers } });
    }
    const owner = inside ?? (guarded ? this.#admit(given.request) : "");
    if (inside !== undefined) this.#access.checkOwner(inside);
    const context = this.#ofKey(given, owner);
    switch (route.kind) {
      case "dialect":
        return this.#entered(this.#post(context, owner, route.dialect));
      case "json":
        return this.#json(context, route.route, {
          ...{ param: route.param, second: route.second ?? "", owner },
          kept: this.#generator.keptFor(context, owner),
        });
      case "resume":
        if (this.#draining) throw draining();
        return this.#entered(this.#generator.resume(context, owner, route.id));
      case "wrong_method":
        throw wrongMethod(context, route.allow);
      case "unknown":
        throw this.#unknown(context);
    }
  }

  #unknown(context: RequestContext): ApiError {
    for (const { path, elsewhere = {} } of this.#parts.dialects) {
      const behind = `${this.#facts.pathOf(path)}/`;
      if (!context.path.startsWith(behind)) continue;
      const [name = ""] = context.path.slice(behind.length).split("/", 1);
      const advice = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined;
      if (advice !== undefined) return new ApiError(404, "unknown_url", advice);
    }
    return unknownPath(context);
  }

  /** The owner of the request. Throws ApiError for a page or a key that is not allowed. */
  #admit(request: Request): string {
    checkOrigin(this.#parts.settings.cors_origins, request);
    const { headers } = request;
    return this.#access.check(keyIn(headers.get("authorization"), headers.get("x-api-key")));
  }

  /** The request as its key's rule has it. */
  #ofKey(context: RequestContext, owner: string): RequestContext {
    const key = this.#gate.ruleOf(owner);
    if (key === undefined) return context;
    this.#gate.stamp(key, context.headers);
    return { ...context, key, models: this.#access.modelsOf(owner, this.#parts.models) };
  }

  async #entered(answer: Promise<Response>): Promise<Response> {
    this.#entering += 1;
    try {
      return await answer;
    } finally {
      this.#entering -= 1;
      if (!this.busy) this.#parts.idle();
    }
  }

  #json(context: RequestContext, route: JsonRoute, who: RouteCaller): Promise<Response> {
    const answer = (sent?: SentBody) =>
      answerJsonRoute(this.#parts, this.#facts, context, route, who, sent);
    if (route.form !== undefined) {
      if (this.#draining) throw draining();
      return this.#entered(answer());
    }
    if (route.body === undefined) return answer();
    return this.#entered(this.#jsonBody(context, route, answer));
  }

  async #jsonBody(
    context: RequestContext,
    { counted }: JsonRoute,
    answer: (sent: SentBody) => Promise<Response>,
  ): Promise<Response> {
    const { metrics } = this.#parts;
    let model = "";
    const held = this.#bodies.open();
    try {
      const body = await this.#bodyOf(context, held);
      model = this.#servedName(body);
      const response = await answer({ value: body, bytes: held.bytes });
      if (counted !== undefined) metrics.answered(model, counted);
      return response;
    } catch (error) {
      if (counted !== undefined) metrics.refused(model, counted, "unary", statusOf(error));
      throw error;
    } finally {
      held.close();
    }
  }

  /** Only names of served models become labels, or clients could make any number of series. */
  #servedName(body: object): string {
    const { model } = body as { model?: unknown };
    return typeof model === "string" && this.#parts.models.get(model) !== undefined ? model : "";
  }

  /** Rejects with ApiError, also when a drain began while the body came. */
  async #bodyOf(context: RequestContext, held: HeldBody): Promise<object> {
    const { clock, settings } = this.#parts;
    if (this.#draining) throw draining();
    const body = checkObject(await readJson(context.request, settings, clock, held));
    if (this.#draining) throw draining();
    return body;
  }

  async #post(context: RequestContext, owner: string, dialect: Dialect): Promise<Response> {
    const { clock, metrics, settings } = this.#parts;
    const { template } = settings;
    const facts: { model: string; type: "stream" | "unary"; begun: boolean } = {
      model: "",
      type: "unary",
      begun: false,
    };
    const held = this.#bodies.open();
    try {
      const sent = await this.#bodyOf(context, held);
      const body =
        template === undefined ? sent : withTemplate(sent, dialect.limit_fields, template);
      facts.model = this.#servedName(body);
      if ((body as { stream?: unknown }).stream === true) facts.type = "stream";
      metrics.stage("receive", context.arrived_ms);
      const from_ms = clock.now_ms();
      const { entry } = context;
      if (entry !== undefined) {
        entry.received(from_ms);
        entry.model = facts.model;
        this.#parts.book?.bodyOf(entry, sent, held.bytes);
      }
      const earlier =
        dialect.makes === "generation" && dialect.load !== undefined
          ? await dialect.load(body, this.#generator.keptFor(context, owner).earlier)
          : undefined;
      const prepared =
        held.bytes < LONG_TEXT && earlier === undefined
          ? this.#generator.prepare(context, dialect, body)
          : await this.#prepareLong(context, dialect, body, earlier);
      metrics.stage("preprocess", from_ms);
      held.close();
      facts.begun = true;
      return await this.#generator.run(context, owner, prepared, body);
    } catch (error) {
      if (!facts.begun) {
        metrics.refused(facts.model, dialect.name, facts.type, statusOf(error));
      }
      throw error;
    } finally {
      held.close();
    }
  }

  /** Other requests have their turns while a long text is tokenized. */
  async #prepareLong(
    context: RequestContext,
    dialect: Dialect,
    body: object,
    earlier: Loaded | undefined,
  ): Promise<Prepared> {
    const prepared = await this.#generator.prepareLong(context, dialect, body, earlier);
    if (this.#draining) throw draining();
    return prepared;
  }

  /** An error that is no ApiError is a bug: it is logged, and the client is not told of it. */
  #apiError(context: RequestContext, error: unknown): ApiError {
    if (error instanceof ApiError) return error;
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#parts.log.log(
      "error",
      "a request failed by a fault of this server; please report it with these lines",
      {
        request: context.id,
        path: context.path,
        error: detail,
      },
    );
    return new ApiError(
      500,
      "internal_error",
      `Internal error. Try again; the server's log names it by request ${context.id}.`,
    );
  }
}
