/** The fields of a new batch, and what its list takes behind the `?`. */
import { z } from "zod";
import { expiryFields } from "../files/file-fields.ts";
import { type Fields, objectOf, used } from "../request-fields.ts";

const METADATA_MAX = 16;

const metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((value) => Object.keys(value).length <= METADATA_MAX, {
    error: `at most ${METADATA_MAX} names are kept`,
  });

export const WINDOW_MAX_S = 30 * 86_400;
const WINDOW = /^([1-9]\d{0,4})([hd])$/;

/** Seconds; undefined: not a window. */
export function windowSeconds(text: string): number | undefined {
  const [, count, unit] = WINDOW.exec(text) ?? [];
  const seconds = Number(count) * (unit === "h" ? 3_600 : 86_400);
  return seconds <= WINDOW_MAX_S ? seconds : undefined;
}

export const batchFields = {
  input_file_id: used(
    z.string().min(1),
    "An uploaded file with purpose `batch`: JSONL, at most 200 MB and 50,000 lines.",
  ),
  endpoint: used(
    z.string().min(1),
    "The path of every line: that of a route that generates or embeds, as `/v1/chat/completions`.",
  ),
  completion_window: used(
    z.string().refine((text) => windowSeconds(text) !== undefined, {
      error: 'expected "24h", or another number of hours or days up to "30d"',
    }),
    "`24h`, as OpenAI has it, or another number of hours or days (`1h` to `30d`). What is not " +
      "answered by then expires.",
  ),
  metadata: used(
    metadata.nullish(),
    `Up to ${METADATA_MAX} names (64 characters) with texts (512 characters), given back as they came.`,
  ),
  output_expires_after: used(
    objectOf(expiryFields).nullish(),
    "When the output and the error file are deleted by themselves: `anchor` and `seconds` as for an " +
      "upload, counted from when they are written. Default: never.",
  ),
} as const satisfies Fields;

export const batchListQuery = {
  limit: "How many, 1–100; default 20.",
  after: "The id of the last batch of the page before.",
} as const;
