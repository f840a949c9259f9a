/** Goodput: what part of the requests was answered within limits, and how many a second that is. */

/** In ms; undefined: any time will do. */
export type GoodputLimits = {
  readonly ttft_ms: number | undefined;
  /** Between two tokens of one answer, its mean. */
  readonly itl_ms: number | undefined;
};

export type Goodput = { readonly share: number; readonly req_per_s: number };

/** Times of one answer from the moment it was asked for, in ms. */
export type AnswerTimes = {
  readonly ttft_ms: number;
  readonly e2e_ms: number;
  readonly tokens: number;
};

export const noLimits: GoodputLimits = { ttft_ms: undefined, itl_ms: undefined };

/** Without limits there is nothing to say. */
export function goodputAsked({ ttft_ms, itl_ms }: GoodputLimits): boolean {
  return ttft_ms !== undefined || itl_ms !== undefined;
}

/** `requests`: all that came, those without an answer too; `duration_ms`: of the whole run. */
export function goodputOf(
  answers: readonly AnswerTimes[],
  limits: GoodputLimits,
  requests: number,
  duration_ms: number,
): Goodput {
  const good = answers.filter((answer) => isGood(answer, limits)).length;
  return {
    share: requests === 0 ? 0 : good / requests,
    req_per_s: duration_ms > 0 ? (1_000 * good) / duration_ms : 0,
  };
}

/** Mean time between the tokens of one answer; one token alone has nobody to wait for. */
export function itlOf({ ttft_ms, e2e_ms, tokens }: AnswerTimes): number {
  return tokens > 1 ? (e2e_ms - ttft_ms) / (tokens - 1) : 0;
}

/** Within both limits. */
export function isGood(answer: AnswerTimes, { ttft_ms, itl_ms }: GoodputLimits): boolean {
  if (!(answer.ttft_ms >= 0)) return false;
  if (ttft_ms !== undefined && answer.ttft_ms > ttft_ms) return false;
  return itl_ms === undefined || itlOf(answer) <= itl_ms;
}
