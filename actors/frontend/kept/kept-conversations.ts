/** Conversations in the store: their items, a record for each time that some were added. */
import type { Clock, Random, Store } from "../../../runtime/capabilities.ts";
import { ApiError, clip } from "../api/api-error.ts";
import { stored } from "../api/stored.ts";
import { pause } from "../pause.ts";
import {
  ageKey,
  bytesOf,
  conversationKey,
  type Item,
  type KeptConversation,
  recordOf,
  timeText,
  turnsPrefix,
} from "./kept-record.ts";

/** Times that items can be added to one conversation. */
const TURNS_MAX = 4_096;
const TURN_BYTES_MAX = 4 * 1024 * 1024;
const CHARS_MAX = 16 * 1024 * 1024;
const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

type Turn = { readonly key: string; readonly bytes: Uint8Array; readonly items: readonly Item[] };

export type ConversationParts = {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
};

export class KeptConversations {
  readonly #parts: ConversationParts;

  constructor(parts: ConversationParts) {
    this.#parts = parts;
  }

  async create(
    owner: string,
    id: string,
    metadata: KeptConversation["metadata"],
  ): Promise<KeptConversation> {
    const created_ms = this.#parts.clock.wall_ms();
    const record: KeptConversation = { owner, created_ms, touched_ms: created_ms, metadata };
    await this.#put(id, record);
    return record;
  }

  /** `param`: the field that names it; null: the path does. Rejects with ApiError. */
  async get(owner: string, id: string, param: string | null = null): Promise<KeptConversation> {
    const bytes = await stored(this.#parts.store.get(conversationKey(id)));
    const record = bytes && recordOf<KeptConversation>(bytes);
    if (record === undefined || record.owner !== owner) throw noConversation(id, param);
    return record;
  }

  async update(owner: string, id: string, metadata: KeptConversation["metadata"]) {
    const was = await this.get(owner, id);
    const record = { ...was, metadata };
    await stored(this.#parts.store.put(conversationKey(id), bytesOf(record)));
    return record;
  }

  async delete(owner: string, id: string): Promise<void> {
    await this.get(owner, id);
    await this.remove(id);
  }

  /** Whoever made it. */
  async remove(id: string): Promise<void> {
    const { store } = this.#parts;
    await stored(store.delete(conversationKey(id)));
    for (;;) {
      const keys = await stored(store.list(turnsPrefix(id), 256));
      for (const key of keys) await stored(store.delete(key));
      if (keys.length < 256) return;
      await pause(this.#parts.clock, 1);
    }
  }

  async itemsOf(owner: string, id: string, param: string | null = null): Promise<readonly Item[]> {
    await this.get(owner, id, param);
    return (await this.#turns(id)).flatMap(({ items }) => items);
  }

  /** Adds items, which have ids. Rejects with ApiError where it is full. */
  async add(owner: string, id: string, items: readonly Item[]): Promise<void> {
    const was = await this.get(owner, id);
    if (items.length === 0) return;
    const { store, clock, random } = this.#parts;
    const bytes = encoder.encode(JSON.stringify(items));
    const turns = await stored(store.list(turnsPrefix(id), TURNS_MAX));
    if (turns.length >= TURNS_MAX || bytes.length > TURN_BYTES_MAX) throw isFull(id);
    const now_ms = clock.wall_ms();
    // After the last one, whatever the clock of another machine said.
    const last = Number(turns.at(-1)?.slice(turnsPrefix(id).length).split("-", 1)[0] ?? 0);
    const at = timeText(Math.max(now_ms, last + 1));
    const turn = `${id}/${at}-${random.u32().toString(36)}`;
    await stored(store.put(`kept/turn/${turn}`, bytes));
    const aged = { at_ms: now_ms, kind: "turn", bytes: bytes.length, id: turn } as const;
    await stored(store.put(ageKey(aged), EMPTY));
    await this.#put(id, { ...was, touched_ms: now_ms });
  }

  /** False: it has no such item. */
  async removeItem(owner: string, id: string, item: string): Promise<boolean> {
    await this.get(owner, id);
    const { store } = this.#parts;
    for (const { key, bytes, items } of await this.#turns(id)) {
      const left = items.filter((each) => each["id"] !== item);
      if (left.length === items.length) continue;
      await stored(store.replace(key, bytes, encoder.encode(JSON.stringify(left))));
      return true;
    }
    return false;
  }

  async #turns(id: string): Promise<readonly Turn[]> {
    const { store } = this.#parts;
    const turns: Turn[] = [];
    let chars = 0;
    for (const key of await stored(store.list(turnsPrefix(id), TURNS_MAX))) {
      const bytes = await stored(store.get(key));
      if (bytes === undefined) continue;
      chars += bytes.length;
      if (chars > CHARS_MAX) throw isFull(id);
      turns.push({ key, bytes, items: recordOf<readonly Item[]>(bytes) });
    }
    return turns;
  }

  async #put(id: string, record: KeptConversation): Promise<void> {
    const { store } = this.#parts;
    const bytes = bytesOf(record);
    const { touched_ms: at_ms } = record;
    await stored(
      store.put(ageKey({ at_ms, kind: "conversation", bytes: bytes.length, id }), EMPTY),
    );
    await stored(store.put(conversationKey(id), bytes));
  }
}

const noConversation = (id: string, param: string | null) =>
  new ApiError(
    param === null ? 404 : 400,
    "conversation_not_found",
    `There is no conversation '${clip(id)}' here: it never was, it was deleted or is too old, or ` +
      "another API key made it.",
    param,
  );

const isFull = (id: string) =>
  new ApiError(
    400,
    "conversation_full",
    `The conversation '${clip(id)}' holds ${TURNS_MAX} turns or ${CHARS_MAX} bytes, or is to get more ` +
      "than 4 MiB at once. Begin another one.",
    "conversation",
  );
