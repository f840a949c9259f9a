/** The request to a stream, and the stream's messages about its answer. */
import type {
  ActorRef,
  BeginTimes,
  Drafts,
  Resumable,
  RouteChoice,
  RouteHints,
  RouteOutcome,
  SamplingParams,
} from "../../proto/index.ts";
import type { TraceContext } from "../../runtime/observe/trace.ts";

/** A request after the door has validated, rendered and tokenized it. */
export type AnswerRequest = {
  /** Made by the server: `Ids.next()` with a hint of the frontend. */
  readonly request: string;
  readonly model: string;
  /** Name of the LoRA adapter that answers; undefined: the model itself. */
  readonly adapter?: string | undefined;
  /** Cached blocks are shared only with requests of the same salt; undefined: with all without. */
  readonly salt?: string | undefined;
  /** Short name of the API key that made it; undefined: none is needed. */
  readonly owner?: string | undefined;
  readonly prompt: Uint32Array;
  /** Tokens that the answer is likely to have, as the client says. */
  readonly predicted?: Uint32Array;
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
  /**
   * How many choices, from the first on, tell scores of the prompt before their answer, with as
   * many likeliest tokens as `logprobs` says, which is not -1 then. Not set: none.
   */
  readonly scored_choices?: number | undefined;
  /** Control tokens that are part of its text all the same; none without it. */
  readonly shown_tokens?: ReadonlySet<number> | undefined;
  /** From admission to the last token, in ms. */
  readonly deadline_ms: number;
  /** Worker named by the client, else empty. */
  readonly pin: string;
  /** The client's other wishes for routing. */
  readonly hints?: RouteHints;
  /** What the answer keeps to: the text of a Constraint (llm/constraint/constraint.ts). */
  readonly constraint?: string;
  /** The field of the request that asked for the constraint: to blame when no engine takes it. */
  readonly constraint_param?: string;
  /** Set: the answer is resumable, and workers keep it. Each attempt adds its number. */
  readonly resumable?: Omit<Resumable, "attempt">;
  /** Set: a worker has the answer already, so the stream attaches there instead of routing. */
  readonly held?: HeldAttempt;
  /** The router is asked why it chose as it did. */
  readonly explain?: boolean;
  /** The span that what workers do for it lies below. */
  readonly trace?: TraceContext;
};

/** An attempt that a worker makes, or made, for an earlier stream actor. */
export type HeldAttempt = {
  readonly worker: string;
  readonly ref: ActorRef;
  /** The attempt's name at its worker. */
  readonly request: string;
  readonly attempt: number;
  /** Tokens that the client has, by choice; empty: it has none. */
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

/** Tokens of one choice that became certain; `Kind`: which part of the answer they are. */
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

/** A part of an answer; a dialect switches on `kind` to show it. */
export type AnswerPiece = ContentPiece;

export type ScoredToken = { readonly id: number; readonly token: string; readonly logprob: number };

/** How likely a token of the prompt is behind those before it. */
export type PromptScore = ScoredToken & {
  /** How many tokens are at least as likely. */
  readonly rank: number;
  readonly top: readonly ScoredToken[];
};

/** Scores of the prompt, in order, which come before the first piece of their choice. */
export type AnswerScores = {
  readonly choice: number;
  readonly scores: readonly PromptScore[];
  /** As a piece's: scores count as delivered tokens. */
  readonly delivered: number;
  /** No more of this choice follow. */
  readonly last: boolean;
};

export type AnswerEnd = {
  readonly choice: number;
  readonly reason: "stop" | "length";
  /** The stop string or stop token id that ended it, when one did. */
  readonly stop_reason?: string | number;
  /** Of the end token that was drawn, the model's own or one asked for, where they are wanted. */
  readonly logprob?: PieceLogprob;
};

export type AnswerUsage = {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cached_tokens: number;
  /** The same by where they were; undefined: the workers' blocks stay in their engines. */
  readonly cached_by_tier?: CachedByTier;
  /** Tokens that engines guessed before they drew them; undefined: none did. */
  readonly drafts?: Drafts;
};

/** Tokens: in the engine, in memory of its machine, on its disk, at other machines. */
export type CachedByTier = {
  readonly g1: number;
  readonly g2: number;
  readonly g3: number;
  readonly g4: number;
};

/** Stable codes that clients know. `failures.ts` has their meaning and HTTP status. */
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
  /** Seconds after which trying again makes sense: the Retry-After header. */
  readonly retry_after_s?: number;
  /** The field of the request that is to blame. */
  readonly param?: string;
};

/** What happens to an answer on its way, for who keeps account of it. */
export type AnswerStep =
  /** The router is asked for a place, or for another one. */
  | { readonly kind: "routing" }
  | {
      readonly kind: "planned";
      readonly worker: string;
      /** What the router says of it, where it was asked for that. */
      readonly choices: readonly RouteChoice[];
    }
  /** The request is on its way to this worker. `held`: it has the answer already. */
  | { readonly kind: "sent"; readonly worker: string; readonly held: boolean }
  /** The worker has taken it. */
  | { readonly kind: "accepted" }
  /** Another worker is asked for the prompt, and is done with it, or will not be. */
  | { readonly kind: "prefill_sent"; readonly worker: string }
  | {
      readonly kind: "prefill_ended";
      readonly outcome: RouteOutcome;
      readonly times: BeginTimes | undefined;
    }
  /** The first token of this worker is here. */
  | { readonly kind: "first"; readonly times: BeginTimes | undefined }
  /** The answer leaves its worker for another one, behind so many tokens. */
  | {
      readonly kind: "moves";
      readonly why: string;
      readonly worker: string;
      readonly tokens: number;
    };

/** The receiver of an answer. Called in the stream actor's turn; never throws, never waits. */
export interface AnswerSink {
  /** Called some ten times in an answer, whatever its length. */
  step?(step: AnswerStep): void;
  /** This worker makes the answer from here on, of a prompt that `prefill` computes: often itself. */
  placed?(worker: string, attempt: number, prefill: string): void;
  /** false = buffer full: the stream grants the worker no more credit until `drained`. */
  piece(piece: AnswerPiece): boolean;
  /** Called only where the request has `scored_choices`. */
  scores?(scores: AnswerScores): void;
  end(end: AnswerEnd): void;
  /** Everything was delivered; nothing follows. */
  done(usage: AnswerUsage): void;
  /** The answer failed; called instead of `done`. */
  failed(failure: AnswerFailure): void;
}

/** Commands of the door to a stream actor. */
export type StreamCommand =
  | { readonly kind: "drained" }
  /** The client hung up, or does not want the answer any more. */
  | { readonly kind: "abandon"; readonly reason: string }
  /** As abandon, but the client may come back: the worker keeps a resumable answer. */
  | { readonly kind: "leave"; readonly reason: string };

/** The door's handle of a running answer. */
export interface AnswerHandle {
  tell(command: StreamCommand): void;
}

/** Begins an answer. The sink is called from now on, until its one `done` or `failed`. */
export type StartAnswer = (request: AnswerRequest, sink: AnswerSink) => AnswerHandle;
