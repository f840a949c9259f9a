/** The message of any thrown value: for logs, and for errors that name a cause. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
