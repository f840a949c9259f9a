/**
 * Counters, gauges and histograms with labels, and their Prometheus text
 * (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4). Written here
 * because a client library reads clocks by itself; the format is all we need.
 */

export type Labels = Readonly<Record<string, string>>;

export type Family = {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly series: Map<string, Labelled>;
};

export interface Series {
  readonly current: number;
  lines(name: string, labels: string): string[];
}

/** One series of a family. */
export type Labelled = { readonly labels: Labels; readonly series: Series };

/** Only goes up. */
export class Counter implements Series {
  value = 0;
  #read: (() => number) | undefined;

  add(by = 1): void {
    if (!(by >= 0)) throw new RangeError(`a counter only goes up, not by ${by}`);
    this.value += by;
  }

  /** For what is counted elsewhere: `read` gives the value when it is rendered. */
  readWith(read: () => number): void {
    this.#read = read;
  }

  get current(): number {
    return this.#read?.() ?? this.value;
  }

  lines(name: string, labels: string): string[] {
    return [`${name}${braced(labels)} ${number(this.current)}`];
  }
}

export class Gauge implements Series {
  value = 0;
  #read: (() => number) | undefined;

  /** `read` gives the value when it is rendered. A later reader replaces an earlier one. */
  readWith(read: () => number): void {
    this.#read = read;
  }

  set(value: number): void {
    this.value = value;
  }

  get current(): number {
    return this.#read?.() ?? this.value;
  }

  lines(name: string, labels: string): string[] {
    return [`${name}${braced(labels)} ${number(this.current)}`];
  }
}

/** Counts values at most as large as each bound. */
export class Histogram implements Series {
  readonly bounds: readonly number[];
  count = 0;
  sum = 0;
  readonly #counts: number[];

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = new Array(bounds.length).fill(0);
  }

  observe(value: number): void {
    this.count++;
    this.sum += value;
    for (let i = 0; i < this.bounds.length; i++) {
      if (value <= (this.bounds[i] as number)) {
        this.#counts[i] = (this.#counts[i] as number) + 1;
        return;
      }
    }
  }

  get current(): number {
    return this.sum;
  }

  /** Values in each bucket alone; the last is of what lies above all bounds. A copy. */
  bucketCounts(): number[] {
    const within = this.#counts.reduce((sum, count) => sum + count, 0);
    return [...this.#counts, this.count - within];
  }

  lines(name: string, labels: string): string[] {
    const comma = labels === "" ? "" : ",";
    let below = 0;
    const lines = this.bounds.map((bound, i) => {
      below += this.#counts[i] as number;
      return `${name}_bucket{${labels}${comma}le="${number(bound)}"} ${below}`;
    });
    lines.push(`${name}_bucket{${labels}${comma}le="+Inf"} ${this.count}`);
    lines.push(`${name}_sum${braced(labels)} ${number(this.sum)}`);
    lines.push(`${name}_count${braced(labels)} ${this.count}`);
    return lines;
  }
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export class Metrics {
  readonly #families = new Map<string, Family>();

  /**
   * The same name and labels give the same counter: keep it where it is used often. `read` is as a
   * gauge's.
   */
  counter(name: string, help: string, labels: Labels = {}, read?: () => number): Counter {
    const counter = this.#series(name, help, "counter", labels, () => new Counter()) as Counter;
    if (read !== undefined) counter.readWith(read);
    return counter;
  }

  gauge(name: string, help: string, labels: Labels = {}, read?: () => number): Gauge {
    const gauge = this.#series(name, help, "gauge", labels, () => new Gauge()) as Gauge;
    // An existing gauge gets the new reader too: the actor of the old one may have been killed.
    if (read !== undefined) gauge.readWith(read);
    return gauge;
  }

  /** `bounds` ascend and are those of the first call for each series. */
  histogram(name: string, help: string, bounds: readonly number[], labels: Labels = {}): Histogram {
    if (bounds.some((bound, i) => i > 0 && bound <= (bounds[i - 1] as number))) {
      throw new RangeError(`the bounds of ${name} must ascend: ${bounds.join(", ")}`);
    }
    const make = (): Series => new Histogram(bounds);
    return this.#series(name, help, "histogram", labels, make) as Histogram;
  }

  /** Takes one series away: a worker that is gone is not shown for ever. */
  remove(name: string, labels: Labels): boolean {
    return this.#families.get(name)?.series.delete(labelText(labels)) ?? false;
  }

  /** Sum over all series of a name; 0 when there is none. */
  total(name: string): number {
    let sum = 0;
    for (const { series } of this.each(name)) sum += series.current;
    return sum;
  }

  /** All series of a name, in the order in which they came; none when there is no such name. */
  each(name: string): Iterable<Labelled> {
    return this.#families.get(name)?.series.values() ?? [];
  }

  /** In the order in which they came. */
  families(): Iterable<Family> {
    return this.#families.values();
  }

  /** Prometheus text, families and series in the order in which they came. */
  render(): string {
    const lines: string[] = [];
    for (const { name, help, type, series } of this.#families.values()) {
      if (series.size === 0) continue;
      lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`);
      for (const [labels, one] of series) lines.push(...one.series.lines(name, labels));
    }
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  }

  #series(
    name: string,
    help: string,
    type: Family["type"],
    labels: Labels,
    make: () => Series,
  ): Series {
    let family = this.#families.get(name);
    if (family === undefined) {
      if (!NAME.test(name)) throw new RangeError(`not a metric name: ${name}`);
      family = { name, help, type, series: new Map() };
      this.#families.set(name, family);
    }
    if (family.type !== type) throw new RangeError(`${name} is a ${family.type}, not a ${type}`);
    const key = labelText(labels);
    const known = family.series.get(key);
    if (known !== undefined) return known.series;
    const made = make();
    family.series.set(key, { labels, series: made });
    return made;
  }
}

function labelText(labels: Labels): string {
  const names = Object.keys(labels).sort();
  const bad = names.find((name) => !LABEL.test(name));
  if (bad !== undefined) throw new RangeError(`not a label name: ${bad}`);
  return names.map((name) => `${name}="${escapeLabel(labels[name] ?? "")}"`).join(",");
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function braced(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
