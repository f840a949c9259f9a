/**
 * Dynamo's system status server: `/health` and `/live` of this machine, and `/metrics` of all
 * processes or of one.
 */
import { clusterMetrics, metricsOfProcesses } from "../../cluster-metrics.ts";
import { askDetails } from "../../kv/ask-details.ts";
import { workerActors } from "../../process-inspector.ts";
import { healthOf, ofMachine, uptimeOf } from "../../status.ts";
import { failed, json } from "../answers.ts";
import { ANSWER_DEADLINE_MS, type Call, type Door } from "../door.ts";
import type { Route } from "../route.ts";

export const statusRoutes: readonly Route[] = [
  { path: "/health", on: { GET: health } },
  {
    path: "/live",
    on: { GET: (_call, door) => json({ status: "live", uptime: uptimeOf(uptime_ms(door)) }) },
  },
  { path: "/metrics", on: { GET: metrics } },
];

const PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8";

/** The clock of a process begins with it. */
const uptime_ms = ({ system }: Door): number => system.capabilities.clock.now_ms();

async function health(_call: Call, door: Door): Promise<Response> {
  const { system, options } = door;
  const said = async (roles: readonly string[]) =>
    ofMachine(await askDetails(system, options.processes(), roles, "snapshot"), system.node);
  const [workers, doors] = await Promise.all([said(workerActors), said(["frontend"])]);
  const roles = system.tree().flatMap(({ kind, role }) => (kind === "process" ? [role] : []));
  const found = healthOf(roles, workers, doors, uptime_ms(door));
  return json(found, found.status === "ready" ? 200 : 503);
}

async function metrics({ url }: Call, door: Door): Promise<Response> {
  const node = url.searchParams.get("process");
  if (node === null) return text(await clusterMetrics(door.system, door.options.processes()));
  const owner = door.inspectorOf(node);
  if (owner === undefined) {
    return failed(`there is no process ${node}; /api/processes lists them`, 404);
  }
  try {
    const options = { deadline_ms: ANSWER_DEADLINE_MS };
    return text(
      metricsOfProcesses([await door.system.ask(owner, { kind: "get_process" }, options)]),
    );
  } catch (error) {
    return failed(`${node} does not answer: ${(error as Error).message}`, 503);
  }
}

const text = (body: string): Response =>
  new Response(body, { headers: { "content-type": PROMETHEUS_TEXT } });
