/**
 * How long a process may take until it is ready, and what it took. Weights are read from the disk
 * twice at most: while they are loaded and, where memory cannot keep them, while the first tokens
 * are made.
 */
import type { CheckedModel } from "../actors/model/model.ts";
import type { StartProgress } from "../actors/worker/worker.ts";
import { ggufNumber } from "../llm/model/gguf.ts";
import { sizeText } from "../runtime/size-text.ts";

/** Everything but the weights. */
const READY_MS = 600_000;
const CANARY_MS = 60_000;
/** The slowest disk that is worth waiting for, a network volume: 25 MB a second. */
const SLOWEST_BYTES_PER_MS = 25_000;

export const readyBudget_ms = (weight_bytes: number): number =>
  READY_MS + 2 * readingTime_ms(weight_bytes);

export const canaryBudget_ms = (weight_bytes: number): number =>
  CANARY_MS + readingTime_ms(weight_bytes);

const readingTime_ms = (bytes: number) => Math.ceil(bytes / SLOWEST_BYTES_PER_MS);

/** Files of a model in parts are about as large as the first one. A folder has no weights. */
export function weightBytes(model: CheckedModel): number {
  if (model.kind !== "file") return 0;
  return model.size_bytes * Math.max(1, ggufNumber(model.header.metadata, "split.count") ?? 1);
}

/**
 * Hears the stages of a worker's start, and gives one line on the times of it when it is ready.
 * @param now_ms since the process began
 */
export function startTimes(worker: string, weight_bytes: number, now_ms: () => number) {
  const at_ms: Partial<Record<StartProgress["stage"], number>> = {};
  return (stage: StartProgress["stage"]): string | undefined => {
    at_ms[stage] ??= now_ms();
    if (stage !== "ready") return undefined;
    const { load = 0, canary = load, register = canary, ready = register } = at_ms;
    const seconds = (ms: number) => (ms / 1_000).toFixed(2);
    return (
      `${worker} is ready ${seconds(ready)} s after its process began: ` +
      `${sizeText(weight_bytes)} of weights in ${seconds(canary - load)} s, ` +
      `first tokens in ${seconds(register - canary)} s`
    );
  };
}
