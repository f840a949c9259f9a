/**
 * The face of `stream`: one actor owns one live answer, from admission until its sink has the
 * end. It asks the router for a plan, sends Generate to the worker, takes token batches,
 * checks their indices, turns them into text and hands the text to the sink of the HTTP door.
 */
import type { Outside } from "../../runtime/outside.ts";
import { type StreamParts, streamOf } from "./stream-actor.ts";

export { ROUTER_AGAIN_MS, ROUTER_ASKS, refusalsElsewhere, WORKERS_ASKED } from "./elsewhere.ts";
export {
  StreamParent,
  type StreamsMessage,
  type StreamsOptions,
  startAnswerWith,
  streamNameOf,
} from "./stream-parent.ts";
export type {
  AnswerEnd,
  AnswerFailure,
  AnswerHandle,
  AnswerPiece,
  AnswerRequest,
  AnswerScores,
  AnswerSink,
  AnswerStep,
  AnswerUsage,
  CachedByTier,
  ContentPiece,
  HeldAttempt,
  PieceLogprob,
  PromptScore,
  ScoredToken,
  StartAnswer,
  StreamCommand,
} from "./types.ts";

/** For a recording, which has the parts. */
export const streamRecipes = {
  stream: (outside: Outside) => streamOf({} as StreamParts, outside),
} as const;
