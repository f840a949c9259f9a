/**
 * The last points of a series in memory that does not grow: a ring of points, and of each only the
 * workers that it has room for.
 */
import type { LoadPoint } from "./load-point.ts";

export class Series {
  readonly interval_ms: number;
  readonly #ring: (LoadPoint | undefined)[];
  #next = 0;

  /** @param points how many are kept */
  constructor(interval_ms: number, points: number) {
    this.interval_ms = interval_ms;
    this.#ring = new Array(points).fill(undefined);
  }

  push(point: LoadPoint): void {
    this.#ring[this.#next] = point;
    this.#next = (this.#next + 1) % this.#ring.length;
  }

  /** Oldest first, those after `since_ms`. */
  points(since_ms = 0): LoadPoint[] {
    const { length } = this.#ring;
    const found: LoadPoint[] = [];
    for (let i = 0; i < length; i += 1) {
      const point = this.#ring[(this.#next + i) % length];
      if (point !== undefined && point.at_ms > since_ms) found.push(point);
    }
    return found;
  }

  get last(): LoadPoint | undefined {
    const { length } = this.#ring;
    return this.#ring[(this.#next + length - 1) % length];
  }
}
