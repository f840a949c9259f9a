/** Values of a replay's flags. All throw UsageError with the flag's name. */
import { closeSync, existsSync, openSync, rmSync } from "node:fs";

/** One line that says what to do. */
export class UsageError extends Error {}

/** What `parseArgs` says of a command line, in one line. */
export function argsError(error: unknown, command: string): UsageError {
  const said = error instanceof Error ? error.message : String(error);
  const [first = ""] = said.split(/\n|\. /);
  return new UsageError(`${first.replace(/\.$/, "")}; bun run ${command} --help lists the flags`);
}

export function number(flag: string, text: string, most = Number.MAX_VALUE): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && value <= most) return value;
  const to = most === Number.MAX_VALUE ? "on" : `to ${most}`;
  throw new UsageError(`${flag} must be a number from 0 ${to}, not "${text}"`);
}

export function positive(flag: string, text: string, most = Number.MAX_VALUE): number {
  const value = number(flag, text, most);
  if (value > 0) return value;
  throw new UsageError(`${flag} must be above 0`);
}

/** A limit that is not given limits nothing. */
export function limit(flag: string, text: string): number | undefined {
  return text === "" ? undefined : positive(flag, text);
}

export function whole(flag: string, text: string, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= 1 && value <= most) {
    return value;
  }
  const to = most === Number.MAX_SAFE_INTEGER ? "on" : `to ${most}`;
  throw new UsageError(`${flag} must be a whole number from 1 ${to}, not "${text}"`);
}

/** As `whole`, or 0. */
export function wholeOr0(flag: string, text: string, most: number): number {
  const value = number(flag, text, most);
  if (Number.isInteger(value)) return value;
  throw new UsageError(`${flag} must be a whole number from 0 to ${most}, not "${text}"`);
}

/** Before the work: whether a file can be written that comes at its end. Empty: there is none. */
export function checkWritable(flag: string, path: string): void {
  if (path === "") return;
  const is_new = !existsSync(path);
  try {
    closeSync(openSync(path, "a"));
  } catch (error) {
    throw unwritable(flag, path, error);
  }
  if (is_new) rmSync(path, { force: true });
}

export function unwritable(flag: string, path: string, error: unknown): UsageError {
  const { code } = error as { code?: string };
  return new UsageError(`${flag} ${path} cannot be written (${code}): give another path`);
}
