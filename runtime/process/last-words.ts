/** Lines of our own log, as pino writes them: its number of "warn". */
const WARN = 40;

/**
 * What a process said that may tell why it ended, in one line: what is no line of our log, and of
 * that log the messages of warnings and errors. "" when there is none.
 */
export function lastWords(lines: readonly string[]): string {
  return lines.flatMap(wordsOf).join(" | ");
}

function wordsOf(line: string): readonly string[] {
  if (!line.startsWith('{"level":')) return [line];
  try {
    const { level, msg } = JSON.parse(line) as { readonly level?: unknown; readonly msg?: unknown };
    if (typeof level !== "number" || typeof msg !== "string") return [line];
    return level < WARN ? [] : [msg];
  } catch {
    return [line];
  }
}
