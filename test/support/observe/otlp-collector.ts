/**
 * A stand-in for an OpenTelemetry collector: it takes OTLP over HTTP and decodes the protobuf by
 * definitions of its own (https://github.com/open-telemetry/opentelemetry-proto, version 1).
 */
import { gunzipSync } from "node:zlib";
import protobuf from "protobufjs";

const { root } = protobuf.parse(`
syntax = "proto3";
message KeyValue { string key = 1; AnyValue value = 2; }
message ArrayValue { repeated AnyValue values = 1; }
message AnyValue {
  oneof value {
    string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
    ArrayValue array_value = 5;
  }
}
message Resource { repeated KeyValue attributes = 1; }
message Scope { string name = 1; }
message TraceRequest { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9;
  Status status = 15;
}
message Status { string message = 2; int32 code = 3; }
message MetricsRequest { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; }
message Metric {
  string name = 1; string unit = 3; Points gauge = 5; Points sum = 7; Histograms histogram = 9;
}
message Points { repeated Point data_points = 1; }
message Point { double as_double = 4; repeated KeyValue attributes = 7; }
message Histograms { repeated HistogramPoint data_points = 1; }
message HistogramPoint {
  fixed64 count = 4; double sum = 5; repeated fixed64 bucket_counts = 6;
  repeated double explicit_bounds = 7; repeated KeyValue attributes = 9;
}
`);

export type SeenSpan = {
  readonly service: string;
  readonly instance: string;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly trace_id: string;
  readonly span_id: string;
  readonly parent_id: string;
  readonly name: string;
  readonly kind: number;
  readonly start_ms: number;
  readonly end_ms: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly error: string;
};

export type SeenMetric = {
  readonly instance: string;
  readonly name: string;
  readonly unit: string;
  readonly points: readonly {
    readonly attributes: Readonly<Record<string, unknown>>;
    readonly value: number;
    readonly count: number;
  }[];
};

const plain = { longs: Number, bytes: String, defaults: true, arrays: true, oneofs: true } as const;

function anyOf(value: Wire): unknown {
  const kind = value["value"] as string;
  return kind === "arrayValue" ? listIn(value[kind], "values").map(anyOf) : value[kind];
}
const fieldsOf = (list: readonly Wire[]) =>
  Object.fromEntries(list.map(({ key, value }) => [key, anyOf(value as Wire)]));
const hex = (base64: string) => Buffer.from(base64, "base64").toString("hex");

type Wire = Readonly<Record<string, unknown>>;

function decoded(type: string, bytes: Uint8Array): Wire {
  const message = root.lookupType(type);
  return message.toObject(message.decode(bytes), plain);
}

const listIn = (of: unknown, name: string) => ((of as Wire)[name] ?? []) as readonly Wire[];

export class OtlpCollector implements Disposable {
  readonly spans: SeenSpan[] = [];
  readonly metrics: SeenMetric[] = [];
  /** Content types that came. */
  readonly types = new Set<string>();
  readonly #server = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1" },
    fetch: (request) => this.#take(request),
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }

  async #take(request: Request): Promise<Response> {
    this.types.add(request.headers.get("content-type") ?? "");
    const raw = new Uint8Array(await request.arrayBuffer());
    const bytes = request.headers.get("content-encoding") === "gzip" ? gunzipSync(raw) : raw;
    const { pathname } = new URL(request.url);
    if (pathname === "/v1/traces") this.#takeSpans(decoded("TraceRequest", bytes));
    else if (pathname === "/v1/metrics") this.#takeMetrics(decoded("MetricsRequest", bytes));
    else return new Response(null, { status: 404 });
    return new Response(null, { headers: { "content-type": "application/x-protobuf" } });
  }

  #takeSpans(request: Wire): void {
    for (const of of listIn(request, "resourceSpans")) {
      const known = fieldsOf(listIn(of["resource"], "attributes"));
      const spans = listIn(of, "scopeSpans").flatMap((scope) => listIn(scope, "spans"));
      for (const span of spans) this.spans.push(spanOf(span, known));
    }
  }

  #takeMetrics(request: Wire): void {
    for (const of of listIn(request, "resourceMetrics")) {
      const known = fieldsOf(listIn(of["resource"], "attributes"));
      const metrics = listIn(of, "scopeMetrics").flatMap((scope) => listIn(scope, "metrics"));
      for (const each of metrics) {
        this.metrics.push(metricOf(each, `${known["service.instance.id"]}`));
      }
    }
  }
}

function spanOf(span: Wire, resource: Wire): SeenSpan {
  return {
    service: `${resource["service.name"]}`,
    instance: `${resource["service.instance.id"]}`,
    resource,
    trace_id: hex(`${span["traceId"]}`),
    span_id: hex(`${span["spanId"]}`),
    parent_id: hex(`${span["parentSpanId"]}`),
    name: `${span["name"]}`,
    kind: Number(span["kind"]),
    start_ms: Number(span["startTimeUnixNano"]) / 1e6,
    end_ms: Number(span["endTimeUnixNano"]) / 1e6,
    attributes: fieldsOf(listIn(span, "attributes")),
    error: `${(span["status"] as { message?: string } | null)?.message ?? ""}`,
  };
}

function metricOf(metric: Wire, instance: string): SeenMetric {
  const kind = ["gauge", "sum", "histogram"].find((each) => metric[each] !== null) ?? "gauge";
  const points = listIn(metric[kind], "dataPoints").map((point) => ({
    attributes: fieldsOf(listIn(point, "attributes")),
    value: Number(point["asDouble"] ?? point["sum"]),
    count: Number(point["count"] ?? 0),
  }));
  return { instance, name: `${metric["name"]}`, unit: `${metric["unit"]}`, points };
}
