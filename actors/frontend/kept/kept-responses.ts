/** Responses in the store: begun, ended once, read by their key alone. Rejects with ApiError. */
import type { Store } from "../../../runtime/capabilities.ts";
import { ApiError, clip } from "../api/api-error.ts";
import { stored } from "../api/stored.ts";
import {
  ageKey,
  bytesOf,
  CANCEL,
  type Item,
  type KeptResponse,
  RUNNING,
  recordOf,
  responseKey,
} from "./kept-record.ts";

/** A write of more would hold the process up for too long. */
const RECORD_BYTES_MAX = 4 * 1024 * 1024;
const LIST_MAX = 1_000;

export type Ended = {
  readonly response: Item;
  readonly deltas: readonly number[];
};

export class KeptResponses {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Rejects with ApiError: 413 for one that is too large, 503 where the store does not take it. */
  async begin(id: string, record: KeptResponse): Promise<void> {
    const bytes = bytesOf(record);
    if (bytes.length > RECORD_BYTES_MAX) throw tooLarge();
    await stored(
      (async () => {
        await this.#store.put(`${RUNNING}${id}`, bytesOf({ door: record.door }));
        await this.#store.put(this.#ageKey(id, record, bytes.length), EMPTY);
        await this.#store.put(responseKey(id), bytes);
      })(),
    );
  }

  /** undefined: there is none, or another key made it. */
  async get(owner: string, id: string): Promise<KeptResponse | undefined> {
    const record = await this.read(id);
    return record?.owner === owner ? record : undefined;
  }

  /** Whoever made it. */
  async read(id: string): Promise<KeptResponse | undefined> {
    const bytes = await stored(this.#store.get(responseKey(id)));
    return bytes && recordOf<KeptResponse>(bytes);
  }

  /** As it is afterwards. Of several that end it, the first one does; the others change nothing. */
  async end(id: string, { response, deltas }: Ended): Promise<KeptResponse | undefined> {
    const change = (was: KeptResponse): KeptResponse => ({
      ...was,
      ...{ state: "final", door: "", response, deltas, again: undefined },
    });
    const after = await this.#change(id, change);
    await stored(this.#store.delete(`${RUNNING}${id}`));
    return after;
  }

  /** This door goes on with it, unless another one does or it has ended. */
  async adopt(id: string, from: string, door: string): Promise<boolean> {
    const after = await this.#change(id, (was) => (was.door === from ? { ...was, door } : was));
    if (after?.state !== "running" || after.door !== door) return false;
    await stored(this.#store.put(`${RUNNING}${id}`, bytesOf({ door })));
    return true;
  }

  /** It is made anew: once less may it be in future. */
  async countAgain(id: string): Promise<void> {
    await this.#change(id, ({ again, ...was }) =>
      again === undefined ? was : { ...was, again: { ...again, left: again.left - 1 } },
    );
  }

  async delete(id: string, record: KeptResponse): Promise<void> {
    const bytes = bytesOf(record).length;
    await stored(
      (async () => {
        await this.#store.delete(responseKey(id));
        await this.#store.delete(`${RUNNING}${id}`);
        await this.#store.delete(this.#ageKey(id, record, bytes));
      })(),
    );
  }

  /** It is not made any more, whatever the list says. */
  async forgetRunning(id: string): Promise<void> {
    await stored(this.#store.delete(`${RUNNING}${id}`));
  }

  /** Ids and doors of those that are made now. */
  async running(): Promise<readonly { readonly id: string; readonly door: string }[]> {
    const keys = await stored(this.#store.list(RUNNING, LIST_MAX));
    const found: { id: string; door: string }[] = [];
    for (const key of keys) {
      const bytes = await stored(this.#store.get(key));
      if (bytes === undefined) continue;
      found.push({ id: key.slice(RUNNING.length), ...recordOf<{ door: string }>(bytes) });
    }
    return found;
  }

  /** Its door is to end it, whichever that is. */
  async askCancel(id: string): Promise<void> {
    await stored(this.#store.put(`${CANCEL}${id}`, EMPTY));
  }

  async cancelAsked(): Promise<readonly string[]> {
    const keys = await stored(this.#store.list(CANCEL, LIST_MAX));
    return keys.map((key) => key.slice(CANCEL.length));
  }

  async cancelDone(id: string): Promise<void> {
    await stored(this.#store.delete(`${CANCEL}${id}`));
  }

  #ageKey(id: string, { created_ms }: KeptResponse, bytes: number): string {
    return ageKey({ at_ms: created_ms, kind: "response", bytes, id });
  }

  /** undefined: it is gone. A record that is final stays as it is. */
  async #change(
    id: string,
    change: (was: KeptResponse) => KeptResponse,
  ): Promise<KeptResponse | undefined> {
    for (;;) {
      const was_bytes = await stored(this.#store.get(responseKey(id)));
      if (was_bytes === undefined) return undefined;
      const was = recordOf<KeptResponse>(was_bytes);
      if (was.state === "final") return was;
      const record = change(was);
      const bytes = bytesOf(record);
      if (!(await stored(this.#store.replace(responseKey(id), was_bytes, bytes)))) continue;
      if (bytes.length !== was_bytes.length) {
        await stored(this.#store.put(this.#ageKey(id, record, bytes.length), EMPTY));
        await stored(this.#store.delete(this.#ageKey(id, was, was_bytes.length)));
      }
      return record;
    }
  }
}

const EMPTY = new Uint8Array(0);

const tooLarge = () =>
  new ApiError(
    413,
    "response_too_large",
    `A stored response has at most ${RECORD_BYTES_MAX} bytes, input and instructions included. Send ` +
      "'store': false, or less at once.",
    "input",
  );

export const noResponse = (id: string, param: string | null = null) =>
  new ApiError(
    param === null ? 404 : 400,
    param === null ? "response_not_found" : "previous_response_not_found",
    `There is no response '${clip(id)}' here: it never was, it was deleted or is too old, it was not ` +
      "stored, or another API key made it.",
    param,
  );
