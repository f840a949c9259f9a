/**
 * Tokens that were lost on the way are still at their worker, which keeps all it made of an answer
 * until that is over, and longer where it can be resumed. So the stream reads on there by another
 * name, from the first token that is missing; whatever still comes under the old name is of no use.
 */
import type { ChoiceFrom } from "../../proto/index.ts";
import type { AnswerEffect } from "./inputs-and-effects.ts";
import { type AnswerState, windowOf, workerRequest } from "./state.ts";

/** In a row, without a new token: a way that loses everything is no better than none. */
const FETCHES = 3;
/** Of a choice that a stop string ended, only its end is of interest. */
const ITS_END = 0xffff_ffff;

/** undefined: it was fetched as often as makes sense, and has to go elsewhere. */
export function fetchMissing(state: AnswerState): AnswerEffect | undefined {
  if (state.fetches >= FETCHES) return undefined;
  const instead_of = workerRequest(state);
  state.fetches++;
  state.reader++;
  state.fetching = true;
  state.received = 0;
  // Once the sink takes more, the credit for it follows.
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
