/** What a request to fake engines has to give, worked out from the whole text at once. */
import type { AnswerEnd, AnswerRequest } from "../../actors/stream/stream.ts";
import { answerBytes, answerLength } from "./engine/fake-engine.ts";

export type ExpectedChoice = {
  readonly text: string;
  readonly end: AnswerEnd;
  /** Tokens in the usage. */
  readonly completion_tokens: number;
  /** All that the engine could make of it: delivered tokens are a beginning of these. */
  readonly tokens: readonly number[];
};

const decode = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

export function expectedChoice(request: AnswerRequest, choice: number): ExpectedChoice {
  const natural = request.ignore_eos
    ? Number.POSITIVE_INFINITY
    : answerLength(request.prompt, choice);
  const count = Math.min(request.max_tokens, natural);
  const bytes = answerBytes(request.prompt, choice, count);
  const tokens = [...bytes];
  const stopped = firstStop(bytes, request.stop_strings);
  if (stopped !== undefined) {
    const { count: made, stop } = stopped;
    const whole = decode(bytes.subarray(0, made));
    const text = request.include_stop ? whole : whole.slice(0, whole.length - stop.length);
    return {
      text,
      end: { choice, reason: "stop", stop_reason: stop },
      completion_tokens: made,
      tokens,
    };
  }
  const end: AnswerEnd =
    natural < request.max_tokens ? { choice, reason: "stop" } : { choice, reason: "length" };
  // The engine asks for its end token in the step after the last token that fits.
  return { text: decode(bytes), end, completion_tokens: count, tokens };
}

/** After how many bytes the first stop string is complete; of several the longest. */
function firstStop(bytes: Uint8Array, stops: readonly string[]) {
  for (let count = 1; count <= bytes.length; count++) {
    const text = decode(bytes.subarray(0, count));
    const found = stops.filter((stop) => text.endsWith(stop));
    if (found.length === 0) continue;
    const stop = found.reduce((a, b) => (b.length > a.length ? b : a));
    return { count, stop };
  }
  return undefined;
}
