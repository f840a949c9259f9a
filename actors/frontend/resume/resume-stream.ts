/**
 * `GET /v1/streams/REQUEST` up to the point where the answer goes on. It checks who asks, reads
 * what the client has, finds the workers that hold the answer, and restores the request.
 */
import type { Allowance } from "../../../runtime/allowance.ts";
import type { Ids } from "../../../runtime/capabilities.ts";
import { ApiError, clip, oddEventId } from "../api/api-error.ts";
import type { GenerationDialect } from "../api/dialect.ts";
import type { ServedModel } from "../models/served-model.ts";
import type { Holder } from "./find-held.ts";
import { type HeldPart, partOf, type Resumed, resumedFrom, wholeOf } from "./resume-context.ts";
import { isRequestId, parseEventId, type StreamCursor, startOf } from "./stream-id.ts";

/** Finds an answer at the workers; see find-held.ts. */
export type FindAnswer = (
  answer: string,
  hints: readonly string[],
  isEnough: (found: readonly Holder[]) => boolean,
  /** Throws when not all workers may be asked now. */
  mayAskAll?: () => void,
) => Promise<readonly Holder[]>;

export type ResumePeers = {
  readonly find: FindAnswer;
  /** How often all workers may be asked for an answer that none of them has. */
  readonly lookups: Allowance;
  readonly ids: Ids;
  /** Throws ApiError when the model is not served just now. */
  readonly model: (name: string) => ServedModel;
  /** The dialect of this name; undefined: this server has none. */
  readonly dialect: (name: string) => GenerationDialect | undefined;
};

export type ResumedStream = Resumed & { readonly from: StreamCursor };

/** Rejects with ApiError: 404 for no such stream of this key, 400 for an event id that is wrong. */
export async function resumeStream(
  peers: ResumePeers,
  owner: string,
  id: string,
  last_event_id: string | null,
): Promise<ResumedStream> {
  const from = cursorOf(id, last_event_id);
  let asked_all = false;
  const mayAskAll = () => {
    // A client with an event id has seen the stream, so it is not limited: after a worker's death
    // many come at once, and those whose stream is lost must not keep others from theirs.
    if (from.choices.length > 0) return;
    if (!peers.lookups.take()) throw tooManyLookups();
    asked_all = true;
  };
  const parts = await findParts(peers.find, id, from.places, mayAskAll);
  if (parts !== undefined && asked_all) peers.lookups.giveBack();
  const first = parts?.[0];
  if (parts === undefined || first === undefined || first.context.owner !== owner)
    throw unknown(id);
  // Errors have its form from here on.
  const dialect = peers.dialect(first.context.dialect);
  if (dialect === undefined) throw unknown(id);
  if (!first.context.stream) {
    throw new ApiError(
      400,
      "not_a_stream",
      "This answer was not asked for as a stream. Send its POST again, with its Idempotency-Key.",
    );
  }
  const choices = parts.length * first.context.shown_each;
  if (from.choices.length !== 0 && from.choices.length !== choices) throw oddEventId();
  // How much was made is not known yet, but it is never more than the limit of the request.
  const isBeyond = from.choices.some(
    ({ delivered }, choice) =>
      delivered > parts[Math.floor(choice / first.context.shown_each)]!.context.max_tokens,
  );
  if (isBeyond) throw oddEventId();
  const model = peers.model(first.holder.generate.adapter ?? first.holder.generate.model);
  const names = () => `${id}.${peers.ids.next()}`;
  const have = from.choices.map((choice) => choice.delivered);
  return { ...resumedFrom(parts, dialect, model, names, have), from };
}

/** By prompt; undefined when the workers do not have all of them. */
export async function findParts(
  find: FindAnswer,
  id: string,
  places: StreamCursor["places"],
  mayAskAll?: () => void,
): Promise<readonly HeldPart[] | undefined> {
  // The client has tokens of a later attempt, so an earlier one cannot be its answer.
  const fits = ({ context, attempt }: HeldPart) =>
    attempt >= (places[context.prompt]?.attempt ?? 1);
  const whole = (found: readonly Holder[]) =>
    wholeOf(
      found.flatMap((holder) => partOf(holder) ?? []),
      fits,
    );
  const hints = places.map((place) => place.worker_hint);
  return whole(await find(id, hints, (found) => whole(found) !== undefined, mayAskAll));
}

function cursorOf(id: string, last_event_id: string | null): StreamCursor {
  if (!isRequestId(id)) throw unknown(id);
  if (last_event_id === null || last_event_id === "") return startOf(id);
  const cursor = parseEventId(last_event_id);
  if (cursor === undefined || cursor.request !== id) throw oddEventId();
  return cursor;
}

const unknown = (id: string) =>
  new ApiError(
    404,
    "stream_not_found",
    `There is no stream '${clip(id)}' here: it never was, it is over for too long, its worker ` +
      "was lost together with its frontend, or another API key made it. Send the request again.",
  );

const tooManyLookups = () =>
  new ApiError(
    429,
    "rate_limited",
    "Many streams were asked for that are not here. Ask again in a moment, with the " +
      "Last-Event-ID of the stream if you have one: it says where the stream is.",
    null,
    { "Retry-After": "1" },
  );
