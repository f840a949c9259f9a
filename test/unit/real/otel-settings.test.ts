/** When a process exports over OTLP, what of it, and which traces. */
import { expect, test } from "bun:test";
import {
  isTraceSampled,
  otelSettings,
  otelWarnings,
} from "../../../runtime/real/otel/otel-settings.ts";
import { faultTeller } from "../../../runtime/real/otel/tell-faults.ts";
import { MemoryLog } from "../../support/worlds/test-system.ts";

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };

test("an endpoint or Dynamo's switch turns it on; disabled wins; each kind has its own", () => {
  const kinds = (env: Record<string, string>) => {
    const settings = otelSettings(env);
    return settings && [settings.traces, settings.metrics];
  };
  expect(kinds({})).toBeUndefined();
  expect(kinds({ OTEL_SERVICE_NAME: "x" })).toBeUndefined();
  expect(kinds(ENDPOINT)).toEqual([true, true]);
  expect(kinds({ OTEL_EXPORT_ENABLED: "1" })).toEqual([true, true]);
  expect(kinds({ OTEL_EXPORT_ENABLED: "false" })).toBeUndefined();
  expect(kinds({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://c/v1/traces" })).toEqual([
    true,
    false,
  ]);
  expect(kinds({ ...ENDPOINT, OTEL_METRICS_EXPORTER: "none" })).toEqual([true, false]);
  expect(kinds({ ...ENDPOINT, OTEL_SDK_DISABLED: "true" })).toBeUndefined();
});

test("samplers by OpenTelemetry's names; another name, or no ratio, samples all", () => {
  const sampler = (name: string, arg = "") =>
    otelSettings({ ...ENDPOINT, OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: arg })?.sampler;
  expect(sampler("")).toEqual({ parent_based: true, ratio: 1 });
  expect(sampler("always_off")).toEqual({ parent_based: false, ratio: 0 });
  expect(sampler("traceidratio", "0.25")).toEqual({ parent_based: false, ratio: 0.25 });
  expect(sampler("parentbased_traceidratio", "0.5")).toEqual({ parent_based: true, ratio: 0.5 });
  expect(sampler("traceidratio", "much")).toEqual({ parent_based: false, ratio: 1 });
});

test("a ratio samples the same traces in every process, and about as many as it says", () => {
  const ids = Array.from({ length: 2_000 }, (_, i) => {
    return Bun.hash(`${i}`).toString(16).padStart(16, "0").repeat(2);
  });
  const share = ids.filter((id) => isTraceSampled(id, 0.25)).length / ids.length;
  expect(share).toBeGreaterThan(0.2);
  expect(share).toBeLessThan(0.3);
  expect(ids.some((id) => isTraceSampled(id, 0))).toBe(false);
  expect(ids.every((id) => isTraceSampled(id, 1))).toBe(true);
});

test("another protocol is told, but only where something is exported", () => {
  const grpc = { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
  expect(otelWarnings(grpc)).toEqual([]);
  expect(otelWarnings({ ...ENDPOINT, ...grpc })[0]).toContain("http/protobuf alone");
  expect(otelWarnings({ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" })).toEqual([]);
});

test("an endpoint that is no address is told", () => {
  const warned = (endpoint: string) => otelWarnings({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
  expect(warned("garbage:::")[0]).toContain('"garbage:::" is no address of a collector');
  expect(warned("collector:4318")).toHaveLength(1);
  expect(warned("http://collector:4318")).toEqual([]);
});

test("a collector that fails all the time is told once a minute", () => {
  const log = new MemoryLog();
  let now_ms = 0;
  const faults = faultTeller(log, { now_ms: () => now_ms });
  for (now_ms = 0; now_ms <= 60_000; now_ms += 1_000) {
    faults.error(JSON.stringify({ message: "connect ECONNREFUSED", stack: "…" }));
    faults.info("again in a second");
  }
  expect(log.lines.map(({ fields }) => fields)).toEqual([
    { error: "connect ECONNREFUSED" },
    { error: "connect ECONNREFUSED", untold: 59 },
  ]);
});
