/**
 * The ids that clients keep. A request's id has 96 random bits, so that it cannot be guessed, and a
 * checksum of 32 bits, so that a made-up id is refused before any worker is asked for it. The id of
 * an event says what the client has, and which worker is likely to have the rest:
 *
 *     REQUEST:3f.2@1kQ
 *             │  │ ││└─ hint of the worker      one of these for each prompt, joined by dots
 *             │  │ │└── the attempt whose tokens these are
 *             │  └─┘
 *             └── delivered tokens of each choice; f: its end was told, b: its first chunk was,
 *                 p1: so was the first event of what comes next
 *                 (behind them u: usage was told, d: [DONE] was)
 *
 * Clients are told to treat it as opaque.
 */
import type { Random } from "../../../runtime/capabilities.ts";

export function newRequestId(random: Random): string {
  const bytes = Buffer.allocUnsafe(16);
  for (let at = 0; at < 12; at += 4) bytes.writeUInt32LE(random.u32(), at);
  return sealed(bytes);
}

/** 16 bytes, the first 12 of which count, as an id. */
export function sealed(bytes: Buffer): string {
  bytes.writeUInt32LE(checksum(bytes), 12);
  return bytes.toString("base64url");
}

/** 16 bytes in base64url, whose last letter has two bits. */
const ID_PATTERN = /^[\w-]{21}[AQgw]$/;

/** Whether a door made this id. It does not say whether there is an answer. */
export function isRequestId(text: string): boolean {
  if (!ID_PATTERN.test(text)) return false;
  const bytes = Buffer.from(text, "base64url");
  return bytes.readUInt32LE(12) === checksum(bytes);
}

/** Checksum of the first 12 bytes, by word, as in MurmurHash3. */
function checksum(bytes: Buffer): number {
  let hash = 0x54726f75;
  for (let at = 0; at < 12; at += 4) {
    hash ^= Math.imul(bytes.readUInt32LE(at), 0xcc9e2d51);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

export type ChoiceCursor = {
  readonly delivered: number;
  readonly begun: boolean;
  readonly ended: boolean;
  /** Events that the client has of the next piece, or of the end, which has more of them. */
  readonly parts: number;
};

/** For one prompt: which attempt the client has tokens of, and which worker made them. */
export type PlaceHint = { readonly attempt: number; readonly worker_hint: string };

export type StreamCursor = {
  readonly request: string;
  /** By choice over the whole request; empty: nothing at all. */
  readonly choices: readonly ChoiceCursor[];
  readonly usage_told: boolean;
  /** The client has the whole answer. */
  readonly done: boolean;
  /** By prompt. */
  readonly places: readonly PlaceHint[];
};

export const startOf = (request: string): StreamCursor => ({
  request,
  choices: [],
  usage_told: false,
  done: false,
  places: [],
});

const EVENT_PATTERN = /^([\w-]{1,128}):([\dbfp.]+)(u?)(d?)(?:@([\w.-]+))?$/;
const CHOICE_PATTERN = /^(\d{1,9})(?:f|(b?)(?:p(\d{1,4}))?)$/;
const PLACE_PATTERN = /^\d{1,9}[\w-]{2}$/;
/** Most choices or prompts in an event id; more than a request may have. */
const PARTS_LIMIT = 256;

/** undefined: no event of ours has this id. */
export function parseEventId(text: string): StreamCursor | undefined {
  const match = EVENT_PATTERN.exec(text);
  if (match === null) return undefined;
  const [, request = "", counts = "", usage, done, place] = match;
  const choices = counts.split(".", PARTS_LIMIT);
  const places = place === undefined ? [] : place.split(".", PARTS_LIMIT);
  const cursors: ChoiceCursor[] = [];
  for (const part of choices) {
    const cursor = choiceCursor(part);
    if (cursor === undefined) return undefined;
    cursors.push(cursor);
  }
  if (!places.every((part) => PLACE_PATTERN.test(part))) return undefined;
  return {
    request,
    choices: cursors,
    usage_told: usage === "u",
    done: done === "d",
    places: places.map(placeHint),
  };
}

function choiceCursor(text: string): ChoiceCursor | undefined {
  const match = CHOICE_PATTERN.exec(text);
  if (match === null) return undefined;
  const [, tokens, flag, parts = "0"] = match;
  const delivered = Number(tokens);
  const ended = text.endsWith("f");
  return { delivered, begun: delivered > 0 || flag === "b" || ended, ended, parts: Number(parts) };
}

const placeHint = (text: string): PlaceHint => ({
  attempt: Number(text.slice(0, -2)),
  worker_hint: text.slice(-2),
});

export function choiceText({ delivered, begun, ended, parts }: ChoiceCursor): string {
  if (ended) return `${delivered}f`;
  const some = begun && delivered === 0 ? "0b" : String(delivered);
  return parts === 0 ? some : `${some}p${parts}`;
}

/** The last part of an event id; "" until all prompts have a worker. */
export function placesText(places: readonly (PlaceHint | undefined)[]): string {
  if (places.length === 0 || places.includes(undefined)) return "";
  return `@${places.map((place) => `${place?.attempt}${place?.worker_hint}`).join(".")}`;
}
