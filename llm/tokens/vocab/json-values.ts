/** Values out of JSON files that somebody else wrote: of any type until they are looked at. */
export type Json = Readonly<Record<string, unknown>>;

/** No model has a tenth of that: a file that says so is damaged. */
export const MAX_TOKENS = 4_000_000;

export function objectOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Json)
    : {};
}

export function isTokenId(id: unknown): id is number {
  return typeof id === "number" && Number.isInteger(id) && id >= 0 && id < MAX_TOKENS;
}

/** A count in config.json; of a model with several parts the text part's. */
export function configNumber(config: Json, key: string): number | undefined {
  for (const part of [config, objectOf(config["text_config"])]) {
    const value = part[key];
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  }
  return undefined;
}
