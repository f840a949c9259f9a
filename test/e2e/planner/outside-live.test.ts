/**
 * Planners of somebody else's workers, by the real command line: their process is killed in the
 * middle of a change, and the target is reached once.
 */
import { afterAll, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PlannerAnswer } from "../../../actors/inspector/planner-rows.ts";
import { type Cluster, pidsOf, startCluster, until } from "../../support/cluster.ts";
import { lacksProgram, testWith } from "../../support/needs.ts";
import { natsServer, redisServer, stopServers } from "../../support/plane-servers.ts";
import { FakeKubernetes } from "../../support/planner/fake-kubernetes.ts";
import {
  FakePrometheus,
  Launcher,
  OUTSIDE_MODEL,
  outsideConfig,
} from "../../support/planner/outside-world.ts";

afterAll(stopServers);

const WAIT_MS = 30_000;
/** More than a throughput interval of the configuration has. */
const MORE_TICKS = 3;
/** At 30 requests a second, by the curves. */
const target = { prefill: 3, decode: 2 };

async function plannerOf({ inspector }: Cluster) {
  const answer = (await (await fetch(`${inspector}/api/planner`)).json()) as PlannerAnswer;
  return answer.planners.find(({ model }) => model === OUTSIDE_MODEL);
}

/** SIGKILL to the planner's process, and waits until its next life decides. */
async function killPlanner(cluster: Cluster): Promise<void> {
  const epoch = (await plannerOf(cluster))?.epoch ?? 0;
  expect(epoch).toBeGreaterThan(0);
  const [pid = 0] = await pidsOf(cluster, "planner");
  process.kill(pid, "SIGKILL");
  await until("the next planner decides", WAIT_MS, async () => {
    return ((await plannerOf(cluster))?.epoch ?? 0) > epoch;
  });
}

const stumbled = (cluster: Cluster) => cluster.log().includes("came to nothing");

testWith(
  lacksProgram("nats-server", "redis-server"),
  "virtual: the keys of a real Redis, a launcher that obeys, and kill -9 before it did",
  async () => {
    const prometheus = new FakePrometheus();
    const config = outsideConfig("virtual");
    const [nats, redis] = await Promise.all([natsServer(), redisServer()]);
    const launcher = await Launcher.at(redis.url, "elsewhere");
    const planes = ["--nats", nats.url, "--redis", redis.url, "--namespace", "elsewhere"];
    try {
      // What somebody's planner left is no decision any more; the plain keys are believed.
      await launcher.keys.put([
        ["decision", "{"],
        ["num_prefill_workers", "1"],
        ["num_decode_workers", "1"],
        ["scaled_decision_id", "6"],
        ["decision_id", "6"],
      ]);
      launcher.has.prefill = 1;
      launcher.has.decode = 1;
      await using cluster = await startCluster(
        [...planes, "--role", "planner", "--planner-config", config.file],
        { env: { PROMETHEUS_ENDPOINT: prometheus.url } },
      );
      await until("it decides", WAIT_MS, async () => {
        return (await plannerOf(cluster))?.standing === "decides";
      });
      expect(cluster.log()).toContain("the key /elsewhere/planner/decision is broken");
      launcher.obeys = false;
      prometheus.requests_per_s = 30;
      await until("more are wanted", WAIT_MS, async () => {
        return (await launcher.client.get()).num_prefill_workers > 1;
      });
      const asked = await launcher.client.get();
      expect(asked.decision_id).toBe(7);
      await killPlanner(cluster);
      expect(await launcher.client.get()).toMatchObject({
        ...{ decision_id: 7, num_prefill_workers: asked.num_prefill_workers },
      });
      launcher.obeys = true;
      await until("the target is reached", WAIT_MS, () => {
        return Bun.deepEquals(launcher.has, target);
      });
      const decided = launcher.done.length;
      // Neither the same load changes anything, nor that nobody says what the load is.
      for (const sends_away of [false, true]) {
        prometheus.sends_away = sends_away;
        const looks = prometheus.queries.length;
        await until("more ticks", WAIT_MS, () => prometheus.queries.length > looks + MORE_TICKS);
        expect([sends_away, launcher.done.length]).toEqual([sends_away, decided]);
      }
      prometheus.sends_away = false;
      expect(cluster.log().match(/no traffic from Prometheus/g)).toHaveLength(1);
      expect(cluster.log()).toContain("which is not followed");
      expect(launcher.started).toEqual({ prefill: 2, decode: 1 });
      expect(launcher.done).toEqual(launcher.done.map((_, i) => 7 + i));
      prometheus.requests_per_s = 1;
      await until("one of each is left", WAIT_MS, () => {
        return Bun.deepEquals(launcher.has, { prefill: 1, decode: 1 });
      });
      expect(launcher.started).toEqual({ prefill: 2, decode: 1 });
      expect(stumbled(cluster)).toBe(false);
    } finally {
      await launcher.stop();
      config.remove();
      await prometheus.stop();
    }
  },
  90_000,
);

/** A certificate of its own signer for this machine, where a pod has its service account. */
function accountIn(folder: string): { readonly cert: string; readonly key: string } {
  const [key, ca] = [join(folder, "tls.key"), join(folder, "ca.crt")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const about = ["-subj", "/CN=kubernetes", "-addext", "subjectAltName=IP:127.0.0.1"];
  const out = ["-days", "2", "-keyout", key, "-out", ca];
  const { exitCode } = Bun.spawnSync(["openssl", "req", "-x509", ...kind, ...about, ...out]);
  expect(exitCode).toBe(0);
  writeFileSync(join(folder, "token"), "token-1\n");
  return { cert: ca, key };
}

testWith(
  lacksProgram("openssl"),
  "kubernetes: an API server over TLS, and kill -9 before the operator did anything",
  async () => {
    const prometheus = new FakePrometheus();
    const config = outsideConfig("kubernetes");
    const { cert, key } = accountIn(config.folder);
    const pair = { cert: await Bun.file(cert).text(), key: await Bun.file(key).text() };
    const components = [
      { name: "frontend", type: "frontend", replicas: 1 },
      { name: "prefill", type: "prefill", replicas: 1 },
      { name: "decode", type: "decode", replicas: 1 },
    ];
    const fake = new FakeKubernetes("v1beta1", components, pair);
    const wanted = () => ({ prefill: fake.wanted("prefill"), decode: fake.wanted("decode") });
    const patches = () => fake.requests.filter((line) => line.startsWith("PATCH")).length;
    fake.mood = "obey";
    try {
      await using cluster = await startCluster(
        ["--engine", "mocker", "--planner-config", config.file],
        {
          env: {
            PROMETHEUS_ENDPOINT: prometheus.url,
            KUBERNETES_SERVICE_HOST: "127.0.0.1",
            KUBERNETES_SERVICE_PORT: `${fake.port}`,
            KUBERNETES_SERVICE_ACCOUNT_DIR: config.folder,
            DYN_PARENT_DGD_K8S_NAME: "graph",
            DYN_PARENT_DGD_K8S_NAMESPACE: "test",
            SCALING_CHECK_INTERVAL: "0.2",
          },
        },
      );
      await until("it decides", WAIT_MS, async () => {
        return (await plannerOf(cluster))?.standing === "decides";
      });
      expect(new Set(fake.tokens)).toEqual(new Set(["Bearer token-1"]));
      fake.mood = "ignore";
      prometheus.requests_per_s = 30;
      await until("more are wanted", WAIT_MS, () => wanted().prefill > 1);
      const asked = wanted();
      const before = patches();
      await killPlanner(cluster);
      // The next planner notes its epoch, and asks for nothing twice.
      await until("it was noted", WAIT_MS, () => patches() > before);
      expect(wanted()).toEqual(asked);
      fake.mood = "obey";
      await until("the target is reached", WAIT_MS, () => Bun.deepEquals(wanted(), target));
      const [reached, looks] = [patches(), prometheus.queries.length];
      await until("some more ticks", WAIT_MS, () => prometheus.queries.length > looks + MORE_TICKS);
      expect([wanted(), patches()]).toEqual([target, reached]);
      prometheus.requests_per_s = 1;
      await until("one of each is left", WAIT_MS, () => {
        return Bun.deepEquals(wanted(), { prefill: 1, decode: 1 });
      });
      // Of the cluster's own model there is no planner here.
      const { planners } = (await (
        await fetch(`${cluster.inspector}/api/planner`)
      ).json()) as PlannerAnswer;
      expect(planners.map(({ model }) => model)).toEqual([OUTSIDE_MODEL]);
      expect(stumbled(cluster)).toBe(false);
    } finally {
      await fake.stop();
      config.remove();
      await prometheus.stop();
    }
  },
  90_000,
);
