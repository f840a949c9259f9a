/** How often a worker's load is told. */

/** Between two loads of one worker at least. */
export const LOAD_GAP_MS = 50;
/** Without a change. */
export const LOAD_HEARTBEAT_MS = 1_000;
