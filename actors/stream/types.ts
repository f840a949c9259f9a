/** What a stream is asked for, and what it says of its answer. */
import type { ActorRef, Resumable, RouteHints, SamplingParams } from "../../proto/index.ts";

/** What the door has decided about a request once it is validated, rendered and tokenized. */
export type AnswerRequest = {
  /** Made by the server: `Ids.next()` with a hint of the frontend. */
  readonly request: string;
  readonly model: string;
  readonly prompt: Uint32Array;
  readonly sampling: SamplingParams;
  /** How many answers to make of this prompt; their choice numbers are 0 … choices-1. */
  readonly choices: number;
  readonly max_tokens: number;
  readonly min_tokens: number;
  readonly stop_tokens: readonly number[];
  readonly stop_strings: readonly string[];
  /** Keep the stop string that ended the answer in its text. */
  readonly include_stop: boolean;
  readonly ignore_eos: boolean;
  /** -1 none, 0 the chosen token's, N and the N likeliest. */
  readonly logprobs: number;
  /** From admission to the last token, in ms. */
  readonly deadline_ms: number;
  /** Worker named by the client, else empty. */
  readonly pin: string;
  /** What else the client said of how it wants to be routed. */
  readonly hints?: RouteHints;
  /** Set: workers keep it for whoever takes it up again. Each attempt adds its number. */
  readonly resumable?: Omit<Resumable, "attempt">;
  /** Set: a worker has it already, and it begins with what is there instead of a plan. */
  readonly held?: HeldAttempt;
};

/** An attempt at an answer that is made, or was made, for somebody else. */
export type HeldAttempt = {
  readonly worker: string;
  readonly ref: ActorRef;
  /** Its name at that worker. */
  readonly request: string;
  readonly attempt: number;
  /** Tokens that the client has, by choice; none: nothing. */
  readonly have: readonly number[];
};

export type PieceLogprob = {
  readonly token: string;
  readonly bytes: readonly number[];
  readonly logprob: number;
  readonly top: readonly {
    readonly token: string;
    readonly bytes: readonly number[];
    readonly logprob: number;
  }[];
};

/** Tokens of one choice that became certain; `Kind`: what they are of the answer. */
type PieceOf<Kind extends string> = {
  readonly kind: Kind;
  readonly choice: number;
  readonly tokens: readonly number[];
  readonly logprobs?: readonly PieceLogprob[];
  /** Tokens delivered of this choice, this piece included: what `id:` counts. */
  readonly delivered: number;
};

/**
 * Text of the answer. Usually of one token; a token whose bytes end inside a character, or whose
 * text may begin a stop string, travels with a later one.
 */
export type ContentPiece = PieceOf<"content"> & { readonly text: string };

/** A part of an answer; whoever shows it switches on `kind`. */
export type AnswerPiece = ContentPiece;

export type AnswerEnd = {
  readonly choice: number;
  readonly reason: "stop" | "length";
  /** The stop string or stop token id that ended it, when one did. */
  readonly stop_reason?: string | number;
};

export type AnswerUsage = {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cached_tokens: number;
};

/** Stable: clients know them. `failures.ts` says what each means and its HTTP status. */
export type FailureCode =
  | "bad_request"
  | "context_overflow"
  | "not_supported"
  | "pin_required"
  | "quarantined"
  | "unknown_request"
  | "rate_limited"
  | "cancelled"
  | "engine_error"
  | "internal"
  | "no_worker"
  | "worker_lost"
  | "interrupted"
  | "deadline"
  | "draining"
  | "overloaded";

export type AnswerFailure = {
  readonly code: FailureCode;
  /** HTTP status when nothing has been sent yet. */
  readonly status: number;
  readonly message: string;
  /** When it may be worth trying again: the Retry-After header, in seconds. */
  readonly retry_after_s?: number;
};

/** Where an answer goes. Called on the stream actor's turn; never throws, never waits. */
export interface AnswerSink {
  /** Which worker makes it from here on. */
  placed?(worker: string, attempt: number): void;
  /** false = buffer full: the stream grants the worker no more credit until `drained`. */
  piece(piece: AnswerPiece): boolean;
  end(end: AnswerEnd): void;
  /** Everything was delivered; nothing follows. */
  done(usage: AnswerUsage): void;
  /** Instead of `done`. */
  failed(failure: AnswerFailure): void;
}

/** What the door tells a stream actor. */
export type StreamCommand =
  | { readonly kind: "drained" }
  /** The client hung up, or the request is not wanted any more. */
  | { readonly kind: "abandon"; readonly reason: string }
  /** As abandon, but the client may come back: when it is resumable its worker keeps it. */
  | { readonly kind: "leave"; readonly reason: string };

/** What the door holds of a running answer. */
export interface AnswerHandle {
  tell(command: StreamCommand): void;
}

/** Begins an answer; the sink hears of it from now on, until its one `done` or `failed`. */
export type StartAnswer = (request: AnswerRequest, sink: AnswerSink) => AnswerHandle;
