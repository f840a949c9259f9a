/**
 * Counts things whose owner has ended. An actor looks at what it holds from time to time. A thing
 * without an owner may be about to end, so it counts only if every look of a grace time finds it.
 * The count is always 0: anything else is a bug, and a harness reads it.
 */
import type { Labels, Metrics } from "../observe/metrics.ts";

export const AUDIT_PERIOD_MS = 1_000;
const GRACE_MS = 3_000;
const FAMILY = "troupe_orphans";

export class OrphanWatch {
  readonly #since_ms = new Map<string, number>();
  readonly #metrics: Metrics;
  readonly #labels: Labels;
  #count = 0;

  /** `labels` name the actor that holds the things. */
  constructor(metrics: Metrics, labels: Labels) {
    this.#metrics = metrics;
    this.#labels = labels;
    const help = "What is left of something that ended, beyond its grace: always 0.";
    metrics.gauge(FAMILY, help, labels, () => this.#count);
  }

  get count(): number {
    return this.#count;
  }

  /** `found`: the names of all things that have no owner now. To be called at each period. */
  look(found: Iterable<string>, now_ms: number): void {
    const names = new Set(found);
    for (const name of this.#since_ms.keys()) if (!names.has(name)) this.#since_ms.delete(name);
    this.#count = 0;
    for (const name of names) {
      const since_ms = this.#since_ms.get(name);
      if (since_ms === undefined) this.#since_ms.set(name, now_ms);
      else if (now_ms - since_ms >= GRACE_MS) this.#count++;
    }
  }

  /** Some of them by name, for people. */
  names(): readonly string[] {
    return [...this.#since_ms.keys()].slice(0, 8);
  }

  /** Removes the series when the actor that looks ends. */
  remove(): void {
    this.#metrics.remove(FAMILY, this.#labels);
  }
}

/** The orphans of all actors of a process. */
export function orphansIn(metrics: Metrics): number {
  return metrics.total(FAMILY);
}
