/**
 * The registry's figures as OpenTelemetry's, beside the reader's own: names and labels stay as they
 * are in Prometheus' text; some series are also told under a second name.
 */
import { ValueType } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import type { Family, Histogram, Metrics } from "../../observe/metrics.ts";
import type { SecondName, SecondNames } from "../../observe/telemetry.ts";
import { hrTime, SCOPE } from "./span-view.ts";

type Labels = Readonly<Record<string, string>>;
type Followed = { readonly metrics: Metrics; readonly second: SecondNames };

export class RegistryProducer implements MetricProducer {
  readonly #resource: Resource;
  readonly #wall_ms: () => number;
  readonly #started_ms: number;
  readonly #followed: Followed[] = [];

  constructor(resource: Resource, wall_ms: () => number) {
    this.#resource = resource;
    this.#wall_ms = wall_ms;
    this.#started_ms = wall_ms();
  }

  follow(metrics: Metrics, second: SecondNames): void {
    this.#followed.push({ metrics, second });
  }

  async collect(): Promise<CollectionResult> {
    const metrics = this.#followed.flatMap((followed) =>
      [...followed.metrics.families()].flatMap((family) => this.#dataOf(family, followed.second)),
    );
    const scopeMetrics = [{ scope: SCOPE, metrics: joined(metrics) }];
    return { resourceMetrics: { resource: this.#resource, scopeMetrics }, errors: [] };
  }

  #dataOf(family: Family, names: SecondNames): MetricData[] {
    if (family.series.size === 0) return [];
    const second = names[family.name];
    const own = this.#metric(family, family.name, unitOf(family.name), (labels) => labels);
    if (second === undefined) return [own];
    const { name, unit } = second;
    return [own, this.#metric(family, name, unit, (labels) => relabelled(labels, second))];
  }

  #metric(
    family: Family,
    name: string,
    unit: string,
    attributesOf: (labels: Labels) => Labels,
  ): MetricData {
    const times = { startTime: hrTime(this.#started_ms), endTime: hrTime(this.#wall_ms()) };
    const descriptor = { name, description: family.help, unit, valueType: ValueType.DOUBLE };
    const aggregationTemporality = AggregationTemporality.CUMULATIVE;
    const all = [...family.series.values()];
    if (family.type === "histogram") {
      const dataPoints = all.map(({ labels, series }) => {
        const { bounds, sum, count } = series as Histogram;
        const counts = (series as Histogram).bucketCounts();
        const value = { buckets: { boundaries: [...bounds], counts }, sum, count };
        return { ...times, attributes: attributesOf(labels), value };
      });
      return {
        descriptor,
        aggregationTemporality,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints,
      };
    }
    const dataPoints = all.map(({ labels, series }) => {
      return { ...times, attributes: attributesOf(labels), value: series.current };
    });
    if (family.type === "gauge") {
      return { descriptor, aggregationTemporality, dataPointType: DataPointType.GAUGE, dataPoints };
    }
    const sum = { dataPointType: DataPointType.SUM, isMonotonic: true } as const;
    return { descriptor, aggregationTemporality, ...sum, dataPoints };
  }
}

/** Series of one name stand together, whichever family they come from. */
function joined(metrics: readonly MetricData[]): MetricData[] {
  const by_name = new Map<string, MetricData>();
  for (const metric of metrics) {
    const known = by_name.get(metric.descriptor.name);
    if (known === undefined) by_name.set(metric.descriptor.name, metric);
    else (known.dataPoints as unknown[]).push(...metric.dataPoints);
  }
  return [...by_name.values()];
}

function relabelled(own: Labels, { labels, renamed }: SecondName): Labels {
  const changed = Object.entries(own).map(([name, value]) => [renamed[name] ?? name, value]);
  return { ...Object.fromEntries(changed), ...labels };
}

function unitOf(name: string): string {
  if (/_seconds(_max)?$/.test(name)) return "s";
  if (/_ms$/.test(name)) return "ms";
  return /_bytes$/.test(name) ? "By" : "";
}
