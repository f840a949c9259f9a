/** Checks that clients can send the keys; others would lock out every client, or none. */
import { SettingsError } from "./settings-error.ts";

/** Printed by --dump-config in place of a key, so it is public and no valid key. */
export const HIDDEN_KEY = "<hidden>";

/**
 * @param origin the setting that gave them, for the error
 * Throws SettingsError, which names a key by its place and never shows it.
 */
export function checkKeys(keys: readonly string[], origin: string): readonly string[] {
  for (const [index, key] of keys.entries()) {
    const wrong = wrongWith(key);
    if (wrong === undefined) continue;
    const which = keys.length === 1 ? "the key" : `key ${index + 1}`;
    throw new SettingsError(`${origin}: ${which} ${wrong}`);
  }
  return keys;
}

/** RFC 6750 sends a key as `Authorization: Bearer KEY`: visible ASCII without blanks. */
function wrongWith(key: string): string | undefined {
  if (key === "") return "is empty: give a key, or leave the setting out";
  if (key === HIDDEN_KEY) return `is ${HIDDEN_KEY}, what --dump-config shows instead of a key`;
  if (key !== key.trim()) return "begins or ends with a blank, which no client sends: remove it";
  if (/\s/.test(key)) return "has a blank in it, which no client can send: give one without";
  if (/[^\x21-\x7e]/.test(key)) {
    return "has a character beyond visible ASCII, which no HTTP header carries: give another key";
  }
  return undefined;
}
