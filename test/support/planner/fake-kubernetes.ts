/**
 * A Kubernetes API server and an operator, as far as a planner sees them: real HTTP, JSON patches
 * with their preconditions, conflicts, refusals, silence, and pods that come after a while.
 */
import { KubernetesConnector } from "../../../actors/planner/connect/kubernetes.ts";
import { KubernetesApi } from "../../../actors/planner/connect/kubernetes-api.ts";
import type { Log } from "../../../runtime/capabilities.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { realNet } from "../../../runtime/real/net.ts";
import type { ConnectorRig } from "./connector-rig.ts";

type Json = Record<string, unknown>;
type Counted = { replicas: number; readyReplicas: number; availableReplicas: number };
type Pair = { readonly cert: string; readonly key: string };
export type Version = "v1beta1" | "v1alpha1";

const GRAPH = "/namespaces/test/dynamographdeployments/graph";
const ADAPTERS = "/namespaces/test/dynamographdeploymentscalingadapters/";
const clock = realClock();
const silent: Log = { log: () => {} };

export class FakeKubernetes {
  readonly version: Version;
  graph: {
    metadata: { resourceVersion: string; annotations?: Record<string, string> };
    spec: Json;
    status: Json;
  };
  /** By their names; where there is one, it owns the number. */
  readonly adapters = new Map<string, number>();
  mood: "obey" | "ignore" | { readonly why: string } = "obey";
  /** Asked for each request; a Response stands in the place of the real one. */
  before: (request: Request) => Response | undefined | Promise<Response | undefined> = () =>
    undefined;
  readonly requests: string[] = [];
  readonly tokens: string[] = [];
  token = "token-1";
  readonly #server: ReturnType<typeof Bun.serve>;

  /** @param tls served over it, as in a cluster; undefined: plain */
  constructor(version: Version, components: readonly Json[], tls?: Pair) {
    this.version = version;
    this.#server = Bun.serve({
      ...{ hostname: "127.0.0.1", port: 0, idleTimeout: 0, tls },
      fetch: (request) => this.#answer(request),
    });
    const services = components.map(({ name, ...rest }) => [name, rest]);
    this.graph = {
      metadata: { resourceVersion: "1" },
      spec: version === "v1beta1" ? { components } : { services: Object.fromEntries(services) },
      status: {},
    };
    this.operate();
    this.mood = "ignore";
  }

  get #all(): [string, Json][] {
    const { components, services } = this.graph.spec;
    if (services !== undefined) return Object.entries(services as Record<string, Json>);
    return (components as Json[]).map((one) => [String(one["name"]), one]);
  }

  wanted(name: string): number {
    const adapter = this.adapters.get(`graph-${name.toLowerCase()}`);
    const [, one] = this.#all.find(([each]) => each === name) ?? [];
    return adapter ?? Number(one?.["replicas"] ?? 1);
  }

  /** What the operator does whenever something has changed. */
  operate(): void {
    const key = this.version === "v1beta1" ? "components" : "services";
    const old = (this.graph.status[key] ?? {}) as Record<string, Counted>;
    const counts: Record<string, Counted> = {};
    let lacks = false;
    for (const [name] of this.#all) {
      const was = old[name]?.readyReplicas ?? 0;
      const wanted = this.wanted(name);
      const serving = this.mood === "obey" ? wanted : Math.min(was, wanted);
      lacks ||= serving < wanted;
      const there = this.mood === "ignore" ? Math.max(was, wanted) : wanted;
      counts[name] = { replicas: there, readyReplicas: serving, availableReplicas: serving };
    }
    const failing = lacks && typeof this.mood === "object" ? this.mood.why : undefined;
    const ready = {
      ...{ type: "Ready", status: lacks ? "False" : "True" },
      ...{ message: failing ?? (lacks ? "pods are pending" : "") },
    };
    const state = failing !== undefined ? "failed" : lacks ? "pending" : "successful";
    const status = { state, conditions: [ready], [key]: counts };
    if (JSON.stringify(status) === JSON.stringify(this.graph.status)) return;
    this.graph.status = status;
    this.#touch();
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  connector(
    options: { wait_ms?: number; patience_ms?: number; timeout_ms?: number; log?: Log } = {},
  ) {
    const { wait_ms = 60_000, patience_ms = 600_000, timeout_ms = 5_000 } = options;
    const { log = silent } = options;
    const api = new KubernetesApi({
      ...{ server: `http://127.0.0.1:${this.port}`, namespace: "test" },
      ...{ token_file: "token", ca_file: "", clock, net: realNet(), timeout_ms },
      files: { read: async () => Buffer.from(`${this.token}\n`) },
    });
    return new KubernetesConnector({
      ...{ api, graph: "graph", mode: "disagg", clock, log, check_ms: 5, wait_ms, patience_ms },
    });
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  #touch(): void {
    const { metadata } = this.graph;
    metadata.resourceVersion = `${Number(metadata.resourceVersion) + 1}`;
  }

  async #answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    this.requests.push(`${request.method} ${path}`);
    this.tokens.push(request.headers.get("authorization") ?? "");
    const instead = await this.before(request);
    if (instead !== undefined) return instead;
    this.operate();
    if (path === "/apis/nvidia.com")
      return Response.json({ versions: [{ version: this.version }] });
    const base = `/apis/nvidia.com/${this.version}`;
    if (path === base + GRAPH) {
      if (request.method === "GET") return Response.json(this.graph);
      return this.#patch((await request.json()) as Operation[]);
    }
    if (path.startsWith(base + ADAPTERS)) {
      const name = path.slice((base + ADAPTERS).length).replace(/\/scale$/, "");
      const replicas = this.adapters.get(name);
      if (replicas === undefined) return status(404, `${name} not found`);
      if (request.method === "GET") return Response.json({ spec: { replicas } });
      const body = (await request.json()) as { spec: { replicas: number } };
      this.adapters.set(name, body.spec.replicas);
      this.operate();
      return Response.json(body);
    }
    return status(404, `there is no ${path}`);
  }

  #patch(operations: readonly Operation[]): Response {
    const next = structuredClone(this.graph);
    for (const { op, path, value } of operations) {
      const parts = path.slice(1).split("/");
      const names = parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
      const last = names.pop() ?? "";
      let at: Json | undefined = next as unknown as Json;
      for (const name of names) at = at?.[name] as Json | undefined;
      if (at === undefined) return status(422, `there is no ${path}`);
      if (path === "/metadata/resourceVersion" && at[last] !== value) {
        return status(409, "the object has been modified");
      }
      if (op === "replace" && !(last in at)) return status(422, `there is no ${path}`);
      at[last] = value;
    }
    const notes = Object.entries(next.metadata.annotations ?? {})
      .flat()
      .join("");
    if (Buffer.byteLength(notes) > ANNOTATIONS_BYTES_MAX) {
      return status(422, "metadata.annotations: Too long");
    }
    this.graph = next;
    this.#touch();
    this.operate();
    return Response.json(this.graph);
  }
}

/** As a real API server has it, for all annotations of an object. */
const ANNOTATIONS_BYTES_MAX = 262_144;

type Operation = { readonly op: string; readonly path: string; readonly value: unknown };

export const status = (code: number, message: string): Response =>
  Response.json({ kind: "Status", message }, { status: code });

export function kubernetesRig(fake: FakeKubernetes): ConnectorRig {
  const made = [fake.connector()];
  return {
    connector: made[0] as KubernetesConnector,
    again: () => {
      const connector = fake.connector();
      made.push(connector);
      return connector;
    },
    obey: () => {
      fake.mood = "obey";
    },
    ignore: () => {
      fake.mood = "ignore";
    },
    refuse: (why) => {
      fake.mood = { why };
    },
    async stop() {
      for (const connector of made) connector.close();
      await fake.stop();
    },
  };
}

/** As the newest operator writes it, as an older one did, and with adapters. */
export const graphs: Record<string, () => FakeKubernetes> = {
  "kubernetes, v1beta1": () =>
    new FakeKubernetes("v1beta1", [
      { name: "frontend", type: "frontend", replicas: 1 },
      { name: "prefill", type: "prefill", replicas: 0 },
      { name: "decode", type: "decode", replicas: 0 },
      { name: "planner", type: "planner", replicas: 1 },
    ]),
  "kubernetes, v1alpha1 by sub-type and by name": () =>
    new FakeKubernetes("v1alpha1", [
      { name: "Frontend", componentType: "frontend", replicas: 1 },
      { name: "VllmPrefillWorker", componentType: "worker", replicas: 0 },
      { name: "Answers", componentType: "worker", subComponentType: "decode", replicas: 0 },
    ]),
  "kubernetes, with scaling adapters": () => {
    const fake = new FakeKubernetes("v1beta1", [
      { name: "Prefill", type: "prefill", replicas: 0, scalingAdapter: {} },
      { name: "Decode", type: "decode", replicas: 0, scalingAdapter: {} },
    ]);
    fake.adapters.set("graph-prefill", 0).set("graph-decode", 0);
    return fake;
  },
};
