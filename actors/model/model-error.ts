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
