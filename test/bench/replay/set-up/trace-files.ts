/** The files of one trace as one text, and what is wrong with a line by its file and its number. */
import { statSync } from "node:fs";
import { readText, TextFileError } from "../../../../runtime/real/read-text.ts";
import { UsageError } from "../flag-values.ts";
import { TraceError } from "../trace-rows.ts";

/** What `read` gives of the text. Throws UsageError in place of a TraceError. */
export type ReadTrace = <Read>(read: (text: string) => Read) => Read;

const RULES = "docs/routing.md says what a trace has";

/** Throws UsageError, which ends with `advice` where a file cannot be read. */
export function traceFiles(paths: readonly string[], advice: string): ReadTrace {
  const texts = paths.map((path) => traceText(path, advice));
  const text = texts.join("\n");
  return (read) => {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      const { file, line } = placeOf(error.line, texts);
      throw new UsageError(`${paths[file]} line ${line}: ${error.problem}; ${RULES}`);
    }
  };
}

/** Which line of which file a line of all of them is. */
function placeOf(line: number, texts: readonly string[]) {
  let before = 0;
  for (const [file, text] of texts.entries()) {
    const own = text.split(/\r\n|\n|\r/).length;
    if (line <= before + own) return { file, line: line - before };
    before += own;
  }
  return { file: 0, line: 1 };
}

function traceText(path: string, advice: string): string {
  const device = statSync(path, { throwIfNoEntry: false })?.isCharacterDevice() === true;
  if (device) throw new UsageError(`${path} is a device, which has no end: ${advice}`);
  const text = fileText(path, advice);
  if (text.startsWith("\u001f\ufffd")) {
    throw new UsageError(`${path} is packed by gzip: unpack it first (gunzip -k ${path})`);
  }
  if (/\0/.test(text.slice(0, 4_096))) throw new UsageError(`${path} is no UTF-8 text: ${advice}`);
  return text;
}

/** As `readText` with these bytes. Throws UsageError. */
export function fileText(path: string, advice: string, max_bytes?: number): string {
  try {
    return readText(path, max_bytes);
  } catch (error) {
    if (error instanceof TextFileError) throw new UsageError(error.message);
    const { code } = error as { code?: string };
    const why = code === "ENOENT" ? `there is no file ${path}` : `${path} cannot be read (${code})`;
    throw new UsageError(`${why}: ${advice}`);
  }
}
