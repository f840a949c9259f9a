/**
 * The share of the workers' time that prompts take, over the last half minute or so: 0 idle, 1
 * full. It comes from the workers' reports, so the requests of all routers are in it.
 */
const MEMORY_MS = 20_000;

export class LoadMeter {
  #work_ms = 0;
  #weight_ms = 0;
  #last_ms: number | undefined;

  /** Adds work that a worker did since its last report. */
  add(work_ms: number, now_ms: number): void {
    const gap_ms = Math.max(0, now_ms - (this.#last_ms ?? now_ms));
    const kept = Math.exp(-gap_ms / MEMORY_MS);
    this.#work_ms = this.#work_ms * kept + work_ms;
    // Grows to MEMORY_MS: in the beginning there is less to remember.
    this.#weight_ms = this.#weight_ms * kept + MEMORY_MS * (1 - kept);
    this.#last_ms = now_ms;
  }

  /** The share for this number of workers; 0 before anything is known. */
  share(workers: number): number {
    if (workers === 0 || this.#weight_ms === 0) return 0;
    return Math.min(1, this.#work_ms / this.#weight_ms / workers);
  }
}
