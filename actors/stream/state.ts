/** The state of one answer; `reducer.ts` and the files of its phases change it. */
import { bytesOf } from "../../llm/tokens/token-bytes.ts";
import type { Tokenizer } from "../../llm/tokens/tokenizer.ts";
import type {
  CachedFrom,
  ChoiceStart,
  Drafts,
  Finished,
  PlanLeg,
  TokenLogprob,
} from "../../proto/index.ts";
import { type ChoiceText, newChoiceText } from "./choice-text.ts";
import type { SeekReason } from "./inputs-and-effects.ts";
import { noSuspicion, type Suspicion } from "./suspicion.ts";
import type { AnswerFailure, AnswerRequest } from "./types.ts";

export type AnswerLimits = {
  /** Workers tried before an answer that has no token yet fails. */
  readonly attempts: number;
  /**
   * How many workers an answer that has tokens may lose in a row, each before the next one was
   * steady; 0: the first loss ends it.
   */
  readonly migrations: number;
  /** Tokens that may be on their way from the worker. */
  readonly window_tokens: number;
  /** How often a router that is not there, or that has no place for an answer, is asked again. */
  readonly router_retries: number;
};

/** A worker that computes the prompt for another one. */
export type PrefillLeg = {
  /** The hand-off's id, and the request's name at this worker. */
  readonly id: string;
  readonly leg: PlanLeg;
  /** It also draws the answer's next token, whose index this is; undefined: it does not. */
  readonly draws: number | undefined;
};

export type Choice = {
  readonly text: ChoiceText;
  /** How many of `tokens`, from the first on, are scored ones of the prompt; the rest is answer. */
  readonly scored: number;
  /**
   * Every token that came, also those whose text is held back because a stop string or a character
   * may be incomplete. Another worker goes on behind them.
   */
  readonly tokens: number[];
  /** The tokens' logprobs, kept where another reader may resume the answer and want them. */
  readonly logprobs: TokenLogprob[] | undefined;
  /** The client was told its end, or ended it by a stop string. */
  ended: boolean;
  /** The worker has told the choice's end; after a stop string this comes later. */
  settled: boolean;
  /** The end as the worker told it; undefined while open, or if a stop string came before. */
  finished: Finished | undefined;
};

export type AnswerState = {
  readonly request: AnswerRequest;
  readonly prompt_bytes: Uint8Array;
  readonly tokenizer: Tokenizer;
  readonly limits: AnswerLimits;
  phase: "routing" | "starting" | "live" | "settling" | "ended";
  /** Counts from 1; it tells replies to earlier attempts apart. */
  attempt: number;
  /** Workers lost since the last steady one. */
  migrations: number;
  router_retries: number;
  /** Starts of workers that this answer must not go to again. */
  excluded: string[];
  /** Key of the process whose worker was out of reach last, without a token since; else "". */
  cut_off: string;
  /** A worker was excluded as it did not answer, or not yet; by now it may. */
  may_answer: boolean;
  /** Why another place is sought while the worker still makes the answer. */
  moving: SeekReason | undefined;
  /** Why the answer left its last worker. */
  cause: AnswerFailure | undefined;
  /** The worker that makes the answer, as planned. */
  leg: PlanLeg | undefined;
  /** The worker that computes the prompt, until it has. */
  prefill: PrefillLeg | undefined;
  /** Such workers that this attempt had, and the keys of those that the answer lost. */
  prefills: number;
  readonly prefills_lost: string[];
  /** Tokens of the prompt that the worker of this attempt which computed it had cached. */
  prefill_cached: number;
  prefill_cached_from: CachedFrom | undefined;
  /** The answer's name at its worker. Its reader's name is `workerRequest`. */
  made_as: string;
  /** Fetches in this attempt; each one reads under a name of its own. */
  reader: number;
  /** A fetch is under way: the worker has not answered it yet. */
  fetching: boolean;
  /** How many of these fetches came after the last token that was new here. */
  fetches: number;
  /** The current worker has sent something. */
  has_output: boolean;
  /** The current worker has said that it takes the answer. */
  accepted: boolean;
  /** Deaths of workers that this answer may have caused. */
  readonly suspicion: Suspicion;
  readonly choices: readonly Choice[];
  /** Tokens that came from the current worker, how many it may send now, and at most. */
  received: number;
  granted: number;
  wanted: number;
  /** The sink's buffer is full. */
  full: boolean;
  /** Of the prompt; +Infinity before a worker has said. */
  cached_tokens: number;
  cached_from: CachedFrom | undefined;
  /** Of all choices, as far as their last workers have said. */
  drafts: Drafts | undefined;
};

export function newAnswer(
  request: AnswerRequest,
  tokenizer: Tokenizer,
  limits: AnswerLimits,
): AnswerState {
  return {
    request,
    prompt_bytes: bytesOf(request.prompt),
    tokenizer,
    limits,
    phase: "routing",
    attempt: request.held?.attempt ?? 1,
    migrations: 0,
    router_retries: 0,
    excluded: [],
    cut_off: "",
    may_answer: false,
    moving: undefined,
    cause: undefined,
    leg: undefined,
    prefill: undefined,
    prefills: 0,
    prefills_lost: [],
    prefill_cached: Number.POSITIVE_INFINITY,
    prefill_cached_from: undefined,
    made_as: "",
    reader: 0,
    fetching: false,
    fetches: 0,
    has_output: false,
    accepted: false,
    suspicion: noSuspicion(),
    choices: Array.from({ length: request.choices }, (_, choice) => ({
      text: newChoiceText(choice, request, tokenizer),
      scored: choice < (request.scored_choices ?? 0) ? request.prompt.length - 1 : 0,
      tokens: [],
      logprobs: request.resumable !== undefined && request.logprobs >= 0 ? [] : undefined,
      ended: false,
      settled: false,
      finished: undefined,
    })),
    received: 0,
    granted: 0,
    wanted: 0,
    full: false,
    cached_tokens: Number.POSITIVE_INFINITY,
    cached_from: undefined,
    drafts: undefined,
  };
}

/** Some of the answer is here: another worker continues it instead of beginning anew. */
export function hasBegun({ choices }: AnswerState): boolean {
  return choices.some((choice) => choice.tokens.length > 0 || choice.ended);
}

/** The client has tokens that have not come here yet: only the worker that has them can go on. */
export function isBehind({ request, choices }: AnswerState): boolean {
  const have = request.held?.have ?? [];
  return have.some((count, choice) => (choices[choice]?.tokens.length ?? 0) < count);
}

/**
 * The choices that the next worker still has to make. A resumable answer also carries its ended
 * choices, for readers that come later.
 */
export function startsOf({ choices, request }: AnswerState): readonly ChoiceStart[] {
  return choices.flatMap((each, choice) => {
    const { tokens, logprobs, ended, scored } = each;
    if (ended && request.resumable === undefined) return [];
    const start = {
      choice,
      delivered: bytesOf(Uint32Array.from(tokens)),
      ...(logprobs === undefined ? {} : { delivered_logprobs: { items: [...logprobs] } }),
      ...(scored > 0 ? { scores: true } : {}),
    };
    if (ended) return [{ ...start, max_tokens: 0, ended: endOf(each, choice) }];
    return [{ ...start, max_tokens: request.max_tokens - answerTokens(each) }];
  });
}

/** A choice ended by a stop string has no end from the engine; each reader finds the string. */
function endOf({ finished, tokens }: Choice, choice: number): Finished {
  const total_tokens = tokens.length;
  if (finished !== undefined) return { ...finished, total_tokens };
  const none = { stop_token: -1, prompt_tokens: 0, cached_tokens: 0, error: "" };
  return { ...none, choice, reason: "cancelled", total_tokens };
}

/**
 * The tokens that the next worker has to compute: the prompt, then the tokens of the first choice
 * that is still open. Other choices have no place in one row of tokens.
 */
export function promptToPlace(state: AnswerState): Uint8Array {
  const open = state.choices.find((choice) => !choice.ended);
  const tokens = open === undefined ? [] : open.tokens.slice(open.scored);
  if (tokens.length === 0) return state.prompt_bytes;
  const { prompt } = state.request;
  const both = new Uint32Array(prompt.length + tokens.length);
  both.set(prompt);
  both.set(tokens, prompt.length);
  return bytesOf(both);
}

export function tokensHere({ choices }: AnswerState): number {
  let sum = 0;
  for (const { tokens } of choices) sum += tokens.length;
  return sum;
}

export function tokensToMake({ choices, request }: AnswerState): number {
  let sum = 0;
  for (const each of choices) if (!each.ended) sum += request.max_tokens - answerTokens(each);
  return sum;
}

/** Tokens of the answer itself. */
export function answerTokens({ tokens, scored }: Choice): number {
  return Math.max(0, tokens.length - scored);
}

/** Scores of the prompt that are still to come. */
export function scoresToMake({ choices }: AnswerState): number {
  let sum = 0;
  for (const { tokens, scored } of choices) sum += Math.max(0, scored - tokens.length);
  return sum;
}

/**
 * Each attempt has a name of its own at its worker, so that late tokens of a lost attempt are
 * recognized. Each fetch has one too.
 */
export function workerRequest(state: AnswerState, reader = state.reader): string {
  const { attempt, request } = state;
  const name = attempt === 1 ? request.request : `${request.request}~${attempt}`;
  return reader === 0 ? name : `${name}+${reader}`;
}

/** Choices share a window, but many of them would starve in that of one. */
export function windowOf({ limits: { window_tokens }, choices }: AnswerState): number {
  return window_tokens + Math.ceil(window_tokens / 8) * (choices.length - 1);
}

/** For the worker: a client that resumes the answer names the attempt. */
export function resumableOf({ request: { resumable }, attempt }: AnswerState) {
  return resumable === undefined ? {} : { resumable: { ...resumable, attempt } };
}

export const allEnded = ({ choices }: AnswerState): boolean =>
  choices.every((choice) => choice.ended);

/** The worker has said the last of each choice. */
export const isSettled = ({ choices }: AnswerState): boolean =>
  choices.every((choice) => choice.settled);
