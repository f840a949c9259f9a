/** What the server knows of one key: never the key itself, only its hash. */
import { createHash } from "node:crypto";
import type { KeyLimits } from "../../../proto/index.ts";

export type KeyRule = {
  /** For people, metrics and counts; "" for a key that has no name of its own. */
  readonly name: string;
  /** SHA-256, 64 hex digits. */
  readonly hash: string;
  /** Names of models that it may use, `*` stands for any part; undefined: all. */
  readonly models?: readonly string[] | undefined;
  /** Undefined: none. */
  readonly limits?: KeyLimits | undefined;
  /** Of the router, in place of what its requests ask for. */
  readonly policy_class?: string | undefined;
  readonly strict_priority?: number | undefined;
};

const HASHED = /^sha256:([\da-f]{64})$/i;

export const hashOf = (key: string): string =>
  createHash("sha256").update(key, "utf8").digest("hex");

/** `text`: the key, or `sha256:` and its hash. */
export const keyHash = (text: string): string =>
  HASHED.exec(text)?.[1]?.toLowerCase() ?? hashOf(text);

/** As `--api-key` gives it: without a name and without limits. */
export const plainKey = (text: string): KeyRule => ({ name: "", hash: keyHash(text) });

/** Owner of all that a key asked for: it stays the same when the key's rule changes. */
export const ownerOf = (hash: string): string => hash.slice(0, 16);
