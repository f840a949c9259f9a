/**
 * The hub of every POST and of every resumed stream, whatever its dialect. It decides which answer
 * a request gets: a new one, one that an Idempotency-Key began before, or the rest of a stream.
 *
 *   prepared ─▶ new, or held under its key ─┐
 *   id of a stream ─▶ held by workers ──────┴▶ Responses (streamed, in one piece, vectors)
 */
import { Allowance, type AllowanceOptions } from "../../runtime/allowance.ts";
import type { Ids, Log, Store } from "../../runtime/capabilities.ts";
import type { StartAnswer } from "../stream/stream.ts";
import type { KeyGate } from "./access/key-gate.ts";
import type { KeyRule } from "./access/key-rule.ts";
import { withExtras } from "./answer/extras.ts";
import { MeteredRequests } from "./answer/metered-requests.ts";
import { Responses } from "./answer/responses.ts";
import { type Dialect, type Generation, generationDialect } from "./api/dialect.ts";
import type { KeptScope } from "./api/json-route.ts";
import type { StartEmbedding } from "./embedding/embed.ts";
import type { RequestContext } from "./http/request-context.ts";
import type { Loaded } from "./kept/earlier.ts";
import { KeptAnswers } from "./kept-answers.ts";
import { pause } from "./pause.ts";
import {
  modelNamed,
  type Prepared,
  type PrepareParts,
  prepareLongRequest,
  prepareRequest,
} from "./prompt/prepare-request.ts";
import { bodyHash, heldOrFirst, idempotencyKeyOf, keyedId } from "./resume/idempotency.ts";
import type { Claims } from "./resume/idempotency-claim.ts";
import { type RequestFacts, resumable, resumedFrom } from "./resume/resume-context.ts";
import { type FindAnswer, resumeStream } from "./resume/resume-stream.ts";
import type { RequestTraces } from "./trace/request-traces.ts";

export type GeneratorParts = PrepareParts & {
  readonly gate: KeyGate;
  readonly store: Store;
  readonly log: Log;
  /** Undefined: no request is traced. */
  readonly traces?: RequestTraces | undefined;
  readonly ids: Ids;
  readonly findAnswer: FindAnswer;
  readonly claims: Claims;
  readonly dialects: readonly Dialect[];
  readonly startAnswer: StartAnswer;
  readonly startEmbedding: StartEmbedding;
  /** Called after the last live request has ended. */
  readonly idle: () => void;
};

/** How long a resumed stream waits for a door that has just started, and how often it looks. */
const START_UP_MS = 2_000;
const LOOK_MS = 10;

/** Limits lookups at all workers that find nothing. A lookup that finds its stream is free. */
const lookupAllowance: AllowanceOptions = { at_once: 128, each_ms: 125 };

export class Generator {
  readonly #parts: GeneratorParts;
  readonly #metered: MeteredRequests;
  readonly #responses: Responses;
  readonly #lookups: Allowance;
  readonly #kept: KeptAnswers;

  constructor(parts: GeneratorParts) {
    const { clock, metrics, settings, idle, startAnswer, startEmbedding } = parts;
    const { heartbeat_ms, buffer_chars } = settings;
    const metered = new MeteredRequests({ clock, metrics, heartbeat_ms, idle });
    this.#parts = parts;
    this.#metered = metered;
    this.#responses = new Responses({ clock, startAnswer, startEmbedding, metered, buffer_chars });
    this.#lookups = new Allowance(clock, lookupAllowance);
    this.#kept = new KeptAnswers({ ...parts, responses: this.#responses });
  }

  /** What is stored, for the routes that show it. */
  keptFor(context: RequestContext, owner: string): KeptScope {
    return this.#kept.scopeFor(context, owner);
  }

  /** See `KeptAnswers`. */
  tend(sweeps: boolean): void {
    this.#kept.tend(sweeps);
  }

  /** Requests whose answer has not ended. */
  get live(): number {
    return this.#metered.size;
  }

  /** When the last answer ended, on the clock's scale. */
  get ended_ms(): number {
    return this.#metered.ended_ms;
  }

  /** Ends live requests with an error; returns how many there were. */
  cut(message: string): number {
    return this.#metered.cut(message);
  }

  /** Everything up to the tokens. Throws ApiError. */
  prepare(context: RequestContext, dialect: Dialect, body: object): Prepared {
    return prepareRequest(this.#parts, context, dialect, body);
  }

  /** `prepare` for a long body, with other requests in between. Rejects with ApiError. */
  prepareLong(
    context: RequestContext,
    dialect: Dialect,
    body: object,
    earlier?: Loaded,
  ): Promise<Prepared> {
    return prepareLongRequest(this.#parts, context, dialect, body, earlier);
  }

  /** `owner`: the key that made it. Rejects with ApiError when it fails before the first token. */
  run(context: RequestContext, owner: string, prepared: Prepared, body: object): Promise<Response> {
    const { gate, traces } = this.#parts;
    const rule = gate.ruleOf(owner);
    const { entry } = context;
    if (entry !== undefined) traces?.follow(entry, context, prepared, body);
    return rule === undefined
      ? this.#start(context, owner, prepared, body)
      : this.#charged(context, owner, rule, prepared, body);
  }

  /** The same for a key that is counted. */
  async #charged(
    context: RequestContext,
    owner: string,
    rule: KeyRule,
    prepared: Prepared,
    body: object,
  ): Promise<Response> {
    const { gate, settings } = this.#parts;
    const charge = await gate.charge(rule, context, prepared, settings.deadline_ms);
    try {
      return await this.#start({ ...context, charge }, owner, prepared, body);
    } catch (error) {
      // An answer that began has said itself what it was.
      charge.settle(0);
      throw error;
    }
  }

  #start(
    context: RequestContext,
    owner: string,
    prepared: Prepared,
    body: object,
  ): Promise<Response> {
    if (prepared.makes === "embedding") {
      return this.#responses.embedded(context, prepared.dialect, prepared.embedding);
    }
    const generation = ownedBy(owner, prepared.generation);
    const { keep } = generation;
    const key = idempotencyKeyOf(context.request.headers);
    if (key !== undefined) return this.#keyed(context, owner, generation, key, body);
    const returns = mayReturn(context) ?? this.#parts.settings.keep_hung_up;
    const facts = this.#factsOf(context.id, owner, "", returns);
    if (keep !== undefined) return this.#kept.run(context, generation, keep, facts, body);
    // The client of an answer that is not streamed has no id to resume it by.
    const named = generation.stream ? resumable(generation, facts) : generation;
    return this.#responses.of(context, this.#told(context, named), facts, {});
  }

  /** The answer of a key: the one that workers hold, else a new one. */
  async #keyed(
    context: RequestContext,
    owner: string,
    generation: Generation,
    key: string,
    body: object,
  ): Promise<Response> {
    const { findAnswer: find, claims, clock, ids } = this.#parts;
    const { dialect, model } = generation;
    const id = keyedId(owner, key);
    const body_hash = bodyHash(dialect.name, body);
    const gone = () => context.request.signal.aborted;
    const claim = claims.of(id);
    const over = () => claim.release();
    try {
      const parts = await heldOrFirst({ find, claim, clock }, { id, owner, body_hash, gone });
      if (parts === undefined) {
        const facts = this.#factsOf(id, owner, body_hash, true);
        const { keep } = generation;
        if (keep !== undefined) {
          return await this.#kept.run(context, generation, keep, facts, body, over);
        }
        const named = resumable(generation, facts);
        return await this.#responses.of(context, this.#told(context, named), facts, {
          known: true,
          over,
        });
      }
      const names = () => `${id}.${ids.next()}`;
      // The same hash means the same dialect.
      const held = resumedFrom(parts, dialect, model, names, []);
      // Its first request has paid.
      context.charge?.settle(0);
      const free = { ...context, charge: undefined };
      // And has its line in the request trace.
      if (context.entry !== undefined) context.entry.onEnd = undefined;
      if (generation.keep?.background === true && !generation.stream) {
        return await this.#kept.queued(free, dialect.id_prefix + id);
      }
      // What is stored is held as a stream, however it was asked for.
      const again = { ...held.generation, stream: generation.stream };
      const recording = generation.keep && this.#kept.again(generation, held.facts);
      return await this.#responses.of(free, again, held.facts, { known: true, recording });
    } catch (error) {
      over();
      throw error;
    }
  }

  /** Goes on with an answer that another request began. Rejects with ApiError as `run`. */
  async resume(context: RequestContext, owner: string, id: string): Promise<Response> {
    const { findAnswer: find, ids, models, dialects } = this.#parts;
    await this.#workersKnown();
    const peers = {
      ...{ find, ids, lookups: this.#lookups },
      model: (name: string) => modelNamed(models, name),
      dialect: (name: string) => {
        const dialect = generationDialect(dialects, name);
        if (dialect !== undefined) context.form.errorBody = dialect.errorBody;
        return dialect;
      },
    };
    const last_event_id = context.request.headers.get("last-event-id");
    const { generation, facts, from } = await resumeStream(peers, owner, id, last_event_id);
    // Status 204 tells a browser's EventSource not to reconnect.
    if (from.done) return new Response(null, { status: 204, headers: context.headers });
    // As its POST said, unless this request says otherwise.
    const returns = mayReturn(context) ?? facts.returns;
    const resumed = { ...facts, returns };
    return this.#responses.streamed(context, this.#told(context, generation), resumed, {
      from,
      known: true,
      recording: this.#kept.again(generation, facts),
    });
  }

  /** Waits for the first workers: a door that has just started knows none to ask. */
  async #workersKnown(): Promise<void> {
    const { clock, models } = this.#parts;
    for (let waited_ms = 0; waited_ms < START_UP_MS && !models.canServe(); waited_ms += LOOK_MS) {
      await pause(clock, LOOK_MS);
    }
  }

  #told(context: RequestContext, generation: Generation): Generation {
    return withExtras(generation, this.#parts.clock, context.arrived_ms);
  }

  #factsOf(request: string, owner: string, body_hash: string, returns: boolean): RequestFacts {
    const created_s = Math.floor(this.#parts.clock.wall_ms() / 1000);
    return { request, owner, created_s, body_hash, returns };
  }
}

/** Whether the client says that it may come back after a loss; undefined: it says nothing. */
function mayReturn(context: RequestContext): boolean | undefined {
  const said = context.request.headers.get("x-resumable")?.trim();
  if (said === undefined) return undefined;
  if (/^(1|true|yes)$/i.test(said)) return true;
  return /^(0|false|no)$/i.test(said) ? false : undefined;
}

/** The same, where keys are needed: its answers are guessed from those of the same key alone. */
function ownedBy(owner: string, generation: Generation): Generation {
  if (owner === "") return generation;
  const answers = generation.answers.map((answer) => ({ ...answer, owner }));
  return { ...generation, answers };
}
