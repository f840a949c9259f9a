/** Every field of POST /busy_threshold. */
import { z } from "zod";
import { count, type Fields, number, objectOf, used } from "../request-fields.ts";

export const busyFields = {
  model: used(z.string().min(1), "Served name of the model; `/v1/models` lists them."),
  active_decode_blocks_threshold: used(
    number(0, 1).nullish(),
    "0–1: a worker with more than this share of its blocks in use gets nothing. 1: never.",
  ),
  active_prefill_tokens_threshold: used(
    count(0).nullish(),
    "A worker with more than so many prompt tokens to do gets nothing.",
  ),
  active_prefill_tokens_threshold_frac: used(
    number(0, 1_000_000).nullish(),
    "The same, as a multiple of the tokens that one pass of the worker takes.",
  ),
} as const satisfies Fields;

export const busyShape = objectOf(busyFields);
