/**
 * Whether and what a process exports over OTLP, out of the environment: OpenTelemetry's own names,
 * and Dynamo's OTEL_EXPORT_ENABLED. Endpoints, headers, timeouts and the resource's attributes are
 * read by the official packages themselves. Pure, and without them: most processes export nothing.
 */

export type OtelSettings = {
  readonly traces: boolean;
  readonly metrics: boolean;
  readonly sampler: Sampler;
  /** From one export of metrics to the next. */
  readonly metrics_ms: number;
};

export type Sampler = {
  /** A request with a sampled parent is sampled, one with another parent is not. */
  readonly parent_based: boolean;
  /** Of the others, from 0 to 1. */
  readonly ratio: number;
};

type Env = Readonly<Record<string, string | undefined>>;

const METRICS_MS = 60_000;

/** Undefined: nothing is exported. */
export function otelSettings(env: Env): OtelSettings | undefined {
  const said = (name: string) => env[name]?.trim() ?? "";
  const isOn = (name: string) => /^(1|true|yes|on)$/i.test(said(name));
  if (isOn("OTEL_SDK_DISABLED")) return undefined;
  const wanted = isOn("OTEL_EXPORT_ENABLED") || said("OTEL_EXPORTER_OTLP_ENDPOINT") !== "";
  const of = (kind: "TRACES" | "METRICS") =>
    (wanted || said(`OTEL_EXPORTER_OTLP_${kind}_ENDPOINT`) !== "") &&
    said(`OTEL_${kind}_EXPORTER`).toLowerCase() !== "none";
  const traces = of("TRACES");
  const metrics = of("METRICS");
  if (!traces && !metrics) return undefined;
  const every_ms = Number(said("OTEL_METRIC_EXPORT_INTERVAL"));
  const metrics_ms = every_ms > 0 ? every_ms : METRICS_MS;
  const [name, arg] = [said("OTEL_TRACES_SAMPLER"), said("OTEL_TRACES_SAMPLER_ARG")];
  return { traces, metrics, sampler: samplerOf(name, arg), metrics_ms };
}

function samplerOf(name: string, arg: string): Sampler {
  const parent_based = name === "" || name.startsWith("parentbased_");
  const kind = name.replace(/^parentbased_/, "");
  if (kind === "always_off") return { parent_based, ratio: 0 };
  if (kind !== "traceidratio") return { parent_based, ratio: 1 };
  const ratio = arg === "" ? 1 : Number(arg);
  return { parent_based, ratio: ratio >= 0 && ratio <= 1 ? ratio : 1 };
}

/** What the environment says and this program does not do, each in one line. */
export function otelWarnings(env: Env): readonly string[] {
  if (otelSettings(env) === undefined) return [];
  const said = (what: string) =>
    ["", "TRACES_", "METRICS_"].flatMap((kind) => {
      const name = `OTEL_EXPORTER_OTLP_${kind}${what}`;
      const value = env[name]?.trim() ?? "";
      return value === "" ? [] : [{ name, value }];
    });
  const protocol = said("PROTOCOL").find(({ value }) => value !== "http/protobuf");
  const endpoint = said("ENDPOINT").find(({ value }) => !isHttpUrl(value));
  return [
    ...(protocol === undefined
      ? []
      : [
          `${protocol.name}: OTLP is spoken as http/protobuf alone, not as "${protocol.value}"; ` +
            "name the collector's HTTP port (4318) in OTEL_EXPORTER_OTLP_ENDPOINT",
        ]),
    ...(endpoint === undefined
      ? []
      : [
          `${endpoint.name}: "${endpoint.value}" is no address of a collector, so nothing is ` +
            "exported; give one as http://HOST:4318",
        ]),
  ];
}

const isHttpUrl = (text: string): boolean => /^https?:$/.test(URL.parse(text)?.protocol ?? "");

/** The last 52 bits of a trace's id, as a number below 1: those below the ratio are sampled. */
export function isTraceSampled(trace_id: string, ratio: number): boolean {
  return Number.parseInt(trace_id.slice(-13), 16) < ratio * 2 ** 52;
}
