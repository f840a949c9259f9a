/** Keys for /v1. They are kept as hashes and compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";
import { ApiError } from "../api/api-error.ts";

export class ApiKeys {
  readonly #hashes: readonly Buffer[];

  /** Without keys everybody may use /v1. */
  constructor(keys: readonly string[]) {
    this.#hashes = keys.map(hash);
  }

  get required(): boolean {
    return this.#hashes.length > 0;
  }

  /**
   * Returns a short name of the key, which owns the request; "" when none is required.
   * @param key the header X-API-Key, which counts where no bearer is named
   * Throws ApiError (401).
   */
  check(authorization: string | null, key: string | null = null): string {
    if (this.#hashes.length === 0) return "";
    const given = bearer(authorization) ?? key?.trim();
    if (given === undefined || given === "") {
      throw refusal(
        "You didn't provide an API key. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
      );
    }
    const presented = hash(given);
    let found = -1;
    // Every key is compared, so that the time does not tell which one matched.
    for (const [i, known] of this.#hashes.entries()) {
      if (timingSafeEqual(known, presented)) found = i;
    }
    if (found < 0)
      throw refusal(
        "This server does not know the API key that was sent. Send one that it was started with.",
      );
    return presented.toString("hex", 0, 8);
  }
}

/** One key a line; blank lines and lines that begin with # count for nothing. */
export function readKeyFile(text: string): readonly string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

const hash = (key: string): Buffer => createHash("sha256").update(key, "utf8").digest();

function bearer(authorization: string | null): string | undefined {
  const match = /^Bearer +(\S+) *$/i.exec(authorization ?? "");
  return match?.[1];
}

const refusal = (message: string) =>
  new ApiError(401, "invalid_api_key", message, null, { "WWW-Authenticate": "Bearer" });
