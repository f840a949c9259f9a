/** Messages of a router to its peers about one request, and about one session. */
import type { RoutedRequest, RoutedSession, RouterNews } from "../../../proto/index.ts";
import type { Binding } from "../policy/affinity.ts";
import type { BookEntry } from "../policy/load-book.ts";
import { LOWEST_PRIORITY } from "../traffic.ts";

/** News to tell; each list may be empty. */
export type PeerNews = Pick<RouterNews, "routed" | "first" | "ended" | "sessions" | "busy">;

/** Blocks that are named of one prompt; those behind them count without a name. */
const NAMED_MAX = 4_096;

/** Name of a request's prompt, where a worker of its own computes it. */
export const prefillName = (request: string) => `${request}^`;

export function routedOf(
  model: string,
  entry: Omit<BookEntry, "elsewhere">,
  name = entry.request.request,
): RoutedRequest {
  const { request, worker, uncached_tokens, prefilling } = entry;
  const hashes = request.hashes.subarray(0, 2 * NAMED_MAX);
  return {
    request: name,
    model,
    worker: worker.key,
    prompt_tokens: request.prompt_tokens,
    uncached_tokens,
    hashes: new Uint8Array(hashes.buffer, hashes.byteOffset, hashes.byteLength),
    first: !prefilling,
    lowest: request.strict_priority === LOWEST_PRIORITY,
  };
}

export function sessionOf(
  model: string,
  session: string,
  { key, moves, bound_ms, until_ms }: Binding,
  last_ms: number,
): RoutedSession {
  const idle_ms = Math.max(0, Math.round(last_ms - until_ms));
  return { model, session, worker: key, moves, bound_ms, idle_ms };
}
