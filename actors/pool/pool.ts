/**
 * The face of the pool: more workers and fewer while a cluster runs, by message, for people and for
 * a planner alike.
 *
 *   door, planner ── AddWorkers, RetireWorkers ──▶ pool ──▶ workforce: slots, processes, drains
 *                 ◀── WorkersAdded, WorkersRetired ──┘      (what is begun outlives the actor)
 */
export { ChangeBook } from "./change-book.ts";
export { WorkerPool, type Workforce } from "./worker-pool.ts";
