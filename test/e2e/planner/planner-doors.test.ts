/** A planner by its file, its doors and its deaths, on one real cluster; then one of two roles. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, pidOfWorker, pidsOf, startCluster, until } from "../../support/cluster.ts";
import { lacksProgram, testWith } from "../../support/needs.ts";
import { freePort } from "../../support/plane-servers.ts";

const START_MS = 30_000;
const folder = mkdtempSync(join(tmpdir(), "planner-doors-"));
const file = join(folder, "planner.yaml");
const [least, metrics, two_roles] = [1, 2, 3].map(() => freePort("127.0.0.1"));
let cluster: Cluster;

beforeAll(async () => {
  const keys = ["optimization_target: load", "max_workers: 4", "scale_down_after_seconds: 600"];
  const paces = [
    "load_adjustment_interval_seconds: 1",
    "throughput_adjustment_interval_seconds: 5",
  ];
  writeFileSync(file, [...keys, ...paces].join("\n"));
  const doors = ["--planner-min-endpoints-port", `${least}`];
  const env = { PLANNER_PROMETHEUS_PORT: `${metrics}` };
  cluster = await startCluster(["--engine", "mocker", "--planner-config", file, ...doors], { env });
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function serving({ inspector }: Cluster): Promise<readonly string[]> {
  type Member = { readonly worker: string; readonly state: string };
  const { machines } = (await (await fetch(`${inspector}/api/workers`)).json()) as {
    readonly machines: readonly { readonly workers: readonly Member[] }[];
  };
  const all = machines.flatMap(({ workers }) => workers);
  return all.flatMap(({ worker, state }) => (state === "serving" ? [worker] : [])).sort();
}

const servesAs = (of: Cluster, ...names: readonly string[]) =>
  until(`${names} serve`, START_MS, async () => `${await serving(of)}` === `${names}`);

/** Asks until a planner decides. */
async function asked(port: number | undefined, change?: Readonly<Record<string, number>>) {
  let said: unknown;
  const patch = { method: "PATCH", body: JSON.stringify(change) };
  await until("a planner that decides", START_MS, async () => {
    const url = `http://127.0.0.1:${port}/v1/min-endpoints`;
    const answer = await fetch(url, change === undefined ? {} : patch).catch(() => undefined);
    if (answer?.status !== 200) return false;
    said = await answer.json();
    return true;
  });
  return said;
}

test("its file says what it plans, and a PATCH starts a worker", async () => {
  expect(await asked(least)).toMatchObject({ mode: "agg", min_endpoint: 1 });
  const { planners } = (await (await fetch(`${cluster.inspector}/api/planner`)).json()) as {
    readonly planners: readonly { readonly config: object }[];
  };
  expect(planners[0]?.config).toMatchObject({ optimization_target: "load", max_workers: 4 });
  expect(await asked(least, { min_endpoint: 2 })).toMatchObject({ min_endpoint: 2 });
  await servesAs(cluster, "worker-0", "worker-1");
}, 60_000);

testWith(
  lacksProgram("promtool"),
  "promtool finds nothing wrong with its metrics",
  async () => {
    await asked(least);
    const page = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    expect(page).toContain("dynamo_planner_num_decode_replicas");
    const tool = Bun.spawn(["promtool", "check", "metrics"], {
      ...{ stdin: new Blob([page]), stdout: "pipe", stderr: "pipe" },
    });
    const said = (await new Response(tool.stderr).text()).trim();
    await tool.exited;
    // Dynamo's name and unit.
    expect(said).toBe('dynamo_planner_gpu_hours use base unit "seconds" instead of "hours"');
  },
  30_000,
);

test("killed right after a PATCH, it comes back with the number; a new worker that is killed, too", async () => {
  expect(await asked(least, { min_endpoint: 3 })).toMatchObject({ min_endpoint: 3 });
  const [planner = 0] = await pidsOf(cluster, "planner");
  process.kill(planner, "SIGKILL");
  await until("another planner", START_MS, async () => {
    const [now = planner] = await pidsOf(cluster, "planner").catch(() => [planner]);
    return now !== planner;
  });
  expect(await asked(least)).toMatchObject({ min_endpoint: 3 });
  await servesAs(cluster, "worker-0", "worker-1", "worker-2");
  const added = await pidOfWorker(cluster, "worker-2");
  process.kill(added, "SIGKILL");
  await until("its next process", START_MS, async () => {
    return (await pidOfWorker(cluster, "worker-2").catch(() => added)) !== added;
  });
  // The same worker is back, and none was started beside it.
  await servesAs(cluster, "worker-0", "worker-1", "worker-2");
  expect(await asked(least)).toMatchObject({ min_endpoint: 3 });
}, 120_000);

test("prefill and decode workers are scaled each by its own number", async () => {
  const roles = ["--prefill", "1", "--decode", "1", "--kv-host-bytes", "64MB"];
  const door = ["--planner-config", file, "--planner-min-endpoints-port", `${two_roles}`];
  await using pairs = await startCluster(["--engine", "mocker", ...roles, ...door]);
  await asked(two_roles, { prefill_min_endpoint: 2 });
  await servesAs(pairs, "decode-0", "prefill-0", "prefill-1");
  expect(await asked(two_roles, { decode_min_endpoint: 2 })).toMatchObject({
    ...{ mode: "disagg", prefill_min_endpoint: 2, decode_min_endpoint: 2 },
  });
  await servesAs(pairs, "decode-0", "decode-1", "prefill-0", "prefill-1");
}, 120_000);
