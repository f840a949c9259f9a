/**
 * Who may use this door: the rules of all keys by the hash of the key. One table a frontend, which
 * the watcher of the keys file changes while requests come.
 */
import { timingSafeEqual } from "node:crypto";
import { ApiError } from "../api/api-error.ts";
import { AllowedModels, type ServedModels } from "./allowed-models.ts";
import { hashOf, type KeyRule, ownerOf } from "./key-rule.ts";

type Entry = { readonly rule: KeyRule; readonly bytes: Buffer };

export class Access {
  readonly #given: readonly KeyRule[];
  #byHash: ReadonlyMap<string, Entry> = new Map();
  #byOwner: ReadonlyMap<string, KeyRule> = new Map();
  /** Made once a rule: each has its patterns. */
  readonly #allowed = new WeakMap<KeyRule, AllowedModels>();

  /** `given` stay; `filed` are those of the keys file, which may change. No keys: all may come. */
  constructor(given: readonly KeyRule[], filed: readonly KeyRule[] = []) {
    this.#given = given;
    this.replace(filed);
  }

  replace(filed: readonly KeyRule[]): void {
    // A key of the file has rules, so it counts before the same key given by a flag.
    const rules = [...this.#given, ...filed];
    const entry = (rule: KeyRule): [string, Entry] => [
      rule.hash,
      { rule, bytes: Buffer.from(rule.hash, "hex") },
    ];
    this.#byHash = new Map(rules.map(entry));
    this.#byOwner = new Map(rules.map((rule) => [ownerOf(rule.hash), rule]));
  }

  get required(): boolean {
    return this.#byHash.size > 0;
  }

  /**
   * Returns the owner of what the key's requests make; "" when no key is required.
   * @param key as a client sent it; undefined: it sent none
   * Throws ApiError (401).
   */
  check(key: string | undefined): string {
    if (this.#byHash.size === 0) return "";
    if (key === undefined) {
      throw refusal(
        "You didn't provide an API key. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
      );
    }
    const hash = hashOf(key);
    const presented = Buffer.from(hash, "hex");
    // The lookup goes by a hash that the client cannot choose, so its time says nothing of keys.
    const known = this.#byHash.get(hash)?.bytes ?? NO_KEY;
    if (!timingSafeEqual(known, presented)) {
      throw refusal(
        "This server does not know the API key that was sent. Send one that it was started with.",
      );
    }
    return ownerOf(hash);
  }

  /** For what a key left to be done later. Throws ApiError (401) when the key is gone. */
  checkOwner(owner: string): void {
    if (owner === "" || this.#byOwner.has(owner)) return;
    throw refusal("The API key that asked for this does not exist any more.");
  }

  /** Undefined: the key is gone, or there was none. */
  ruleOf(owner: string): KeyRule | undefined {
    return this.#byOwner.get(owner);
  }

  /** The models that an owner may use: `all`, where its key has no list. */
  modelsOf(owner: string, all: ServedModels): ServedModels {
    const rule = this.#byOwner.get(owner);
    if (rule?.models === undefined) return all;
    const known = this.#allowed.get(rule);
    if (known?.all === all) return known;
    const allowed = new AllowedModels(all, rule.models);
    this.#allowed.set(rule, allowed);
    return allowed;
  }
}

/** No SHA-256 of anything that is known. */
const NO_KEY = Buffer.alloc(32);

/** The key that a request has: X-API-Key counts where no bearer is named. Undefined: none. */
export function keyIn(authorization: string | null, key: string | null): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
  return bearer ?? (key?.trim() || undefined);
}

const refusal = (message: string) =>
  new ApiError(401, "invalid_api_key", message, null, { "WWW-Authenticate": "Bearer" });
