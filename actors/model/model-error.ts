export type ModelErrorCode =
  | "model_bad_source"
  | "model_not_found"
  | "model_unauthorized"
  | "model_unsupported"
  | "model_corrupt"
  | "model_checksum"
  | "model_offline"
  | "model_server_error"
  | "model_disk_full"
  | "model_cache_unusable"
  | "model_cancelled";

/** Why there is no model; `message` is one line that says what to do. */
export class ModelError extends Error {
  readonly code: ModelErrorCode;
  constructor(code: ModelErrorCode, message: string) {
    super(message);
    this.name = "ModelError";
    this.code = code;
  }
}

/** "1.2 GB", for people. */
export function sizeText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
