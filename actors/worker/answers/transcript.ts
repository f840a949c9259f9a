/**
 * All tokens of one answer at its worker, and how far each reader was sent.
 *
 *   engine ─▶ | delivered before | tokens made here         | ─▶ batches, while credit lasts
 *             0                  base    sent            made
 *
 * Where the prompt is scored, its tokens but the first stand before the answer's own, with their
 * scores as log probabilities: they are sent, fetched and continued like these.
 *
 * The engine is never paused for a slow reader: a paused sequence would hold its KV blocks and
 * its place in the batch, while tokens cost a few bytes each. The request's max_tokens bounds a
 * transcript, and the worker bounds their number. Tokens stay here after they are sent, since a
 * later reader begins at index 0.
 */
import { tokensOf } from "../../../llm/tokens/token-bytes.ts";
import type {
  ChoiceFrom,
  ChoiceStart,
  ChoiceTokens,
  Finished,
  TokenBatch,
  TokenLogprob,
} from "../../../proto/index.ts";

export type ChoiceTranscript = {
  readonly choice: number;
  /** Answer index of the first token made here; the client has the earlier ones from elsewhere. */
  readonly base: number;
  /** By answer index, with the tokens delivered before. */
  readonly tokens: number[];
  /** Log probabilities from token `logprobs_from` on; empty if the request wants none. */
  readonly logprobs: TokenLogprob[];
  readonly logprobs_from: number;
  /** The prompt, whose tokens but the first stand at the beginning of `tokens`; undefined: not. */
  readonly scored: Uint32Array | undefined;
  /** Where the answer's own tokens begin in `tokens`. */
  readonly own_from: number;
  /** A reader has ended this choice, so later tokens are dropped. */
  unwanted: boolean;
  finished: Finished | undefined;
};

export type Transcript = {
  readonly choices: readonly ChoiceTranscript[];
  /** The deadline has passed: a choice whose end was not told yet ends with reason `deadline`. */
  late: boolean;
};

/** How far one reader of an answer is. */
export type ReadPosition = {
  /** The request name in its batches. */
  readonly name: string;
  /** Tokens it allows in all, over all choices. */
  granted: number;
  sent: number;
  /** The choice that is served first next time: with little credit choices take turns. */
  turn: number;
  /** By place in `transcript.choices`: answer index of the next token, and if the end was told. */
  readonly next: number[];
  readonly told: boolean[];
};

export function newTranscript(starts: readonly ChoiceStart[], prompt = NO_PROMPT): Transcript {
  return { choices: starts.map((start) => choiceTranscript(start, prompt)), late: false };
}

function choiceTranscript(start: ChoiceStart, prompt: Uint8Array): ChoiceTranscript {
  const scored = start.scores ? tokensOf(prompt) : undefined;
  const base = start.delivered.length / 4;
  const known = start.delivered_logprobs?.items ?? [];
  const whole = known.length === base;
  return {
    choice: start.choice,
    base,
    tokens: base === 0 ? [] : [...tokensOf(start.delivered)],
    logprobs: whole ? [...known] : [],
    logprobs_from: whole ? 0 : base,
    scored,
    own_from: scored === undefined ? 0 : scored.length - 1,
    unwanted: false,
    finished: start.ended,
  };
}

/**
 * Where a reader begins. `start`: it has nothing. A number: it sent the request, and has the tokens
 * and ends that came with it, but for so many of the last ones. A list: the index of the next token
 * of each choice that it still reads.
 */
export type ReadFrom = "start" | number | readonly ChoiceFrom[];

export function newReadPosition(
  transcript: Transcript,
  name: string,
  window_tokens: number,
  from: ReadFrom,
): ReadPosition {
  const starts = transcript.choices.map((choice) => startIn(choice, from));
  return {
    name,
    granted: window_tokens,
    sent: 0,
    turn: 0,
    next: starts.map(({ next }) => next),
    told: starts.map(({ told }) => told),
  };
}

function startIn(transcript: ChoiceTranscript, from: ReadFrom): { next: number; told: boolean } {
  if (from === "start") return { next: 0, told: false };
  if (typeof from === "number")
    return { next: transcript.base - from, told: transcript.finished !== undefined };
  const wanted = from.find(({ choice }) => choice === transcript.choice);
  if (wanted === undefined) return { next: transcript.tokens.length, told: true };
  return { next: Math.min(wanted.index, transcript.tokens.length), told: false };
}

/** Throws when the tokens do not follow the last one: the engine is broken then. */
export function recordTokens(
  transcript: ChoiceTranscript,
  first_index: number,
  tokens: readonly number[],
  logprobs: readonly TokenLogprob[],
): void {
  if (transcript.unwanted) return;
  const expected = transcript.tokens.length;
  if (first_index !== expected) {
    throw new Error(`the engine made token ${first_index} where ${expected} was next`);
  }
  for (const token of tokens) transcript.tokens.push(token);
  for (const logprob of logprobs) transcript.logprobs.push(logprob);
}

/** As `recordTokens`, of the prompt's own tokens behind the first. */
export function recordScores(
  transcript: ChoiceTranscript,
  first_index: number,
  scores: readonly TokenLogprob[],
): void {
  const { scored } = transcript;
  if (scored === undefined) throw new Error("the engine scored a prompt that nobody wants scored");
  const tokens = scored.subarray(first_index + 1, first_index + 1 + scores.length);
  recordTokens(transcript, first_index, [...tokens], scores);
}

/** Totals only grow: an old grant that comes late takes nothing back. */
export function grant(position: ReadPosition, tokens_total: number): void {
  if (tokens_total > position.granted) position.granted = tokens_total;
}

/** The batch that may be sent now, marked as sent; undefined: nothing may. */
export function nextBatch(transcript: Transcript, position: ReadPosition): TokenBatch | undefined {
  const choices: ChoiceTokens[] = [];
  const finished: Finished[] = [];
  const count = transcript.choices.length;
  for (let step = 0; step < count; step++) {
    const at = (position.turn + step) % count;
    if (position.told[at] === true) continue;
    const choice = transcript.choices[at]!;
    for (;;) {
      const credit = position.granted - position.sent;
      const unsent = choice.tokens.length - position.next[at]!;
      if (unsent <= 0 || credit <= 0) break;
      choices.push(takeTokens(choice, position, at, credit));
    }
    const end = endFor(transcript, choice, position.next[at]!);
    if (end === undefined) continue;
    position.told[at] = true;
    finished.push(end);
  }
  if (choices.length === 0 && finished.length === 0) return undefined;
  position.turn = (position.turn + 1) % count;
  return { kind: "token_batch", request: position.name, choices, finished };
}

/** The end of a choice, for a reader that has its tokens up to `next`. */
function endFor(
  transcript: Transcript,
  choice: ChoiceTranscript,
  next: number,
): Finished | undefined {
  const { finished } = choice;
  if (!transcript.late) return next < choice.tokens.length ? undefined : finished;
  return {
    choice: choice.choice,
    reason: "deadline",
    stop_token: -1,
    prompt_tokens: finished?.prompt_tokens ?? 0,
    cached_tokens: finished?.cached_tokens ?? 0,
    total_tokens: next,
    error: "",
  };
}

function takeTokens(
  transcript: ChoiceTranscript,
  position: ReadPosition,
  at: number,
  credit: number,
): ChoiceTokens {
  const from = position.next[at]!;
  // Tokens without log probabilities go alone, so that each part has all of them or none.
  const most =
    from < transcript.logprobs_from ? transcript.logprobs_from : transcript.tokens.length;
  const to = Math.min(most, from + credit);
  position.next[at] = to;
  position.sent += to - from;
  const bare = transcript.logprobs.length === 0 || from < transcript.logprobs_from;
  return {
    choice: transcript.choice,
    first_index: from,
    // A copy: in one process the batch is not encoded, and the transcript goes on growing.
    tokens: transcript.tokens.slice(from, to),
    logprobs: bare
      ? noLogprobs
      : transcript.logprobs.slice(from - transcript.logprobs_from, to - transcript.logprobs_from),
  };
}

const NO_PROMPT: Uint8Array = new Uint8Array(0);
const noLogprobs: readonly TokenLogprob[] = [];

/** The reader was told the end of every choice. */
export function isDelivered(position: ReadPosition): boolean {
  return position.told.every((told) => told);
}

/** True: every choice ended without an error, so the answer is worth keeping. */
export function isWhole(transcript: Transcript): boolean {
  return !transcript.late && transcript.choices.every(({ finished }) => isGoodEnd(finished));
}

function isGoodEnd(finished: Finished | undefined): boolean {
  // "cancelled" is the engine's word for a choice that a stop string ended.
  return finished !== undefined && finished.reason !== "error";
}

/** Marks a batch that could not be sent as unsent. */
export function unsend(transcript: Transcript, position: ReadPosition, batch: TokenBatch): void {
  for (const part of batch.choices) {
    position.sent -= part.tokens.length;
    position.next[placeOf(transcript, part.choice)]! -= part.tokens.length;
  }
  for (const end of batch.finished) position.told[placeOf(transcript, end.choice)] = false;
}

/** No reader wants more of this choice than `sent` tokens: drops the tokens behind them. */
export function endTokens(transcript: ChoiceTranscript, sent: number): void {
  transcript.unwanted = true;
  if (transcript.tokens.length > sent) transcript.tokens.length = sent;
  const logprobs = Math.max(0, sent - transcript.logprobs_from);
  if (transcript.logprobs.length > logprobs) transcript.logprobs.length = logprobs;
}

export function placeOf(transcript: Transcript, number: number): number {
  const place = transcript.choices.findIndex((each) => each.choice === number);
  if (place < 0) throw new Error(`there is no choice ${number}`);
  return place;
}
