/**
 * How long a process may take until it is ready. Weights are read from the disk twice at most:
 * while they are loaded and, where loading only maps them, while the first tokens are made.
 */
import type { CheckedModel } from "../actors/model/model.ts";
import { ggufNumber } from "../llm/model/gguf.ts";

/** Everything but the weights. */
const ready_ms = 600_000;
const canary_ms = 60_000;
/** The slowest disk that is worth waiting for, a network volume: 25 MB a second. */
const slowest_bytes_per_ms = 25_000;

export const readyBudget_ms = (weight_bytes: number): number =>
  ready_ms + 2 * readingTime_ms(weight_bytes);

export const canaryBudget_ms = (weight_bytes: number): number =>
  canary_ms + readingTime_ms(weight_bytes);

const readingTime_ms = (bytes: number) => Math.ceil(bytes / slowest_bytes_per_ms);

/** Of a model in several files all are as large as the first, about. A folder has none to read. */
export function weightBytes(model: CheckedModel): number {
  if (model.kind !== "file") return 0;
  return model.size_bytes * Math.max(1, ggufNumber(model.header.metadata, "split.count") ?? 1);
}
