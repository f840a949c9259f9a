/** What a request refers to, out of the store: earlier responses, a conversation, single items. */
import type { Clock } from "../../../runtime/capabilities.ts";
import { ApiError, clip } from "../api/api-error.ts";
import { pause } from "../pause.ts";
import { RESPONSE_PREFIX, requestOfItem } from "./item-ids.ts";
import type { KeptConversations } from "./kept-conversations.ts";
import type { Item, KeptResponse } from "./kept-record.ts";
import { type KeptResponses, noResponse } from "./kept-responses.ts";

/** Most responses in a row, and UTF-16 units of their items, about. */
const CHAIN_MAX = 1_024;
const CHAIN_CHARS_MAX = 16 * 1024 * 1024;
/** How long a response that is still made is waited for. */
const WAIT_MS = 5_000;
const LOOK_MS = 25;

export type KeptParts = {
  readonly clock: Clock;
  readonly responses: KeptResponses;
  readonly conversations: KeptConversations;
};

/** What was found for one request. */
export type Loaded = {
  /** Go before the request's own items. */
  readonly items: readonly Item[];
  /** The field that names them. */
  readonly param: string;
  /** The request's own input, with items in the place of references; undefined: as it was sent. */
  readonly input: readonly Item[] | undefined;
};

export class Earlier {
  readonly #parts: KeptParts;
  readonly #owner: string;

  constructor(parts: KeptParts, owner: string) {
    this.#parts = parts;
    this.#owner = owner;
  }

  /** All that went into a response and came out of it, oldest first. Rejects with ApiError. */
  async chain(id: string, param: string): Promise<readonly Item[]> {
    const turns: (readonly Item[])[] = [];
    let chars = 0;
    let next: unknown = id;
    while (typeof next === "string") {
      const { input, response } = await this.#ended(next, param);
      const output = response["output"] as readonly Item[];
      turns.push([...input, ...output]);
      chars += JSON.stringify(input).length + JSON.stringify(output).length;
      if (turns.length > CHAIN_MAX || chars > CHAIN_CHARS_MAX) throw tooLong(param);
      next = response["previous_response_id"];
    }
    return turns.reverse().flat();
  }

  conversation(id: string, param: string): Promise<readonly Item[]> {
    return this.#parts.conversations.itemsOf(this.#owner, id, param);
  }

  /** An item of a response or its request. Rejects with ApiError. */
  async item(id: string, param: string): Promise<Item> {
    const request = requestOfItem(id);
    const record =
      request === undefined
        ? undefined
        : await this.#parts.responses.get(this.#owner, RESPONSE_PREFIX + request);
    const output = (record?.response["output"] ?? []) as readonly Item[];
    const found = [...(record?.input ?? []), ...output].find((item) => item["id"] === id);
    if (found !== undefined) return found;
    throw new ApiError(
      400,
      "item_not_found",
      `'${param}' is '${clip(id)}', and no stored response of this API key has such an item.`,
      param,
    );
  }

  async #ended(id: string, param: string): Promise<KeptResponse> {
    const { clock, responses } = this.#parts;
    for (let waited_ms = 0; ; waited_ms += LOOK_MS) {
      const record = await responses.get(this.#owner, id);
      if (record === undefined) throw noResponse(id, param);
      if (record.state === "final") return record;
      if (waited_ms >= WAIT_MS) {
        throw new ApiError(
          400,
          "response_in_progress",
          `The response '${clip(id)}' is not at its end yet. Wait until its status is "completed".`,
          param,
        );
      }
      await pause(clock, LOOK_MS);
    }
  }
}

const tooLong = (param: string) =>
  new ApiError(
    400,
    "chain_too_long",
    `More than ${CHAIN_MAX} responses, or ${CHAIN_CHARS_MAX} characters of them, are linked by ` +
      `'${param}'. Begin anew, with what is still needed in 'input'.`,
    param,
  );
