/** The Kubernetes connector at a fake API server: who else writes, what is refused, silence. */
import { afterEach, describe, expect, test } from "bun:test";
import { inCluster, KubernetesError } from "../../../../actors/planner/connect/kubernetes-api.ts";
import { graphOf } from "../../../../actors/planner/connect/kubernetes-graph.ts";
import { until } from "../../../support/cluster.ts";
import { type FakeKubernetes, graphs, status } from "../../../support/planner/fake-kubernetes.ts";

const fakes: FakeKubernetes[] = [];
afterEach(async () => {
  for (const fake of fakes.splice(0)) await fake.stop();
});

function fakeOf(name = "kubernetes, v1beta1"): FakeKubernetes {
  const open = graphs[name];
  if (open === undefined) throw new Error(`there is no ${name}`);
  const fake = open();
  fake.mood = "obey";
  fakes.push(fake);
  return fake;
}

const change = (name: string, epoch = 1) => ({ change: name, epoch, model: "m" });
const patches = (fake: FakeKubernetes) =>
  fake.requests.filter((line) => line.startsWith("PATCH")).length;

describe("a patch", () => {
  test("that meets another writer is made again on what is there, and is done once", async () => {
    const fake = fakeOf();
    let conflicts = 2;
    fake.before = (request) => {
      if (request.method !== "PATCH" || conflicts-- <= 0) return undefined;
      return status(409, "the object has been modified");
    };
    const answer = await fake.connector().add(change("a"), "decode", 2);
    expect(answer).toEqual({ kind: "added", workers: ["decode-1", "decode-2"] });
    expect(patches(fake)).toBe(3);
    expect(fake.wanted("decode")).toBe(2);
  });

  test("of a graph that was changed after it was read is refused by its version", async () => {
    const fake = fakeOf();
    let first = true;
    fake.before = (request) => {
      if (request.method !== "PATCH" || !first) return undefined;
      first = false;
      // Somebody else writes in between.
      const { metadata } = fake.graph;
      metadata.resourceVersion = `${Number(metadata.resourceVersion) + 1}`;
      return undefined;
    };
    await fake.connector().add(change("a"), "decode", 1);
    expect(patches(fake)).toBe(2);
    expect(fake.wanted("decode")).toBe(1);
  });

  test("whose answer is lost is not made twice", async () => {
    const fake = fakeOf();
    let lost = false;
    fake.before = async (request) => {
      if (request.method !== "PATCH" || lost) return undefined;
      lost = true;
      const again = new Request(request.url, { method: "PATCH", body: await request.text() });
      await fetch(again);
      return await new Promise<Response>(() => {});
    };
    const answer = await fake.connector({ timeout_ms: 100 }).add(change("a"), "decode", 1);
    expect(answer.kind).toBe("added");
    expect(fake.wanted("decode")).toBe(1);
    expect(patches(fake)).toBe(2);
  });

  test("that is forbidden is told with what to do, and not tried again", async () => {
    const fake = fakeOf();
    fake.before = (request) =>
      request.method === "PATCH" ? status(403, "cannot patch") : undefined;
    const answer = await fake.connector().add(change("a"), "decode", 1);
    expect(answer).toMatchObject({ kind: "refused", workers: [] });
    expect((answer as { why: string }).why).toContain("service account needs get and patch");
    expect(patches(fake)).toBe(1);
  });

  test("changes both roles at once, and carries the token of now", async () => {
    const fake = fakeOf();
    const connector = fake.connector();
    await Promise.all([
      connector.add(change("a"), "prefill", 1),
      connector.add(change("b"), "decode", 2),
    ]);
    expect(patches(fake)).toBe(1);
    fake.token = "token-2";
    await connector.view();
    expect(fake.tokens[0]).toBe("Bearer token-1");
    expect(fake.tokens.at(-1)).toBe("Bearer token-2");
  });

  test("of numbers that adapters own goes to the adapters alone", async () => {
    const fake = fakeOf("kubernetes, with scaling adapters");
    await fake.connector().add(change("a"), "decode", 2);
    expect(fake.adapters.get("graph-decode")).toBe(2);
    expect(JSON.stringify(fake.graph.spec)).not.toContain('"replicas":2');
    expect(fake.requests.filter((line) => line.includes("/scale"))).toHaveLength(1);
  });
});

test("changes of thousands of workers fit into an annotation, one after the other", async () => {
  const fake = fakeOf();
  const connector = fake.connector();
  for (let i = 0; i < 6; i++) {
    const added = await connector.add(change(`a${i}`), "decode", 4_000);
    expect([i, added.kind, added.workers.length]).toEqual([i, "added", 4_000]);
    expect((await connector.add(change(`a${i}`), "decode", 4_000)).kind).toBe("added");
    const gone = await connector.retire(change(`b${i}`), added.workers);
    expect([i, gone.kind]).toEqual([i, "gone"]);
  }
  expect(fake.wanted("decode")).toBe(0);
});

describe("a graph that is not ready", () => {
  test("gets no new change, then does after a while; what starts can be taken back", async () => {
    const fake = fakeOf();
    const connector = fake.connector({ wait_ms: 200 });
    await connector.add(change("a"), "decode", 1);
    fake.mood = "ignore";
    const adding = connector.add(change("b"), "decode", 1);
    await until("one starts", 5_000, () => fake.wanted("decode") === 2);
    const refused = await connector.add(change("c"), "prefill", 1);
    expect(refused.kind).toBe("refused");
    expect((refused as { why: string }).why).toContain("pods are pending");
    const patient = fake.connector({ patience_ms: 0, wait_ms: 50 });
    expect((await patient.add(change("d"), "prefill", 1)).kind).toBe("failed");
    fake.mood = "obey";
    await adding;
  });

  test("does not freeze: who cannot start is given up, and is wanted no more", async () => {
    const fake = fakeOf();
    const connector = fake.connector({ wait_ms: 100 });
    await connector.add(change("a"), "decode", 1);
    fake.mood = "ignore";
    const answer = await connector.add(change("b"), "decode", 2);
    expect(answer).toEqual({
      ...{ kind: "failed", workers: [] },
      why: "the operator did not do it within 0 s",
    });
    expect(fake.wanted("decode")).toBe(1);
    fake.mood = "obey";
    expect((await connector.add(change("c"), "decode", 1)).kind).toBe("added");
    expect(fake.wanted("decode")).toBe(2);
  });
});

test("numbers that somebody else sets are seen, and the next change starts from them", async () => {
  const fake = fakeOf();
  const connector = fake.connector();
  await connector.add(change("a"), "decode", 2);
  const components = fake.graph.spec["components"] as { name: string; replicas: number }[];
  for (const one of components) if (one.name === "decode") one.replicas = 5;
  const view = await connector.view();
  expect(view?.workers.filter(({ state }) => state === "serving")).toHaveLength(5);
  await connector.retire(change("b"), ["decode-5"]);
  expect(fake.wanted("decode")).toBe(4);
});

test("an API server that does not answer is no empty pool", async () => {
  const fake = fakeOf();
  fake.before = () => new Promise<Response>(() => {});
  expect(await fake.connector({ timeout_ms: 50 }).view()).toBeUndefined();
});

test("roles are found by type, sub-type and name, and in mode agg workers are aggregated", () => {
  const rolesIn = (spec: object, mode: "disagg" | "agg") => {
    const graph = graphOf({ metadata: { resourceVersion: "1" }, spec }, mode);
    return graph.components.map(({ name, role, wanted }) => [name, role, wanted]);
  };
  const components = [
    { name: "web", type: "frontend" },
    { name: "p", type: "prefill", replicas: 3 },
    { name: "d", type: "decode" },
    { name: "old-Prefill", type: "worker", replicas: 0 },
    { name: "generic", type: "worker" },
    { name: "planner", type: "planner" },
  ];
  expect(rolesIn({ components }, "disagg")).toEqual([
    ["p", "prefill", 3],
    ["d", "decode", 1],
    ["old-Prefill", "prefill", 0],
    ["generic", "decode", 1],
  ]);
  const services = {
    VllmWorker: { componentType: "worker", replicas: 2 },
    Frontend: { componentType: "frontend" },
  };
  expect(rolesIn({ services }, "agg")).toEqual([["VllmWorker", "aggregated", 2]]);
});

test("a pod finds its API server and its graph, and is told what is missing", () => {
  const env = {
    ...{ KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "6443" },
    ...{ DYN_PARENT_DGD_K8S_NAME: "g", POD_NAMESPACE: "ns", SCALING_MAX_WAIT_TIME: "60" },
  };
  expect(inCluster(env)).toMatchObject({
    ...{ server: "https://10.0.0.1:6443", graph: "g", namespace: "ns" },
    ...{ check_ms: 10_000, wait_ms: 60_000 },
    token_file: "/var/run/secrets/kubernetes.io/serviceaccount/token",
  });
  const odd = { SCALING_CHECK_INTERVAL: "-5", KUBERNETES_SERVICE_ACCOUNT_DIR: "/account" };
  expect(inCluster({ ...env, ...odd })).toMatchObject({
    ...{ check_ms: 10_000, token_file: "/account/token", ca_file: "/account/ca.crt" },
  });
  expect(() => inCluster({})).toThrow(KubernetesError);
  expect(() => inCluster({ KUBERNETES_SERVICE_HOST: "::1" })).toThrow("DYN_PARENT_DGD_K8S_NAME");
});
