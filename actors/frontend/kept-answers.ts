/**
 * Answers that are stored. Each is begun in the store before any token is made, and is at its end
 * there before its client has the end. Reading one again goes by the store where it is whole, and
 * by its worker, as every resumed stream does, while it is made.
 */
import type { Ids, Log, Random, Store } from "../../runtime/capabilities.ts";
import type { Recording } from "./answer/recording.ts";
import { eventStream, type Responses } from "./answer/responses.ts";
import { ApiError, invalidValue } from "./api/api-error.ts";
import { type Dialect, type Generation, generationDialect, type KeepPlan } from "./api/dialect.ts";
import type { KeptScope } from "./api/json-route.ts";
import { replay } from "./api/responses/replay.ts";
import { jsonText, type RequestContext } from "./http/request-context.ts";
import { Earlier } from "./kept/earlier.ts";
import { RESPONSE_PREFIX } from "./kept/item-ids.ts";
import { Keeper } from "./kept/keeper.ts";
import { KeptConversations } from "./kept/kept-conversations.ts";
import type { Item, KeptResponse, MadeAgain } from "./kept/kept-record.ts";
import { KeptResponses, noResponse } from "./kept/kept-responses.ts";
import { pause } from "./pause.ts";
import { modelNamed, type PrepareParts, prepareLongRequest } from "./prompt/prepare-request.ts";
import {
  type RequestFacts,
  type Resumed,
  resumable,
  resumedFrom,
} from "./resume/resume-context.ts";
import { type FindAnswer, findParts } from "./resume/resume-stream.ts";

export type KeptAnswersParts = PrepareParts & {
  readonly store: Store;
  readonly log: Log;
  readonly random: Random;
  readonly ids: Ids;
  readonly findAnswer: FindAnswer;
  readonly dialects: readonly Dialect[];
  readonly responses: Responses;
};

/** How long a stream waits for a response that no worker has and no door has ended. */
const ATTACH_MS = 30_000;
const LOOK_MS = 100;

export class KeptAnswers {
  readonly #parts: KeptAnswersParts;
  readonly #responses: KeptResponses;
  readonly #conversations: KeptConversations;
  readonly #keeper: Keeper;

  constructor(parts: KeptAnswersParts) {
    const { store, clock, log, random, ids, models, settings } = parts;
    this.#parts = parts;
    this.#responses = new KeptResponses(store);
    this.#conversations = new KeptConversations({ store, clock, random });
    this.#keeper = new Keeper({
      ...{ store, clock, log },
      ...{ responses: this.#responses, conversations: this.#conversations },
      limits: settings.kept,
      door: ids.next(),
      goOn: (id, record, recording) => this.#goOn(id, record, recording),
      makeAgain: (id, record, recording) => this.#makeAgain(id, record, recording),
      isReady: () => models.canServe(),
    });
  }

  /** Looks after what is stored. `sweeps`: also after what dead doors have left. Never rejects. */
  tend(sweeps: boolean): void {
    void this.#keeper.tend(sweeps);
  }

  /** Rejects with ApiError: the store does not take it, or it fails before the first token. */
  async run(
    context: RequestContext,
    generation: Generation,
    keep: KeepPlan,
    facts: RequestFacts,
    body: object,
    over?: () => void,
  ): Promise<Response> {
    const { background } = keep;
    const { responses } = this.#parts;
    const { dialect, stream } = generation;
    const status = background ? "queued" : "in_progress";
    const response = responses.unfinished(generation, facts, status) as Item;
    const again = background && !stream ? madeAgain(dialect.name, body) : undefined;
    const record = { owner: facts.owner, background, response, input: keep.input, again };
    const recording = await this.#keeper.begin(dialect.id_prefix + facts.request, record);
    const named = resumable(generation, facts);
    if (background && !stream) {
      responses.background(context, named, facts, { recording, over });
      return jsonText(context, JSON.stringify(response));
    }
    const detached = stream && (background || facts.returns);
    return responses.of(context, named, facts, { known: true, recording, detached, over });
  }

  /** What the POST of a background response was answered. Rejects with ApiError. */
  async queued(context: RequestContext, id: string): Promise<Response> {
    const record = await this.#responses.read(id);
    if (record === undefined) throw noResponse(id);
    return jsonText(context, JSON.stringify({ ...record.response, status: "queued" }));
  }

  scopeFor(context: RequestContext, owner: string): KeptScope {
    const { clock } = this.#parts;
    const responses = this.#responses;
    const conversations = this.#conversations;
    return {
      ...{ responses, conversations },
      earlier: new Earlier({ clock, responses, conversations }, owner),
      stream: (id, after) => this.#stream(context, owner, id, after),
      cancel: (id) => this.#cancel(id),
    };
  }

  /** For a stream that is taken up again: if a response is stored, its end is, before the client's. */
  again({ dialect }: Generation, { request, owner }: RequestFacts): Recording | undefined {
    if (dialect.id_prefix !== RESPONSE_PREFIX) return undefined;
    return this.#keeper.second(RESPONSE_PREFIX + request, owner);
  }

  async #cancel(id: string): Promise<KeptResponse | undefined> {
    const record = await this.#responses.read(id);
    if (record === undefined || record.state === "final") return record;
    const response = { ...record.response, status: "cancelled" };
    const after = await this.#responses.end(id, { response, deltas: [] });
    const cancel = this.#keeper.cancelOf(id);
    if (cancel !== undefined) cancel();
    else await this.#responses.askCancel(id);
    return after;
  }

  async #stream(
    context: RequestContext,
    owner: string,
    id: string,
    after: number,
  ): Promise<Response> {
    const { clock } = this.#parts;
    const headers = { ...context.headers, ...eventStream };
    for (let waited_ms = 0; ; waited_ms += LOOK_MS) {
      const record = await this.#responses.get(owner, id);
      if (record === undefined) throw noResponse(id);
      if (record.state === "final") {
        const events = replay(record, after);
        // Who has the last event gets the end alone; a later one was never sent.
        if (events.length === 0) checkAfter(after, replay(record, -1).length);
        return new Response(events.map((event) => `${event}\n\n`).join(""), { headers });
      }
      const held = await this.#heldBy(id, record);
      if (held !== undefined) {
        const recording = this.#keeper.second(id, owner);
        const options = { known: true, counted: true, recording, after };
        return this.#parts.responses.streamed(context, held.generation, held.facts, options);
      }
      if (waited_ms >= ATTACH_MS) throw waitsStill();
      await pause(clock, LOOK_MS);
    }
  }

  /** False: no worker has it. */
  async #goOn(id: string, record: KeptResponse, recording: Recording): Promise<boolean> {
    const held = await this.#heldBy(id, record);
    if (held === undefined) return false;
    const context = this.#contextOf(held.facts.request, held.generation.dialect);
    const options = { recording, counted: true };
    this.#parts.responses.background(context, held.generation, held.facts, options);
    return true;
  }

  /** From the request as it came, under the same id. False: it cannot be understood any more. */
  async #makeAgain(id: string, record: KeptResponse, recording: Recording): Promise<boolean> {
    const { again, owner, created_ms } = record;
    const dialect = again && generationDialect(this.#parts.dialects, again.dialect);
    if (again === undefined || dialect === undefined) return false;
    const request = id.slice(RESPONSE_PREFIX.length);
    const context = this.#contextOf(request, dialect);
    const earlier = await dialect.load?.(again.body, this.scopeFor(context, owner).earlier);
    const prepared = await prepareLongRequest(this.#parts, context, dialect, again.body, earlier);
    if (prepared.makes !== "generation") return false;
    const created_s = Math.floor(created_ms / 1_000);
    const facts = { request, owner, created_s, body_hash: "", returns: true };
    const named = resumable(prepared.generation, facts);
    this.#parts.responses.background(context, named, facts, { recording });
    return true;
  }

  #contextOf(id: string, { errorBody }: Pick<Dialect, "errorBody">): RequestContext {
    const arrived_ms = this.#parts.clock.now_ms();
    const request = new Request("http://door/");
    return { request, path: "", id, headers: {}, arrived_ms, form: { errorBody } };
  }

  /** The answer as workers hold it, from its begin. */
  async #heldBy(id: string, { owner }: KeptResponse): Promise<Resumed | undefined> {
    const { findAnswer, ids, models, dialects } = this.#parts;
    const request = id.slice(RESPONSE_PREFIX.length);
    const parts = await findParts(findAnswer, request, []);
    const first = parts?.[0];
    if (parts === undefined || first === undefined || first.context.owner !== owner) {
      return undefined;
    }
    const dialect = generationDialect(dialects, first.context.dialect);
    if (dialect === undefined) return undefined;
    const { model: base, adapter } = first.holder.generate;
    const model = modelNamed(models, adapter ?? base);
    return resumedFrom(parts, dialect, model, () => `${request}.${ids.next()}`, []);
  }
}

/** What is longer is not made anew: the record would be too large. */
const AGAIN_CHARS_MAX = 512 * 1024;
const AGAIN_MOST = 2;

function madeAgain(dialect: string, body: object): MadeAgain | undefined {
  return JSON.stringify(body).length > AGAIN_CHARS_MAX
    ? undefined
    : { dialect, body, left: AGAIN_MOST };
}

function checkAfter(after: number, events: number): void {
  if (after < events) return;
  const message = `'starting_after' is ${after}, but the last event of this response is ${events - 1}.`;
  throw invalidValue(message, "starting_after");
}

const waitsStill = () =>
  new ApiError(
    503,
    "response_waits",
    "This response waits for a worker, so there are no events yet. Ask again in a moment.",
    null,
    { "Retry-After": "1" },
  );
