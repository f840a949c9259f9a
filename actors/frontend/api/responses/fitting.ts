/** `truncation: "auto"`: as many of the latest turns as the context has room for. */
import type { Turn } from "../../prompt/turns.ts";
import { ApiError } from "../api-error.ts";

/**
 * The answer to the most turns that fit. System messages stay; what is left out ends before a
 * user's turn, so that no result is without its call. Throws as `answerTo` does for the least turns.
 */
export function fitting<T>(turns: readonly Turn[], answerTo: (turns: readonly Turn[]) => T): T {
  const whole = attempt(() => answerTo(turns));
  if ("fits" in whole) return whole.fits;
  const head = turns.findIndex(({ role }) => role !== "system");
  const cuts: number[] = [];
  turns.forEach(({ role }, at) => {
    if (at > head && role === "user") cuts.push(at);
  });
  const from = (cut: number) => [...turns.slice(0, head), ...turns.slice(cut)];
  let best: { readonly fits: T } | undefined;
  let low = 0;
  let high = cuts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const tried = attempt(() => answerTo(from(cuts[middle]!)));
    if ("fits" in tried) {
      best = tried;
      high = middle;
    } else low = middle + 1;
  }
  if (best === undefined) throw whole.error;
  return best.fits;
}

function attempt<T>(run: () => T): { readonly fits: T } | { readonly error: ApiError } {
  try {
    return { fits: run() };
  } catch (error) {
    if (error instanceof ApiError && error.code === "context_length_exceeded") return { error };
    throw error;
  }
}
