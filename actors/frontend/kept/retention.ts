/** What is stored goes again: after its time, and the oldest first where it is too much. */
import type { Clock, Store } from "../../../runtime/capabilities.ts";
import { stored } from "../api/stored.ts";
import { pause } from "../pause.ts";
import type { KeptConversations } from "./kept-conversations.ts";
import {
  AGES,
  type Aged,
  agedOf,
  conversationKey,
  type KeptConversation,
  RUNNING,
  recordOf,
  responseKey,
} from "./kept-record.ts";
import type { KeptResponses } from "./kept-responses.ts";

export type RetentionLimits = {
  readonly keep_ms: number;
  readonly bytes_max: number;
  readonly count_max: number;
};

export type RetentionParts = {
  readonly store: Store;
  readonly clock: Clock;
  readonly responses: KeptResponses;
  readonly conversations: KeptConversations;
  readonly limits: RetentionLimits;
};

const PAGE = 500;
const LOOK_MS = 300_000;
/** So many new ones are a reason to look before the time. */
const ADDED_MAX = 1_000;

export class Retention {
  readonly #parts: RetentionParts;
  #looked_ms = Number.NEGATIVE_INFINITY;
  #added = 0;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** Something was stored. */
  added(): void {
    this.#added += 1;
  }

  async tend(): Promise<void> {
    const { clock } = this.#parts;
    const now_ms = clock.now_ms();
    if (now_ms - this.#looked_ms < LOOK_MS && this.#added < ADDED_MAX) return;
    this.#looked_ms = now_ms;
    this.#added = 0;
    await this.prune();
  }

  /** Returns how many records went. */
  async prune(): Promise<number> {
    const { clock, limits } = this.#parts;
    const oldest_ms = clock.wall_ms() - limits.keep_ms;
    let bytes = 0;
    let count = 0;
    for await (const page of this.#pages()) {
      for (const aged of page) {
        bytes += aged.bytes;
        count += 1;
      }
    }
    let removed = 0;
    for await (const page of this.#pages()) {
      for (const aged of page) {
        const isOld = aged.at_ms < oldest_ms;
        if (!isOld && bytes <= limits.bytes_max && count <= limits.count_max) return removed;
        bytes -= aged.bytes;
        count -= 1;
        removed += 1;
        await this.#remove(aged);
      }
    }
    return removed;
  }

  /** The oldest first, with turns for others between pages. */
  async *#pages(): AsyncGenerator<readonly Aged[]> {
    const { store, clock } = this.#parts;
    let after: string | undefined;
    for (;;) {
      const keys = await stored(store.list(AGES, PAGE, after));
      yield keys.flatMap((key) => agedOf(key) ?? []);
      after = keys.at(-1);
      if (keys.length < PAGE) return;
      await pause(clock, 1);
    }
  }

  async #remove({ key, kind, id, at_ms }: Aged): Promise<void> {
    const { store, conversations } = this.#parts;
    if (kind === "response") {
      await stored(store.delete(responseKey(id)));
      await stored(store.delete(`${RUNNING}${id}`));
    } else if (kind === "turn") await stored(store.delete(`kept/turn/${id}`));
    else {
      const bytes = await stored(store.get(conversationKey(id)));
      const touched_ms = bytes && recordOf<KeptConversation>(bytes).touched_ms;
      // One that was used since has a later entry.
      if (touched_ms !== undefined && touched_ms <= at_ms) await conversations.remove(id);
    }
    await stored(store.delete(key));
  }
}
