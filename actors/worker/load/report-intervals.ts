/** How often a worker's load is told. */

/** Least time between two reports of one worker. */
export const LOAD_GAP_MS = 50;
/** Time between two reports without a change. */
export const LOAD_HEARTBEAT_MS = 1_000;
