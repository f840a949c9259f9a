/** Values of a replay's flags. All throw UsageError with the flag's name. */

export class UsageError extends Error {}

export function number(flag: string, text: string): number {
  const value = Number(text);
  if (text !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new UsageError(`${flag} must be a number from 0 on, not "${text}"`);
}

export function positive(flag: string, text: string): number {
  const value = number(flag, text);
  if (value > 0) return value;
  throw new UsageError(`${flag} must be above 0`);
}

/** A limit that is not given limits nothing. */
export function limit(flag: string, text: string): number | undefined {
  return text === "" ? undefined : positive(flag, text);
}

export function whole(flag: string, text: string): number {
  const value = number(flag, text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(`${flag} must be a whole number from 1 on, not "${text}"`);
}
