/** Waiting and asking with an end, over the clock and the network that are handed in. */
import type { Clock, Net } from "../../../runtime/capabilities.ts";

/** The other side did not answer in time; another try may find it. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
  readonly code = "no_answer";
}

/** An answer that is not taken: it sends elsewhere, or has no end. */
export class UnfitAnswerError extends Error {
  override readonly name = "UnfitAnswerError";
  readonly code = "unfit_answer";
}

export const sleep = (clock: Clock, delay_ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(delay_ms, resolve));

export type Reply = { readonly status: number; readonly text: string };

/** A graph with all its pods is a hundredth of it. */
const BYTES_MOST = 8 * 1024 ** 2;

/**
 * A whole answer as text within the time, from the address that was given and no other: a token
 * goes with the question. Rejects with NoAnswerError, UnfitAnswerError, or as `net.fetch` does.
 */
export async function fetchText(
  { clock, net }: { readonly clock: Clock; readonly net: Pick<Net, "fetch"> },
  url: string,
  init: RequestInit,
  timeout_ms: number,
): Promise<Reply> {
  const stop = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = clock.after(timeout_ms, () => {
    const { host } = new URL(url);
    late.reject(new NoAnswerError(`${host} did not answer within ${timeout_ms} ms`));
    stop.abort();
  });
  const answer = wholeAnswer(net, url, { ...init, redirect: "manual", signal: stop.signal });
  try {
    return await Promise.race([late.promise, answer]);
  } finally {
    clock.cancel(timer);
  }
}

async function wholeAnswer(
  net: Pick<Net, "fetch">,
  url: string,
  init: RequestInit,
): Promise<Reply> {
  const response = await net.fetch(url, init);
  const { status, headers, body } = response;
  const { host } = new URL(url);
  if (status >= 300 && status < 400) {
    await body?.cancel();
    const place = (headers.get("location") ?? "elsewhere").slice(0, 200);
    const why = `${host} answers ${status} and sends to ${place}, which is not followed`;
    throw new UnfitAnswerError(`${why}: give the address that it names, if you trust it`);
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    parts.push(part);
    bytes += part.length;
    // Leaving the loop ends the stream.
    if (bytes > BYTES_MOST)
      throw new UnfitAnswerError(`${host} answers more than ${BYTES_MOST} bytes`);
  }
  return { status, text: Buffer.concat(parts).toString() };
}
