/**
 * One beginning for requests that carry the same Idempotency-Key, whichever doors they come to: the
 * doors agree on a worker by the answer's id alone, and that worker says who is the first.
 */
import { createHash } from "node:crypto";
import type { ActorRef } from "../../proto/index.ts";
import { ApiError } from "./api-error.ts";
import type { HolderPeers } from "./holders.ts";
import type { KnownWorker } from "./models.ts";

/** The answer's id: the same for the same key of the same owner, and no one else's. */
export function keyedId(owner: string, key: string): string {
  return digest(`answer\n${owner}\n${key}`);
}

/** Of what was asked for; `body` as it was parsed. */
export function bodyHash(endpoint: string, body: object): string {
  return digest(`${endpoint}\n${JSON.stringify(body)}`);
}

/** 128 bits in base64url. */
const digest = (text: string): string =>
  createHash("sha256").update(text, "utf8").digest().subarray(0, 16).toString("base64url");

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

export const keyReused = () =>
  new ApiError(
    422,
    "idempotency_key_reused",
    "This Idempotency-Key came with another request before. Use a new key for a new request.",
    "Idempotency-Key",
  );

export const stillBeginning = () =>
  new ApiError(
    409,
    "idempotency_in_progress",
    "A request with this Idempotency-Key is waiting for a worker. Send it again in a moment.",
    "Idempotency-Key",
    { "Retry-After": "1" },
  );

export interface Claims {
  /** True: nobody else is beginning this answer. Give it back when the request is over. */
  claim(answer: string): Promise<boolean>;
  release(answer: string): void;
}

/** Longer than any request waits for its worker. */
const TTL_MS = 60_000;
/** A worker that says nothing is passed over by every door. */
const ANSWER_MS = 1_000;
const TRIES = 3;

export function claimsOver(peers: HolderPeers, claimer: () => ActorRef): Claims {
  const { system, resolve } = peers;
  return {
    async claim(answer) {
      for (const { ref } of ranked(peers.workers(), answer).slice(0, TRIES)) {
        const message = { kind: "claim", answer, claimer: claimer(), ttl_ms: TTL_MS } as const;
        try {
          const { first } = await system.ask(resolve(ref), message, { deadline_ms: ANSWER_MS });
          return first;
        } catch {
          // It is dead or frozen; the next one speaks for it.
        }
      }
      return true;
    },
    release(answer) {
      for (const { ref } of ranked(peers.workers(), answer).slice(0, TRIES)) {
        resolve(ref).tell({ kind: "claim", answer, claimer: claimer(), ttl_ms: 0 });
      }
    },
  };
}

/** Rendezvous hashing: every door ranks the same workers alike. */
function ranked(workers: readonly KnownWorker[], answer: string): readonly KnownWorker[] {
  return workers
    .map((known) => ({ known, rank: digest(`${answer}\n${known.worker}`) }))
    .sort((a, b) => (a.rank < b.rank ? 1 : -1))
    .map(({ known }) => known);
}
