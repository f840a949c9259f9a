/**
 * Tokens of one choice → pieces of text, as far as they are certain. Two things hold text back:
 * a token may end inside a character, and text may be the beginning of a stop string.
 *
 *   held tokens   | t1 | t2 | t3 |      each knows where its text begins and ends
 *   held text     | a b c S T |         `certain` up to where a stop string may begin
 *
 * A piece always carries whole tokens with all of their text, so that a count of delivered tokens
 * says exactly which text was delivered.
 */
import { Detokenizer, tokenText } from "../../llm/tokens/detokenizer.ts";
import { StopMatcher } from "../../llm/tokens/stop-strings.ts";
import type { Tokenizer } from "../../llm/tokens/tokenizer.ts";
import type { TokenLogprob } from "../../proto/index.ts";
import type { AnswerPiece, AnswerRequest, PieceLogprob, PromptScore } from "./types.ts";

type HeldToken = {
  readonly token: number;
  readonly logprob: TokenLogprob | undefined;
  /** Where the token's text begins and ends in the held text. */
  start: number;
  end: number;
  /** True: no byte of the token waits for the next one. */
  readonly whole: boolean;
};

export type ChoiceText = {
  readonly choice: number;
  readonly tokenizer: Tokenizer;
  readonly detokenizer: Detokenizer;
  readonly stops: StopMatcher;
  readonly wants_logprobs: boolean;
  held: HeldToken[];
  text: string;
  /** How much of `text` cannot be the beginning of a stop string. */
  certain: number;
  /** Tokens in pieces so far. */
  delivered: number;
};

export type TextOut = {
  readonly piece?: AnswerPiece;
  /** The stop string that ended the choice. */
  readonly stopped?: string;
};

const NO_TEXT: TextOut = {};

export function newChoiceText(
  choice: number,
  request: AnswerRequest,
  tokenizer: Tokenizer,
): ChoiceText {
  return {
    choice,
    tokenizer,
    detokenizer: new Detokenizer(tokenizer, { shown: request.shown_tokens }),
    stops: new StopMatcher(request.stop_strings, request.include_stop),
    wants_logprobs: request.logprobs >= 0,
    held: [],
    text: "",
    certain: 0,
    delivered: 0,
  };
}

/** Adds one token. After `stopped` the choice takes no more. */
export function pushToken(
  state: ChoiceText,
  token: number,
  logprob: TokenLogprob | undefined,
): TextOut {
  const text = state.detokenizer.pushToken(token);
  const { whole } = state.detokenizer;
  if (whole && state.stops.idle && state.held.length === 0 && !state.wants_logprobs) {
    state.delivered++;
    const { choice, delivered } = state;
    return { piece: { kind: "content", choice, text, tokens: [token], delivered } };
  }
  const start = state.text.length;
  const end = start + text.length;
  state.held.push({ token, logprob, start, end, whole });
  const stop = addText(state, text);
  if (stop !== undefined) return stopAt(state, stop);
  let count = 0;
  for (let i = 0; i < state.held.length && state.held[i]!.end <= state.certain; i++) {
    if (state.held[i]!.whole) count = i + 1;
  }
  return count === 0 ? NO_TEXT : { piece: takePiece(state, count, state.held[count - 1]!.end) };
}

/** The engine has ended the choice, so all held text is certain now. */
export function finishText(state: ChoiceText): TextOut {
  const stop = addText(state, state.detokenizer.flush());
  if (stop !== undefined) return stopAt(state, stop);
  if (state.held.length === 0 && state.text === "") return NO_TEXT;
  return { piece: takePiece(state, state.held.length, state.text.length) };
}

/** Returns the stop string that the text now ends with. */
function addText(state: ChoiceText, text: string): string | undefined {
  state.text += text;
  const out = state.stops.push(text);
  state.certain += out.text.length;
  return out.stop;
}

/** Tokens that are wholly inside or behind the stop string are not delivered without it. */
function stopAt(state: ChoiceText, stop: string): TextOut {
  const cut = state.certain;
  const count = state.held.filter((held) => held.start < cut).length;
  if (count === 0) return { stopped: stop };
  return { piece: takePiece(state, count, cut), stopped: stop };
}

function takePiece(state: ChoiceText, count: number, end: number): AnswerPiece {
  const taken = state.held;
  const text = state.text.length === end ? state.text : state.text.slice(0, end);
  state.held = taken.splice(count);
  for (const held of state.held) {
    held.start -= end;
    held.end -= end;
  }
  state.text = state.text.slice(end);
  state.certain -= end;
  state.delivered += count;
  const { choice, delivered, tokenizer } = state;
  const tokens = taken.map((held) => held.token);
  if (!state.wants_logprobs) return { kind: "content", choice, text, tokens, delivered };
  const logprobs = taken.map((held) => tokenLogprob(tokenizer, held.token, held.logprob));
  return { kind: "content", choice, text, tokens, logprobs, delivered };
}

/** A token with its log probability, as clients see it. */
export function tokenLogprob(
  tokenizer: Tokenizer,
  token: number,
  logprob: TokenLogprob | undefined,
): PieceLogprob {
  const of = (id: number, value: number) => {
    const { text, bytes } = tokenText(tokenizer, id);
    return { token: text, bytes, logprob: value };
  };
  const { top_tokens = [], top_logprobs = [], logprob: own = 0 } = logprob ?? {};
  const top = top_tokens.map((id, index) => of(id, top_logprobs[index] ?? 0));
  return { ...of(token, own), top };
}

/** A token of the prompt as its client sees it. */
export function promptScore(
  tokenizer: Tokenizer,
  token: number,
  score: TokenLogprob | undefined,
): PromptScore {
  const of = (id: number, logprob: number) => {
    return { id, token: tokenText(tokenizer, id).text, logprob };
  };
  const { top_tokens = [], top_logprobs = [], logprob = 0, rank = 0 } = score ?? {};
  const top = top_tokens.map((id, index) => of(id, top_logprobs[index] ?? 0));
  return { ...of(token, logprob), rank, top };
}
