/**
 * Fetch of tokens that were lost on the way. The worker keeps all tokens of an answer until the
 * answer is over, and longer if it is resumable. So the stream reads on there under another name,
 * from the first missing token, and drops what still comes under the old name.
 */
import type { ChoiceFrom } from "../../proto/index.ts";
import type { AnswerEffect } from "./inputs-and-effects.ts";
import { type AnswerState, windowOf, workerRequest } from "./state.ts";

/** Fetches in a row without a new token: a connection that loses everything is of no use. */
const FETCHES = 3;
/** First token of a choice that a stop string ended: only the choice's end is fetched. */
const ITS_END = 0xffff_ffff;

/** Undefined: fetched often enough without success, so the answer has to move. */
export function fetchMissing(state: AnswerState): AnswerEffect | undefined {
  if (state.fetches >= FETCHES) return undefined;
  const instead_of = workerRequest(state);
  state.fetches++;
  state.reader++;
  state.fetching = true;
  state.received = 0;
  // With a full sink the credit follows later, when the sink takes more.
  state.granted = state.full ? 0 : windowOf(state);
  const attach = {
    kind: "attach" as const,
    request: state.made_as,
    alias: workerRequest(state),
    window_tokens: state.granted,
    from: wanted(state),
    instead_of,
  };
  return { kind: "fetch", attempt: state.attempt, reader: state.reader, attach };
}

function wanted({ choices }: AnswerState): readonly ChoiceFrom[] {
  return choices.flatMap(({ settled, ended, tokens }, choice) =>
    settled ? [] : [{ choice, index: ended ? ITS_END : tokens.length }],
  );
}
