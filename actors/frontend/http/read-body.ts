/**
 * HTTP body → JSON value, within bounds: bytes, time, nesting and number of values. Every fault of
 * a body becomes an ApiError. A hostile body costs the process little time and memory.
 */
import type { Clock } from "../../../runtime/capabilities.ts";
import { ApiError, bodyTooLarge, clip, halfPair } from "../api/api-error.ts";
import { pathText } from "../api/check-body.ts";
import type { HeldBody } from "./body-budget.ts";

export type BodyLimits = {
  readonly body_bytes: number;
  /** From the headers to the last byte of the body. */
  readonly body_ms: number;
};

/** JSON.parse takes seconds for millions of brackets, so brackets are counted before it runs. */
const NESTING_LIMIT = 64;
const VALUES_LIMIT = 2_000_000;
/** A key costs far more time and memory than a value. */
const KEYS_LIMIT = 200_000;
/** Names of one object. One with 190,000 different names holds JSON.parse up for 0.1 s. */
const OBJECT_KEYS_LIMIT = 16_384;
/**
 * A body up to this size is read at once and counted when all of it is there, because a connection
 * alone costs as much memory. A longer body is counted while it comes. Its announced length is not
 * counted, or a client that announces much and sends nothing would keep others out.
 */
const WHOLE_BYTES = 16_384;
/** Below this size a body cannot nest or hold enough to matter. */
const UNSCANNED_BYTES = 16_384;
/** A shorter body is parsed in one go, which takes a few milliseconds. */
const LONG_BYTES = 262_144;

export async function readJson(
  request: Request,
  limits: BodyLimits,
  clock: Clock,
  held: Pick<HeldBody, "take">,
): Promise<unknown> {
  checkJsonType(request.headers.get("content-type"));
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new ApiError(
      415,
      "unsupported_encoding",
      "Compressed request bodies are not read; send the JSON as it is.",
    );
  }
  const bytes = await withinTime(
    readBytes(request, limits.body_bytes, held),
    limits.body_ms,
    clock,
  );
  return bytes.byteLength < LONG_BYTES ? parseJson(bytes) : await parseLong(bytes, clock);
}

/**
 * Throws ApiError (415) for a body that does not say it is JSON. A browser
 * lets pages of any site send other types; for JSON it asks this server first.
 */
export function checkJsonType(type: string | null): void {
  if (type === "application/json") return;
  const essence = (type ?? "").split(";", 1)[0]!.trim().toLowerCase();
  if (/^application\/(?:[\w.!#$&^-]+\+)?json$/.test(essence)) return;
  const said = type === null ? "The request has no Content-Type" : `'${clip(type)}' is not JSON`;
  throw new ApiError(
    415,
    "unsupported_media_type",
    `${said}; the body must be JSON and say so: -H 'content-type: application/json'.`,
    "Content-Type",
  );
}

type Held = Pick<HeldBody, "take">;

async function readBytes(request: Request, limit_bytes: number, held: Held): Promise<Uint8Array> {
  const length = request.headers.get("content-length");
  if (length === null) return readUntil(request, limit_bytes, held);
  const announced_bytes = Number(length);
  // A body that is too long is refused before any of it is read.
  if (!(announced_bytes <= limit_bytes)) throw bodyTooLarge(limit_bytes);
  if (announced_bytes > WHOLE_BYTES) return readUntil(request, limit_bytes, held);
  const bytes = await request.bytes();
  held.take(bytes.byteLength);
  return bytes;
}

/** Reads a long body, or one without Content-Length, and counts it while it comes. */
async function readUntil(request: Request, limit_bytes: number, held: Held): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  let whole = new Uint8Array();
  let size_bytes = 0;
  const reader = request.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const more_bytes = value.byteLength;
    try {
      if (size_bytes + more_bytes > limit_bytes) throw bodyTooLarge(limit_bytes);
      held.take(more_bytes);
    } catch (error) {
      void reader.cancel().catch(() => {});
      throw error;
    }
    if (size_bytes === 0) whole = value;
    else whole = appended(whole, size_bytes, value);
    size_bytes += more_bytes;
  }
  return whole.subarray(0, size_bytes);
}

/** Appends to one buffer, which grows by doubling; a list could have a part for each byte. */
function appended(
  whole: Uint8Array<ArrayBuffer>,
  size_bytes: number,
  part: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const end = size_bytes + part.byteLength;
  const grown = end <= whole.byteLength ? whole : new Uint8Array(Math.max(end, 2 * size_bytes));
  if (grown !== whole) grown.set(whole.subarray(0, size_bytes));
  grown.set(part, size_bytes);
  return grown;
}

function withinTime(
  reading: Promise<Uint8Array>,
  limit_ms: number,
  clock: Clock,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limit_ms, () => {
      reject(
        new ApiError(
          408,
          "request_timeout",
          "The request body did not arrive in time. Send it again.",
          null,
          {
            Connection: "close",
          },
        ),
      );
    });
    reading.then(
      (bytes) => {
        clock.cancel(timer);
        resolve(bytes);
      },
      (error: unknown) => {
        clock.cancel(timer);
        reject(error instanceof ApiError ? error : cutShort());
      },
    );
  });
}

const cutShort = () =>
  new ApiError(
    400,
    "invalid_body",
    "The request body ended before it was complete. Send it again.",
  );

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Bytes → JSON value. A byte order mark is skipped. Throws ApiError (400). */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) {
    throw new ApiError(400, "invalid_json", "The request body is empty; send a JSON object.");
  }
  if (bytes.byteLength > UNSCANNED_BYTES) checkStructure(bytes);
  const text = decoded(bytes);
  const value = jsonOf(text);
  // UTF-8 cannot hold half of a surrogate pair, but a JSON escape can.
  if (SURROGATE.test(text)) checkPairs(value);
  return value;
}

/** The same, with other requests between its parts. Rejects with ApiError (400). */
async function parseLong(bytes: Uint8Array, clock: Clock): Promise<unknown> {
  const turn = () => new Promise<void>((resolve) => clock.defer(resolve));
  checkStructure(bytes);
  await turn();
  const text = decoded(bytes);
  await turn();
  const value = jsonOf(text);
  await turn();
  if (SURROGATE.test(text)) checkPairs(value);
  await turn();
  return value;
}

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new ApiError(
      400,
      "invalid_utf8",
      "The request body is not valid UTF-8. Encode its text as UTF-8.",
    );
  }
}

const SURROGATE = /\\u[dD][89a-fA-F]/;

/** Throws ApiError (400) for half a surrogate pair in any text of it, names too. */
function checkPairs(value: unknown): void {
  const path = halfPairIn(value, 0);
  if (path !== undefined) throw halfPair(pathText(path));
}

/** The path to the half pair; undefined: there is none. A name that holds one is not shown. */
function halfPairIn(value: unknown, depth: number): PropertyKey[] | undefined {
  if (typeof value === "string") return value.isWellFormed() ? undefined : [];
  if (typeof value !== "object" || value === null) return undefined;
  if (depth >= NESTING_LIMIT) throw tooComplex(`nested deeper than ${NESTING_LIMIT} levels`);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) {
      const path = halfPairIn(value[i], depth + 1);
      if (path !== undefined) return [i, ...path];
    }
    return undefined;
  }
  for (const name of Object.keys(value)) {
    if (!name.isWellFormed()) return [];
    const path = halfPairIn((value as Record<string, unknown>)[name], depth + 1);
    if (path !== undefined) return [name, ...path];
  }
  return undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const why = error instanceof Error ? clip(error.message) : "not JSON";
    throw new ApiError(
      400,
      "invalid_json",
      `The request body is not valid JSON: ${why}. Send one JSON object.`,
    );
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/** Counts brackets, commas and colons outside strings. Throws ApiError (400) beyond the limits. */
export function checkStructure(bytes: Uint8Array): void {
  let depth = 0;
  let values = 0;
  let keys = 0;
  /** Names so far, of the object that is open at each depth. */
  const names = new Int32Array(NESTING_LIMIT + 1);
  const end = bytes.byteLength;
  for (let i = 0; i < end; i += 1) {
    const byte = bytes[i]!;
    if (byte === QUOTE) {
      i = endOfString(bytes, i + 1);
    } else if (byte === COMMA) {
      values += 1;
      if (values > VALUES_LIMIT) throw tooComplex(`of more than ${VALUES_LIMIT} values`);
    } else if (byte === COLON) {
      keys += 1;
      if (keys > KEYS_LIMIT) throw tooComplex(`of more than ${KEYS_LIMIT} keys`);
      const own = depth < 0 ? 0 : ++names[depth]!;
      if (own > OBJECT_KEYS_LIMIT) {
        throw tooComplex(`of an object with more than ${OBJECT_KEYS_LIMIT} keys`);
      }
    } else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      if (depth > NESTING_LIMIT) throw tooComplex(`nested deeper than ${NESTING_LIMIT} levels`);
      names[depth] = 0;
    } else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1;
    }
  }
}

/** Index of the closing quote, or of the end. Most bytes of a long body are inside strings. */
function endOfString(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const close = bytes.indexOf(QUOTE, at);
    if (close < 0) return bytes.byteLength;
    let slashes = 0;
    while (close - slashes - 1 >= from && bytes[close - slashes - 1] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return close;
    at = close + 1;
  }
}

const tooComplex = (what: string) =>
  new ApiError(
    400,
    "invalid_json",
    `The request body is ${what}; nothing here needs that. Send less at once.`,
  );
