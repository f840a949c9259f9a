/**
 * Workers whose engine failed lately, by name. A worker that starts again after a crash is empty,
 * and every policy prefers an empty worker. So a failure counts against its name for a while and
 * fades. The next worker of that name gets requests when the failure has faded, or earlier when no
 * other worker may take them.
 *
 *   score   + 1 a failure, at most MOST_SCORE; halves every HALF_LIFE_MS, and with each success
 *   avoided while the score is AVOID_SCORE or more: 10 s after one failure, 30 s after many
 *
 * The caller decides what is a failure: a worker that was killed from outside did not fail.
 */
const HALF_LIFE_MS = 10_000;
const AVOID_SCORE = 0.5;
const MOST_SCORE = 4;
/** Every answer of a worker reports its crash; reports within this time mean one crash. */
const SAME_CRASH_MS = 1_000;

type Tally = { score: number; at_ms: number; crash_ms: number };

export class WorkerFailures {
  /** There are few names, and a faded one is dropped when it is looked at. */
  readonly #by_worker = new Map<string, Tally>();

  get any(): boolean {
    return this.#by_worker.size > 0;
  }

  /** An answer failed at the worker. Returns until when the worker is avoided, in ms. */
  failed(worker: string, now_ms: number): number {
    return this.#add(worker, now_ms).until_ms;
  }

  /** Counts a report of a crash; several reports may mean one crash. */
  crashed(worker: string, now_ms: number): number {
    const known = this.#by_worker.get(worker);
    if (known !== undefined && now_ms - known.crash_ms < SAME_CRASH_MS) {
      return this.untilMs(worker, now_ms);
    }
    const { until_ms, record } = this.#add(worker, now_ms);
    record.crash_ms = now_ms;
    return until_ms;
  }

  /** The worker made a whole answer. */
  succeeded(worker: string, now_ms: number): number {
    const known = this.#by_worker.get(worker);
    if (known === undefined) return 0;
    known.score = faded(known, now_ms) / 2;
    known.at_ms = now_ms;
    return this.untilMs(worker, now_ms);
  }

  /** Until when the worker is avoided; 0: it is not. */
  untilMs(worker: string, now_ms: number): number {
    const known = this.#by_worker.get(worker);
    if (known === undefined) return 0;
    const score = faded(known, now_ms);
    if (score >= AVOID_SCORE) return now_ms + HALF_LIFE_MS * Math.log2(score / AVOID_SCORE);
    if (score < AVOID_SCORE / 8) this.#by_worker.delete(worker);
    return 0;
  }

  #add(worker: string, now_ms: number): { record: Tally; until_ms: number } {
    const known = this.#by_worker.get(worker);
    const before = known === undefined ? 0 : faded(known, now_ms);
    const crash_ms = known?.crash_ms ?? Number.NEGATIVE_INFINITY;
    const record = { score: Math.min(MOST_SCORE, before + 1), at_ms: now_ms, crash_ms };
    this.#by_worker.set(worker, record);
    return { record, until_ms: this.untilMs(worker, now_ms) };
  }
}

function faded({ score, at_ms }: Tally, now_ms: number): number {
  return score * 2 ** (-Math.max(0, now_ms - at_ms) / HALF_LIFE_MS);
}
