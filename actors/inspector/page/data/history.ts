/** What a watched actor did lately, message by message; pure. */
import type { ActorFrame, Entry } from "./types.ts";

/** As many as the actor's process keeps. */
export const HISTORY_MAX = 256;

export type History = {
  /** Oldest first, each once. */
  readonly entries: readonly Entry[];
  /** Entries that the process had to let go before they could be sent. */
  readonly dropped: number;
};

export const noHistory: History = { entries: [], dropped: 0 };

/** A process that started again counts from the begin: what was before is another life. */
export function extended(history: History, { entries, dropped }: ActorFrame): History {
  if (entries.length === 0) return { ...history, dropped: history.dropped + dropped };
  const bySeq = new Map(history.entries.map((entry) => [entry.seq, entry]));
  const last = history.entries.at(-1);
  const isOther = entries.some(({ seq, at_ms }) => {
    const known = bySeq.get(seq);
    return known !== undefined && known.at_ms !== at_ms;
  });
  const isEarlier = last !== undefined && entries.every(({ at_ms }) => at_ms > last.at_ms);
  const startsAnew = isOther || (isEarlier && (entries[0]?.seq ?? 0) < (last?.seq ?? 0));
  if (startsAnew) bySeq.clear();
  for (const entry of entries) bySeq.set(entry.seq, entry);
  const all = [...bySeq.values()].sort((a, b) => a.seq - b.seq).slice(-HISTORY_MAX);
  return { entries: all, dropped: (startsAnew ? 0 : history.dropped) + dropped };
}
