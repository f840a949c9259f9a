/** The face of `batch`: batches of requests in files, answered beside all other requests. */
export { type Batch, BatchBook } from "./batch-book.ts";
export {
  BATCH_PREFIX,
  type BatchMade,
  batchJson,
  isOver,
} from "./batch-record.ts";
export type { SubmitLine } from "./batch-run.ts";
export {
  type BatchesMessage,
  type BatchesOptions,
  BatchRunner,
  batchLimits,
  LIVE_MAX,
} from "./batch-runner.ts";
export type { LineAnswer } from "./output-line.ts";
