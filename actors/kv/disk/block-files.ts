/** Files of blocks, written and read by somebody's threads: one file a block. */

/** Slots of a space in the keeper's memory. */
export type SlotShape = {
  readonly block_bytes: number;
  readonly slot_bytes: number;
  /** Of the space, a whole number of slots. */
  readonly base: number;
};

export type FileJob = {
  readonly shape: SlotShape;
  readonly slots: readonly number[];
  /** One a slot. */
  readonly paths: readonly string[];
  /** What files of other models, layouts and releases are told apart by; 128 bits in hex. */
  readonly identity: string;
};

export const fileOutcomes = [
  "ok",
  "missing",
  /** Shorter than it says, or its header is not whole. */
  "torn",
  /** Of another model, layout, release or format. */
  "foreign",
  /** Its bytes do not have the checksum that was written. */
  "corrupt",
  /** The disk is full. */
  "full",
  "failed",
] as const;
export type FileOutcome = (typeof fileOutcomes)[number];

/** `sum`: of the bytes, where it is known. */
export type FileResult = { readonly outcome: FileOutcome; readonly sum: bigint };

type Done = (results: readonly FileResult[]) => void;

/** Each call returns false where too much is on its way; else `done` is called once, later. */
export interface BlockFiles {
  /** Slots of one job at most. */
  readonly most: number;
  /** A file appears whole or not at all. Its folder is there. */
  store(job: FileJob, done: Done): boolean;
  load(job: FileJob, done: Done): boolean;
  remove(paths: readonly string[], done: Done): boolean;
}
