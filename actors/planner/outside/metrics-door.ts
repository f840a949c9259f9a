/** `GET /metrics` of a planner's process on a port of its own, for scrapers made for Dynamo's. */
import type { HttpServer, Net } from "../../../runtime/capabilities.ts";
import type { Metrics } from "../../../runtime/observe/metrics.ts";

export type MetricsDoorOptions = {
  readonly net: Net;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly metrics: Metrics;
};

const IDLE_MS = 60_000;

/** Rejects with TransportError when the port is taken or the host is not ours. */
export function serveMetrics({
  net,
  host,
  port,
  metrics,
}: MetricsDoorOptions): Promise<HttpServer> {
  return net.serve({
    ...{ host, port, share_port: false, idle_ms: IDLE_MS },
    fetch: async (request) => {
      if (new URL(request.url).pathname !== "/metrics") {
        return new Response("Metrics are at /metrics.\n", { status: 404 });
      }
      if (request.method !== "GET" && request.method !== "HEAD") {
        return new Response("GET only.\n", { status: 405, headers: { allow: "GET, HEAD" } });
      }
      const headers = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };
      return new Response(metrics.render(), { headers });
    },
  });
}
