/** Counts values ≥ 0 in buckets 1 % wide: quantiles of any number of samples in a fixed memory. */
const least = 0.001;
const growth = Math.log(1.01);
const buckets = Math.ceil(Math.log(1e9) / growth);

export class LogHistogram {
  readonly #counts = new Float64Array(buckets + 1);
  #count = 0;
  #sum = 0;
  #max = 0;

  add(value: number): void {
    const at = value <= least ? 0 : Math.ceil(Math.log(value / least) / growth);
    const bucket = Math.min(at, buckets);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#sum += value;
    if (value > this.#max) this.#max = value;
  }

  get count(): number {
    return this.#count;
  }

  get mean(): number {
    return this.#count === 0 ? Number.NaN : this.#sum / this.#count;
  }

  get max(): number {
    return this.#count === 0 ? Number.NaN : this.#max;
  }

  /** Within 1 % of the value below which the share `q` of the samples lies. */
  quantile(q: number): number {
    let left = Math.floor(q * this.#count) + 1;
    for (let bucket = 0; bucket <= buckets; bucket += 1) {
      left -= this.#counts[bucket] ?? 0;
      if (left <= 0) return Math.min(this.#max, bucket === 0 ? 0 : middleOf(bucket));
    }
    return this.max;
  }
}

const middleOf = (bucket: number) => least * Math.exp(growth * (bucket - 0.5));
