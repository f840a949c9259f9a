/**
 * The face of every engine: what turns prompt tokens into answer tokens.
 *
 *   submit ─▶ [ waiting ─▶ running ] ─▶ poll: tokens…, finished
 *   cancel ─▶                        ─▶ poll: finished "cancelled"
 *
 * One live request is one choice: a request with `n: 3` is three handles that share their prompt.
 * `step` and `poll` are separate so that an engine with a thread of its own (llama) and one that
 * lives in virtual time (echo, mocker) pass the same contract test: a threaded engine's `step` does
 * nothing, a stepped engine's does one scheduler pass. Nothing here waits: `onWake` says when
 * `poll` has something.
 */

import type { KvDump } from "../../llm/blocks/kv-event.ts";
import type { WirePassSums as PassSums, PoolKind } from "../../proto/index.ts";
import type { BlockPort } from "./block-port.ts";
import type { EngineRefusal } from "./engine-refusal.ts";
import type { KvEventLog } from "./kv-event-log.ts";

export type { BlockMove, BlockPort } from "./block-port.ts";
export type { EngineRefusal } from "./engine-refusal.ts";

/** How the next token is drawn. Neutral values switch a stage off; they are given on each line. */
export type Sampling = {
  readonly temperature: number; // 0 = greedy
  readonly top_k: number; // 0 = off
  readonly top_p: number; // 1 = off
  readonly min_p: number; // 0 = off
  readonly typical_p: number; // 1 = off
  readonly repetition_penalty: number; // 1 = off; over prompt and answer, as vLLM
  readonly frequency_penalty: number; // 0 = off; over the answer only, as OpenAI
  readonly presence_penalty: number; // 0 = off; over the answer only
  readonly logit_bias: readonly (readonly [token: number, bias: number])[];
  /** Drawn once at admission when the client gives none, so that a continued answer redraws it. */
  readonly seed: bigint; // u64
};

export type EngineRequest = {
  /** Chosen by the caller, unique among its live requests; u32. */
  readonly handle: number;
  /** Prompt, then whatever of the answer was already delivered (a continued answer). */
  readonly tokens: Uint32Array;
  /** How many of `tokens` are prompt; the rest is answer, and counts in answer-only penalties. */
  readonly prompt_tokens: number;
  /** Index of the choice within its request; part of the sampler's counter. */
  readonly choice: number;
  readonly sampling: Sampling;
  /** Tokens still to make, counted from `tokens.length`. */
  readonly max_tokens: number;
  /** No stop token is drawn while fewer answer tokens than this were made (over all workers). */
  readonly min_tokens: number;
  /** Token ids that end the answer, beside the model's own end tokens. */
  readonly stop_tokens: readonly number[];
  readonly ignore_eos: boolean;
  /** From the raw logits. -1: none. 0: the chosen token only. N: and the N likeliest. */
  readonly logprobs: number;
  /**
   * Set: the prompt's tokens are scored before an answer begins, with as many likeliest ones as
   * `logprobs` says, which is not -1. Score i is of token i + 1, since nothing stands before the
   * first one. This is the first score that is wanted; `prompt_tokens - 1`: all are known.
   * Needs `scores`.
   */
  readonly scores_from?: number;
  /** Name of the LoRA adapter that answers; none: the model itself. Needs `adapters`. */
  readonly adapter?: string;
  /** Cached blocks are shared only among requests with the same salt. Needs `salts`. */
  readonly salt?: string;
  /** Whose request it is: no answer is guessed from answers of another owner. None: nobody's. */
  readonly owner?: string;
  /** Tokens that the answer is likely to have: an engine that guesses may be faster with them. */
  readonly predicted?: Uint32Array;
  /**
   * What the answer keeps to (llm/constraint/constraint.ts). Until that is compiled the request
   * waits; what cannot be compiled ends the answer in an error. Needs `constrains`.
   */
  readonly constraint?: string;
};

/** An adapter could not be loaded; the message is one line that says what to do. */
export class AdapterError extends Error {
  override readonly name = "AdapterError";
  readonly code = "adapter_failed";
}

export type TokenLogprob = {
  readonly logprob: number;
  readonly top: readonly (readonly [token: number, logprob: number])[];
  /** Of a score: how many tokens are at least as likely; 1: it is the likeliest. */
  readonly rank?: number;
};

export type FinishReason = "stop" | "length" | "cancelled" | "error";

export type EngineEvent =
  | {
      readonly kind: "tokens";
      readonly handle: number;
      /** Answer index of the first of `tokens`: 0 for the first token of a fresh answer. */
      readonly first_index: number;
      readonly tokens: readonly number[];
      /** One for each token if the request asked for logprobs. */
      readonly logprobs?: readonly TokenLogprob[];
      /**
       * Of the first tokens that are made for a request: the time since its first pass began.
       * Absent from an engine that does not know it.
       */
      readonly prefill_ms?: number;
    }
  | {
      /** Of the prompt, all before its answer's first token. */
      readonly kind: "scores";
      readonly handle: number;
      readonly first_index: number;
      readonly scores: readonly TokenLogprob[];
    }
  | {
      readonly kind: "finished";
      readonly handle: number;
      readonly reason: FinishReason;
      /** The stop or end token that was drawn, when reason is "stop"; it is not among the tokens. */
      readonly stop_token?: number;
      /** That token's, if the request asked for logprobs. */
      readonly stop_logprob?: TokenLogprob;
      readonly prompt_tokens: number;
      /** Prompt tokens that came from blocks already in the cache. */
      readonly cached_tokens: number;
      /** Guessed tokens of the answer that were drawn then, and those that were not. */
      readonly drafts?: { readonly right: number; readonly wrong: number };
      /** One line for the client, when reason is "error". */
      readonly error?: string;
    }
  | {
      readonly kind: "embedding";
      readonly handle: number;
      /**
       * `embedding_size` values, of "vector" as one of unit length, of "tokens" as many times as
       * there are tokens; of "classes" `class_count` values.
       */
      readonly values: Float32Array;
      readonly prompt_tokens: number;
    };

/** Features of an engine. The contract test checks each that is true. */
export type EngineCapabilities = {
  /** False: it refuses every request for an answer with "not_supported". */
  readonly generates: boolean;
  /** What `embed` makes; it refuses all else with "not_supported". */
  readonly pools: readonly PoolKind[];
  /** True: the engine makes a pass when `step` is called; else its own thread does. */
  readonly steps: boolean;
  /** The keys and values of its cached blocks can be moved to another engine. */
  readonly exports_blocks: boolean;
  /** A request may name a constraint that its answer keeps to. */
  readonly constrains: boolean;
  /** A request may name an adapter. */
  readonly adapters: boolean;
  /** A request may have a salt. */
  readonly salts: boolean;
  /** A request may ask for scores of its prompt. */
  readonly scores: boolean;
  /**
   * The same request gets the same tokens, whatever else is in the engine and whichever index it
   * goes on from. Where it is false, another shape of the batch may change a token.
   */
  readonly replays_exactly: boolean;
};

export type EngineDescription = {
  readonly engine: string;
  /** Prompt and answer together, in tokens. */
  readonly context_length: number;
  readonly block_size: number;
  readonly total_blocks: number;
  readonly max_num_seqs: number;
  readonly max_num_batched_tokens: number;
  readonly vocab_size: number;
  /** Values of one embedding; 0 when it makes none. */
  readonly embedding_size: number;
  /** Classes that its classification head tells apart; 0 when it has none. */
  readonly class_count: number;
  readonly capabilities: EngineCapabilities;
  /** One line for a person: library, build, threads, device. */
  readonly build: string;
  /** One line for a person: what it took memory for, and what fits into that. */
  readonly memory?: string;
};

export type EngineStats = {
  readonly running: number;
  readonly waiting: number;
  readonly used_blocks: number;
  readonly cached_blocks: number;
  readonly total_blocks: number;
  readonly prompt_tokens_total: number;
  readonly cached_tokens_total: number;
  readonly generated_tokens_total: number;
  readonly steps_total: number;
  readonly step_ms_last: number;
  /** Prompt tokens, waiting and running, that no pass has computed yet; absent when not known. */
  readonly waiting_prefill_tokens?: number;
};

/** Guessed tokens since the start, of those that were made from one source. */
export type DraftCounts = {
  /** What they were guessed from; each engine has its own. */
  readonly source: string;
  /** How often an answer's step had some. */
  readonly drafts: number;
  readonly tokens: number;
  /** Of these tokens, those that were drawn then. */
  readonly accepted: number;
};

/**
 * A step failed for all that was in it, and what the engine holds is unknown: its process has to
 * end. Thrown by `step` or `poll`, after what was made before.
 */
export class EngineFailedError extends Error {
  override readonly name = "EngineFailedError";
  readonly code = "engine_failed";
}

/** Whom a failure concerns, and so what can be done about it. */
export type FailureClass =
  /** This request: every engine of the model refuses it; its client is told. */
  | "request"
  /** This moment: a later try or another worker may do; the engine goes on. */
  | "passing"
  /** This engine: it makes nothing more; its process ends, and its answers go on elsewhere. */
  | "fatal";

const REFUSAL_CLASSES: Readonly<Record<EngineRefusal["code"], FailureClass>> = {
  bad_request: "request",
  context_overflow: "request",
  not_supported: "request",
  queue_full: "passing",
  closed: "fatal",
};

/**
 * The class of a refusal, of an event and of what an engine throws or is ended by.
 * @returns undefined for an event that is no failure
 */
export function failureClass(failure: EngineRefusal | Error): FailureClass;
export function failureClass(event: EngineEvent): FailureClass | undefined;
export function failureClass(what: EngineRefusal | EngineEvent | Error): FailureClass | undefined {
  if (what instanceof Error) return "fatal";
  if ("code" in what) return REFUSAL_CLASSES[what.code];
  return what.kind === "finished" && what.reason === "error" ? "passing" : undefined;
}

export interface Engine {
  /**
   * Events of the prefix cache, up to date with the last `poll` or `step`: blocks that an answer
   * stored are there when its "finished" is. Absent when nothing is ever cached (no prefix
   * cache, or a model with recurrent state; `describe().build` names it).
   */
  readonly kv_events?: KvEventLog;
  /** Cached blocks out to memory and in again. There exactly when `exports_blocks`. */
  readonly blocks?: BlockPort;
  describe(): EngineDescription;
  /** Takes the request or says why not; never waits. */
  submit(request: EngineRequest): EngineRefusal | undefined;
  /**
   * Compiles a constraint beside everything else, so that `submit` takes requests with it at once.
   * `done` is called once, and before this returns when the answer is known. There exactly when
   * `constrains`.
   */
  prepare?(constraint: string, done: (refusal: EngineRefusal | undefined) => void): void;
  /** What the model says of all of `tokens`; answered by an "embedding" event. */
  embed(handle: number, tokens: Uint32Array, pool: PoolKind): EngineRefusal | undefined;
  /** Ends a request within one step; a handle that is not live is ignored. */
  cancel(handle: number): void;
  /**
   * One scheduler pass of an engine without a thread, at the caller's time.
   * Returns the time in ms until the next pass is due, or undefined when idle or threaded.
   */
  step(now_ms: number): number | undefined;
  /**
   * Events since the last call, oldest first, at most `limit` of them. Throws
   * EngineFailedError once there is no more and a step has failed.
   */
  poll(limit: number): readonly EngineEvent[];
  /** Calls back, on the JavaScript thread, whenever `poll` has something new. One listener. */
  onWake(listener: () => void): void;
  stats(): EngineStats;
  /**
   * What a block's place holds: 0 nothing, 1 one without a name, 2 one kept for later requests, 3
   * one of live requests. Absent when the engine's places are not known here. For people.
   */
  stateOfBlock?(place: number): number;
  /** Sums over all passes since the start; absent when the engine keeps none. */
  passSums?(): PassSums;
  /** Guesses by source; absent when the engine makes none. */
  draftCounts?(): readonly DraftCounts[];
  /** Everything the prefix cache holds as of `kv_events`; there exactly when that is. */
  kvDump?(): KvDump;
  /**
   * Forgets the cached prefixes that no live request uses; what is submitted later finds none of
   * them. False: it has too much to do, ask again. There exactly when `kv_events` is.
   */
  clearCache?(): boolean;
  /**
   * Takes the LoRA adapter of a file, under a name that none has. Rejects with AdapterError. There
   * exactly when the engine has `adapters`, as the next one.
   */
  loadAdapter?(name: string, path: string): Promise<void>;
  /**
   * Refuses requests for the adapter from now on, and resolves when the last one that runs has
   * ended and nothing of it is cached. A name that is not loaded is ignored.
   */
  unloadAdapter?(name: string): Promise<void>;
  /** Frees everything; live requests end without a further event. */
  close(): Promise<void>;
}
