/** Which answers a worker that is being drained still finishes, and which go on elsewhere. */
import type { ChoiceStart } from "../../proto/index.ts";
import type { ChoiceTranscript } from "./answers/transcript.ts";

/** Less than a move costs: the prompt computed again, and a pause that its client sees. */
const SOON_MS = 1_000;
const SOON_TOKENS = 8;
/** How often the others are asked again to leave, as long as there is no place for them. */
export const HAND_OVER_AGAIN_MS = 500;

/**
 * By the pace it had so far. `left_ms`: of the drain's budget; half of it is kept for those that
 * have to move after all.
 */
export function finishesSoon(
  starts: readonly ChoiceStart[],
  transcripts: readonly ChoiceTranscript[],
  age_ms: number,
  left_ms: number,
): boolean {
  let made = 0;
  let left = 0;
  for (const [place, { base, tokens, finished }] of transcripts.entries()) {
    const own = tokens.length - base;
    made = Math.max(made, own);
    if (finished !== undefined) continue;
    left = Math.max(left, (starts[place]?.max_tokens ?? 0) - own);
  }
  if (left_ms <= 0) return false;
  if (left <= SOON_TOKENS && made > 0) return true;
  if (made === 0) return false;
  return (left * age_ms) / made <= Math.min(SOON_MS, left_ms / 2);
}
