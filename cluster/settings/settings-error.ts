/** An error in a setting, and what to do: one line, exit code 2. */
export class SettingsError extends Error {
  readonly code = "bad_setting";
}
