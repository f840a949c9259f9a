/** The message of what was thrown, whatever was: for logs, and for errors that name a cause. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
