/**
 * Traces and metrics over OTLP (http/protobuf) by OpenTelemetry's own packages, which only a process
 * that exports something loads. Spans wait in the package's bounded queue; a collector that does not
 * take them costs what is dropped, and nothing else.
 */
import { randomBytes } from "node:crypto";
import { DiagLogLevel, diag } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace";
import type { Log } from "../../capabilities.ts";
import type { FinishedSpan, Telemetry } from "../../observe/telemetry.ts";
import type { TraceContext } from "../../observe/trace.ts";
import { realClock } from "../clock.ts";
import { RegistryProducer } from "./metrics-producer.ts";
import { isTraceSampled, type OtelSettings } from "./otel-settings.ts";
import { SpanView } from "./span-view.ts";
import { faultTeller } from "./tell-faults.ts";

/** Which process it is that exports. */
export type Exporting = {
  readonly node: string;
  readonly role: string;
  readonly version: string;
};

const CLOSE_MS = 2_000;

export function openOtel(
  settings: OtelSettings,
  { node, role, version }: Exporting,
  log: Log,
): Telemetry {
  const faults = faultTeller(log, realClock());
  diag.setLogger(faults, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const own = resourceFromAttributes({
    ...{ "service.name": "troupe", "service.version": version, "service.instance.id": node },
    "troupe.role": role,
  });
  // What the environment says of the service wins.
  const resource = own.merge(detectResources({ detectors: [envDetector] }));
  const spans = settings.traces
    ? new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })
    : undefined;
  const producer = new RegistryProducer(resource, () => Date.now());
  const meters = settings.metrics
    ? new MeterProvider({
        resource,
        readers: [
          new PeriodicExportingMetricReader({
            exporter: new OTLPMetricExporter(),
            exportIntervalMillis: settings.metrics_ms,
            exportTimeoutMillis: Math.min(settings.metrics_ms, 10_000),
            metricProducers: [producer],
          }),
        ],
      })
    : undefined;
  return {
    begin: (parent) => beginSpan(settings, parent),
    spanId: () => randomBytes(8).toString("hex"),
    export: (finished: readonly FinishedSpan[]) => {
      for (const span of finished) spans?.onEnd(new SpanView(span, resource));
    },
    follow: (metrics, second) => producer.follow(metrics, second),
    close: async () => {
      const closed = Promise.allSettled([spans?.shutdown(), meters?.shutdown()]);
      await Promise.race([closed, new Promise((over) => setTimeout(over, CLOSE_MS))]);
    },
  };
}

function beginSpan(
  { traces, sampler }: OtelSettings,
  parent: TraceContext | undefined,
): TraceContext {
  const trace_id = parent?.trace_id ?? randomBytes(16).toString("hex");
  const span_id = randomBytes(8).toString("hex");
  const follows = parent !== undefined && sampler.parent_based;
  const is_sampled = follows ? (parent.flags & 1) === 1 : isTraceSampled(trace_id, sampler.ratio);
  return { trace_id, span_id, flags: traces && is_sampled ? 1 : 0 };
}
