/** The fields of an upload, and what the file routes take behind the `?`. */
import { z } from "zod";
import { fileLimits, uploadPurposes } from "../../../files/files.ts";
import { count, type Fields, objectOf, used } from "../request-fields.ts";

const HOUR_S = 3_600;
const MONTH_S = 30 * 86_400;

export const expiryFields = {
  anchor: used(z.literal("created_at"), "`created_at`: the time from which it counts."),
  seconds: used(count(HOUR_S, MONTH_S), "3600 (an hour) to 2592000 (30 days)."),
} as const satisfies Fields;

export const uploadFields = {
  file: used(
    z.unknown().meta({ type: "string", format: "binary" }),
    `The file itself, at most ${fileLimits.file_bytes / 1024 ** 2} MB.`,
  ),
  purpose: used(
    z.enum(uploadPurposes),
    "What it is for: `batch`, `user_data`, `assistants`, `evals`, `fine-tune` or `vision`. " +
      "Only `batch` is read by this server.",
  ),
  expires_after: used(
    objectOf(expiryFields).nullish(),
    "When it is deleted by itself, as form fields `expires_after[anchor]` and " +
      "`expires_after[seconds]`. Default: 30 days for `batch`, else never.",
  ),
} as const satisfies Fields;

export const BATCH_FILE_EXPIRES_S = MONTH_S;

export const listQuery = {
  limit: "How many, 1–10,000; default 10,000.",
  after: "The id of the last file of the page before.",
  order: "`desc` (the newest first, the default) or `asc`.",
  purpose: "Files of this purpose alone.",
} as const;
