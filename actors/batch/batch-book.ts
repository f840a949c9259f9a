/**
 * The batches of all owners as records. Keys:
 *
 *   batch/ID/made, batch/ID/state, batch/ID/cancel   the records of batch-record.ts
 *   batches/OWNER/TIME COUNTED DOWN/ID               the newest first
 *   live-batch/ID                                    not over yet: a runner's work
 *   over-batch/TIME/ID                               what is forgotten one day
 */
import type { Clock, Random, Store } from "../../runtime/capabilities.ts";
import { countedDown, hexTime, type Page, timedId, timeOf } from "../files/files.ts";
import { BATCH_PREFIX, type BatchMade, type BatchState, newState } from "./batch-record.ts";

export type Batch = {
  readonly made: BatchMade;
  readonly state: BatchState;
  /** The state as the store has it; undefined: it has none yet. */
  readonly state_bytes: Uint8Array | undefined;
  /** Unix seconds; undefined: nobody cancels it. */
  readonly cancel_s: number | undefined;
};

export type BookParts = {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
};

/** Batches that are over stay that long. */
const KEPT_MS = 30 * 86_400_000;
const FORGOTTEN_AT_ONCE = 64;
const LIVE = "live-batch/";
const OVER = "over-batch/";

export class BatchBook {
  readonly #parts: BookParts;
  /** Called when this process has made or cancelled a batch. */
  onChange: () => void = () => {};

  constructor(parts: BookParts) {
    this.#parts = parts;
  }

  newId(): string {
    return timedId(BATCH_PREFIX, this.#parts.clock.wall_ms(), this.#parts.random);
  }

  async make(made: BatchMade): Promise<Batch> {
    const { store } = this.#parts;
    await store.put(ownedKey(made.owner, made.id), NOTHING);
    await store.put(LIVE + made.id, NOTHING);
    // From here on it is there.
    await store.put(madeKey(made.id), jsonBytes(made));
    this.onChange();
    return { made, state: newState, state_bytes: undefined, cancel_s: undefined };
  }

  /** The owner's batch. */
  async get(owner: string, id: string): Promise<Batch | undefined> {
    const batch = await this.any(id);
    return batch?.made.owner === owner ? batch : undefined;
  }

  /** Whoever made it. */
  async any(id: string): Promise<Batch | undefined> {
    if (timeOf(id, BATCH_PREFIX) === undefined) return undefined;
    const made = await this.#read<BatchMade>(madeKey(id));
    if (made === undefined) return undefined;
    const [state_bytes, cancel_s] = await Promise.all([
      this.#parts.store.get(stateKey(id)),
      this.cancelled_s(id),
    ]);
    const state = state_bytes === undefined ? newState : (jsonOf(state_bytes) as BatchState);
    return { made, state, state_bytes, cancel_s };
  }

  /** The newest first, behind the batch `after`. */
  async list(owner: string, limit: number, after?: string): Promise<Page<Batch>> {
    const items: Batch[] = [];
    let behind = after === undefined ? undefined : ownedKey(owner, after);
    for (;;) {
      const keys = await this.#parts.store.list(ownedPrefix(owner), limit + 1, behind);
      for (const key of keys) {
        const batch = await this.get(owner, key.slice(key.lastIndexOf("/") + 1));
        if (batch === undefined) continue;
        if (items.length === limit) return { items, has_more: true };
        items.push(batch);
      }
      behind = keys.at(-1);
      if (keys.length <= limit || behind === undefined) return { items, has_more: false };
    }
  }

  async cancel(id: string): Promise<void> {
    const { store, clock } = this.#parts;
    await store.create(cancelKey(id), jsonBytes(Math.floor(clock.wall_ms() / 1_000)));
    this.onChange();
  }

  cancelled_s(id: string): Promise<number | undefined> {
    return this.#read<number>(cancelKey(id));
  }

  // ---- the runner's ----------------------------------------------------------------------------

  /** Ids of batches that are not over, the oldest first. */
  async live(limit: number): Promise<readonly string[]> {
    const keys = await this.#parts.store.list(LIVE, limit);
    return keys.map((key) => key.slice(LIVE.length));
  }

  /**
   * Puts a state in the place of `was`. Returns its bytes; undefined: another process has changed
   * the state meanwhile.
   */
  async putState(
    id: string,
    was: Uint8Array | undefined,
    state: BatchState,
  ): Promise<Uint8Array | undefined> {
    const { store } = this.#parts;
    const bytes = jsonBytes(state);
    const key = stateKey(id);
    const put = was === undefined ? store.create(key, bytes) : store.replace(key, was, bytes);
    return (await put) ? bytes : undefined;
  }

  async over(id: string): Promise<void> {
    const { store, clock } = this.#parts;
    await store.put(`${OVER}${hexTime(clock.wall_ms())}/${id}`, NOTHING);
    await this.noLonger(id);
  }

  noLonger(id: string): Promise<void> {
    return this.#parts.store.delete(LIVE + id);
  }

  /** Forgets batches that were over long ago. Some at a time. */
  async sweep(): Promise<void> {
    const { store, clock } = this.#parts;
    for (const key of await store.list(OVER, FORGOTTEN_AT_ONCE)) {
      const [time = "", id = ""] = key.slice(OVER.length).split("/");
      if (Number.parseInt(time, 16) + KEPT_MS > clock.wall_ms()) return;
      const made = await this.#read<BatchMade>(madeKey(id));
      await store.delete(madeKey(id));
      if (made !== undefined) await store.delete(ownedKey(made.owner, id));
      await store.delete(stateKey(id));
      await store.delete(cancelKey(id));
      await store.delete(key);
    }
  }

  async #read<T>(key: string): Promise<T | undefined> {
    const bytes = await this.#parts.store.get(key);
    return bytes === undefined ? undefined : (jsonOf(bytes) as T);
  }
}

const NOTHING = new Uint8Array(0);
const decoder = new TextDecoder();
const jsonOf = (bytes: Uint8Array): unknown => JSON.parse(decoder.decode(bytes));
const jsonBytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

const madeKey = (id: string) => `batch/${id}/made`;
const stateKey = (id: string) => `batch/${id}/state`;
const cancelKey = (id: string) => `batch/${id}/cancel`;
const ownedPrefix = (owner: string) => `batches/${owner === "" ? "-" : owner}/`;
const ownedKey = (owner: string, id: string) =>
  `${ownedPrefix(owner)}${countedDown(timeOf(id, BATCH_PREFIX) ?? 0)}/${id}`;
