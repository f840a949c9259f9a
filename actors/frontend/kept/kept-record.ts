/**
 * What the store holds of responses and conversations, as JSON, and under which keys.
 *
 *     kept/response/ID       a response, running or at its end
 *     kept/running/ID        those that a door makes now
 *     kept/cancel/ID         those that their door is to end
 *     kept/door/DOOR         until when a door is taken for alive
 *     kept/conversation/ID   a conversation; kept/turn/ID/TIME… its items, as they came
 *     kept/age/TIME/KIND/BYTES/ID   when each of them came, for what is to be removed
 */
export type Item = Readonly<Record<string, unknown>>;

export type KeptResponse = {
  /** Short name of the API key that made it; "" where none is needed. */
  readonly owner: string;
  readonly created_ms: number;
  /** `final`: nothing changes any more. */
  readonly state: "running" | "final";
  /** The door that makes it. */
  readonly door: string;
  readonly background: boolean;
  /** As clients see it. */
  readonly response: Item;
  /** Items of the request, each with an id. */
  readonly input: readonly Item[];
  /** The length of each delta, by which the same events can be written again. */
  readonly deltas: readonly number[];
  /** While it runs, of one in the background that nobody reads as it comes: how to make it anew. */
  readonly again?: MadeAgain | undefined;
};

export type MadeAgain = {
  readonly dialect: string;
  /** As the client sent it. */
  readonly body: object;
  /** How often it may still be made anew: it may be what ends its servers. */
  readonly left: number;
};

export type KeptConversation = {
  readonly owner: string;
  readonly created_ms: number;
  /** When items were added last. */
  readonly touched_ms: number;
  readonly metadata: Readonly<Record<string, string>>;
};

export const responseKey = (id: string): string => `kept/response/${id}`;
export const RUNNING = "kept/running/";
export const CANCEL = "kept/cancel/";
export const doorKey = (door: string): string => `kept/door/${door}`;
export const conversationKey = (id: string): string => `kept/conversation/${id}`;
export const turnsPrefix = (conversation: string): string => `kept/turn/${conversation}/`;
export const AGES = "kept/age/";

export type Aged = {
  readonly key: string;
  readonly at_ms: number;
  readonly kind: "response" | "conversation" | "turn";
  readonly bytes: number;
  /** Of a turn: its key behind `kept/turn/`. */
  readonly id: string;
};

/** Digits of a time in ms; enough until the year 5138. */
const TIME_DIGITS = 14;

export const timeText = (at_ms: number): string =>
  String(Math.floor(at_ms)).padStart(TIME_DIGITS, "0");

export const ageKey = ({ at_ms, kind, bytes, id }: Omit<Aged, "key">): string =>
  `${AGES}${timeText(at_ms)}/${kind}/${bytes}/${id}`;

/** undefined for a key of another release. */
export function agedOf(key: string): Aged | undefined {
  const match = /^kept\/age\/(\d+)\/(response|conversation|turn)\/(\d+)\/(.+)$/.exec(key);
  if (match === null) return undefined;
  const [, at = "", kind, bytes = "", id = ""] = match;
  return { key, at_ms: Number(at), kind: kind as Aged["kind"], bytes: Number(bytes), id };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const bytesOf = (record: object): Uint8Array => encoder.encode(JSON.stringify(record));
/** Records are this release's own: they are not checked again. */
export const recordOf = <T>(bytes: Uint8Array): T => JSON.parse(decoder.decode(bytes)) as T;
