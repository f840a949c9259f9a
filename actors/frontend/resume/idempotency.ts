/**
 * A POST with an Idempotency-Key: its answer is made once, however often it is sent and to
 * whichever doors, for as long as workers hold the answer.
 */
import type { Clock } from "../../../runtime/capabilities.ts";
import { ApiError, clientGone } from "../api/api-error.ts";
import { pause } from "../pause.ts";
import { digest, digestBytes } from "./digest.ts";
import type { AnswerClaim } from "./idempotency-claim.ts";
import type { HeldPart } from "./resume-context.ts";
import { type FindAnswer, findParts } from "./resume-stream.ts";
import { sealed } from "./stream-id.ts";

/** The answer's id, computed from the key and its owner. */
export function keyedId(owner: string, key: string): string {
  return sealed(digestBytes(`answer\n${owner}\n${key}`));
}

/** Hash of what was asked for. `endpoint`: the dialect's name; `body`: as it was parsed. */
export function bodyHash(endpoint: string, body: object): string {
  return digest(`${endpoint}\n${JSON.stringify(body)}`);
}

/** undefined: the request has none. Throws ApiError (400). */
export function idempotencyKeyOf(headers: Headers): string | undefined {
  const key = headers.get("idempotency-key");
  if (key === null) return undefined;
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new ApiError(
    400,
    "invalid_header",
    "The header 'Idempotency-Key' is 1 to 255 printable ASCII characters without blanks.",
    "Idempotency-Key",
  );
}

export type KeyedPeers = {
  readonly find: FindAnswer;
  readonly claim: AnswerClaim;
  readonly clock: Clock;
};

export type KeyedRequest = {
  readonly id: string;
  readonly owner: string;
  readonly body_hash: string;
  /** Its client has left. */
  readonly gone: () => boolean;
};

/** How long a request waits for another one with its key to begin the answer, before a 409. */
const WAIT_MS = 10_000;
const LOOK_MS = 50;

/**
 * The answer as workers hold it, by prompt. undefined: no request has begun it, and this one has
 * the claim to begin it; the caller releases the claim when the request is over. Rejects with
 * ApiError: 422 for a key that came with another request, 409 for one whose answer is still being
 * begun.
 */
export async function heldOrFirst(
  { find, claim, clock }: KeyedPeers,
  { id, owner, body_hash, gone }: KeyedRequest,
): Promise<readonly HeldPart[] | undefined> {
  const until_ms = clock.now_ms() + WAIT_MS;
  while (clock.now_ms() < until_ms) {
    const first = await claim.isFirst();
    const parts = await findParts(find, id, []);
    const context = parts?.[0]?.context;
    if (context !== undefined) {
      claim.release();
      if (context.owner !== owner || context.body_hash !== body_hash) throw keyReused();
      return parts;
    }
    if (first) return undefined;
    await pause(clock, LOOK_MS);
    if (gone()) throw clientGone();
  }
  throw stillBeginning();
}

const keyReused = () =>
  new ApiError(
    422,
    "idempotency_key_reused",
    "This Idempotency-Key came with another request before. Use a new key for a new request.",
    "Idempotency-Key",
  );

const stillBeginning = () =>
  new ApiError(
    409,
    "idempotency_in_progress",
    "A request with this Idempotency-Key is waiting for a worker. Send it again in a moment.",
    "Idempotency-Key",
    { "Retry-After": "1" },
  );
