/**
 * Where an answer is made, out of the id of its events: `REQUEST:COUNTS@PLACE`, where COUNTS are the
 * delivered tokens of each choice and PLACE the attempt and a hint of the worker's name. Both change
 * with the first token that another worker made, so the seam is exact to the token.
 */
import { workerHint } from "../../../../names/names.ts";

export type EventPlace = {
  readonly request: string;
  /** Delivered so far, over all choices. */
  readonly tokens: number;
  readonly attempt: number;
  readonly hint: string;
};

const EVENT_ID = /^([\w-]+):([\w.]*?)(?:@(\d+)([\w-]{2}))?(?:\.[\w.-]*)?$/;

/** undefined: no event of ours has this id. */
export function placeOf(event_id: string): EventPlace | undefined {
  const match = EVENT_ID.exec(event_id);
  if (match === null) return undefined;
  const [, request = "", counts = "", attempt = "0", hint = ""] = match;
  const tokens = counts.split(".").reduce((sum, text) => sum + (Number.parseInt(text, 10) || 0), 0);
  return { request, tokens, attempt: Number(attempt), hint };
}

/** The worker that a hint means; undefined where none or several of `names` fit. */
export function workerOf(hint: string, names: readonly string[]): string | undefined {
  const fitting = names.filter((name) => workerHint(name) === hint);
  return fitting.length === 1 ? fitting[0] : undefined;
}
