/**
 * Everything a worker has made for one live answer, and how much of it its consumer has been sent.
 *
 *   engine ─▶ | tokens kept until the answer is over        | ─▶ batches, while credit lasts
 *             0            sent                          made
 *
 * The engine is never paused for a slow consumer: a paused sequence would hold its KV blocks and
 * its place in the batch, while tokens cost a few bytes each. What is kept is bounded by the
 * request's own max_tokens, and how many answers there are by the worker. Nothing is forgotten
 * once sent, so that tokens can be sent again.
 */
import type {
  ChoiceStart,
  ChoiceTokens,
  Finished,
  TokenBatch,
  TokenLogprob,
} from "../../proto/index.ts";

export type ChoiceLog = {
  readonly choice: number;
  /** Answer index of `tokens[0]`: what the client already had from another worker. */
  readonly base: number;
  readonly tokens: number[];
  /** As many as tokens, or none when the request wanted none. */
  readonly logprobs: TokenLogprob[];
  /** How many of `tokens` the consumer was sent. */
  sent: number;
  /** Tokens that come now are dropped: the consumer has ended this choice. */
  unwanted: boolean;
  finished: Finished | undefined;
  finished_sent: boolean;
};

export type AnswerLog = {
  readonly request: string;
  readonly choices: readonly ChoiceLog[];
  /** Tokens the consumer allows in all, over all choices. */
  granted: number;
  sent: number;
  /** Choice that is served first next time: with little credit they take turns. */
  turn: number;
};

export function newAnswerLog(
  request: string,
  starts: readonly ChoiceStart[],
  window_tokens: number,
): AnswerLog {
  const choices = starts.map((start) => ({
    choice: start.choice,
    base: start.delivered.length / 4,
    tokens: [],
    logprobs: [],
    sent: 0,
    unwanted: false,
    finished: undefined,
    finished_sent: false,
  }));
  return { request, choices, granted: window_tokens, sent: 0, turn: 0 };
}

/** Throws when the tokens do not follow what is there: an engine that does this is broken. */
export function recordTokens(
  log: ChoiceLog,
  first_index: number,
  tokens: readonly number[],
  logprobs: readonly TokenLogprob[],
): void {
  if (log.unwanted) return;
  const expected = log.base + log.tokens.length;
  if (first_index !== expected) {
    throw new Error(`the engine made token ${first_index} where ${expected} was next`);
  }
  for (const token of tokens) log.tokens.push(token);
  for (const logprob of logprobs) log.logprobs.push(logprob);
}

/** Totals only grow: an old grant that comes late takes nothing back. */
export function grant(log: AnswerLog, tokens_total: number): void {
  if (tokens_total > log.granted) log.granted = tokens_total;
}

/** What may be sent now, marked as sent; undefined when that is nothing. */
export function nextBatch(log: AnswerLog): TokenBatch | undefined {
  const choices: ChoiceTokens[] = [];
  const finished: Finished[] = [];
  const count = log.choices.length;
  for (let step = 0; step < count; step++) {
    const choice = log.choices[(log.turn + step) % count]!;
    if (choice.finished_sent) continue;
    const credit = log.granted - log.sent;
    const unsent = choice.tokens.length - choice.sent;
    if (unsent > 0 && credit > 0) {
      const part = takeTokens(choice, Math.min(unsent, credit));
      log.sent += part.tokens.length;
      choices.push(part);
    }
    if (choice.finished === undefined) continue;
    if (choice.sent < choice.tokens.length) continue;
    choice.finished_sent = true;
    finished.push(choice.finished);
  }
  if (choices.length === 0 && finished.length === 0) return undefined;
  log.turn = (log.turn + 1) % count;
  return { kind: "token_batch", request: log.request, choices, finished };
}

function takeTokens(log: ChoiceLog, count: number): ChoiceTokens {
  const from = log.sent;
  log.sent += count;
  return {
    choice: log.choice,
    first_index: log.base + from,
    // A copy: in one process the batch is not encoded, and the log goes on growing.
    tokens: log.tokens.slice(from, log.sent),
    logprobs: log.logprobs.length === 0 ? noLogprobs : log.logprobs.slice(from, log.sent),
  };
}

const noLogprobs: readonly TokenLogprob[] = [];

/** Every choice has ended and its consumer was told so. */
export function isDelivered(log: AnswerLog): boolean {
  return log.choices.every((choice) => choice.finished_sent);
}

/** Takes a batch back that could not be handed over: it will be made again. */
export function unsend(log: AnswerLog, batch: TokenBatch): void {
  for (const part of batch.choices) {
    log.sent -= part.tokens.length;
    choiceOf(log, part.choice).sent -= part.tokens.length;
  }
  for (const end of batch.finished) choiceOf(log, end.choice).finished_sent = false;
}

export function dropUnsent(log: ChoiceLog): void {
  log.unwanted = true;
  log.tokens.length = log.sent;
  log.logprobs.length = Math.min(log.logprobs.length, log.sent);
}

/**
 * Ends every choice that was not told its end, whatever it still had to say: what was made and
 * not sent is dropped.
 */
export function failOpen(log: AnswerLog, error: string): void {
  for (const choice of log.choices) {
    if (choice.finished_sent) continue;
    dropUnsent(choice);
    choice.finished = {
      choice: choice.choice,
      reason: "error",
      stop_token: -1,
      prompt_tokens: choice.finished?.prompt_tokens ?? 0,
      cached_tokens: choice.finished?.cached_tokens ?? 0,
      total_tokens: choice.base + choice.sent,
      error,
    };
  }
}

function choiceOf(log: AnswerLog, number: number): ChoiceLog {
  const choice = log.choices.find((each) => each.choice === number);
  if (choice === undefined) throw new Error(`answer ${log.request} has no choice ${number}`);
  return choice;
}
