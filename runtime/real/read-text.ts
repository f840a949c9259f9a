/** Files that a person names, read whole before anything runs. */
import { readFileSync, statSync } from "node:fs";

/** An error in a file, and what to do. */
export class TextFileError extends Error {}

/**
 * The text of a file. With `max_bytes` only of a regular one that has no more and is UTF-8: a
 * device gives bytes without an end. Throws TextFileError that says what is wrong with the file,
 * and whatever the system does where it cannot be read.
 */
export function readText(path: string, max_bytes?: number): string {
  if (max_bytes === undefined) return readFileSync(path, "utf8");
  const about = statSync(path);
  if (!about.isFile()) throw new TextFileError(`${path} is no regular file: give one`);
  if (about.size > max_bytes) {
    throw new TextFileError(`${path} has more than ${sizeText(max_bytes)}: give a shorter file`);
  }
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return decoder.decode(readFileSync(path));
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    throw new TextFileError(`${path} is not UTF-8: save it as UTF-8 text`);
  }
}

function sizeText(bytes: number): string {
  if (bytes < 1 << 10) return `${bytes} bytes`;
  return bytes < 1 << 20 ? `${bytes >> 10} KiB` : `${bytes >> 20} MiB`;
}
