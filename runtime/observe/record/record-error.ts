/** Nothing can be recorded: one line that says why. */
export class RecordError extends Error {
  override readonly name = "RecordError";
}
