/** A planner whose Redis goes away while it runs, and comes back with nothing. */
import { afterAll, expect } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pidsOf, startCluster, until } from "../../support/cluster.ts";
import { lacksProgram, testWith } from "../../support/needs.ts";
import { freePort, natsServer, redisServer, stopServers } from "../../support/plane-servers.ts";

afterAll(stopServers);

testWith(
  lacksProgram("nats-server", "redis-server"),
  "it holds what there is, tells what is lacking, and goes on by itself",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "planner-store-"));
    const file = join(folder, "planner.yaml");
    const paces =
      "load_adjustment_interval_seconds: 1\nthroughput_adjustment_interval_seconds: 5\n";
    writeFileSync(file, `optimization_target: load\nmax_workers: 4\n${paces}`);
    const [nats, redis] = await Promise.all([natsServer(), redisServer()]);
    const port = freePort("127.0.0.1");
    const planes = ["--nats", nats.url, "--redis", redis.url, "--planner-config", file];
    const doors = ["--planner-min-endpoints-port", `${port}`];
    await using cluster = await startCluster(["--engine", "mocker", ...planes, ...doors]);
    rmSync(folder, { recursive: true });
    const patch = async (min_endpoint: number): Promise<number> => {
      const change = { method: "PATCH", body: JSON.stringify({ min_endpoint }) };
      const url = `http://127.0.0.1:${port}/v1/min-endpoints`;
      return (await fetch(url, change).catch(() => undefined))?.status ?? 0;
    };
    const json = async (path: string) => await (await fetch(cluster.inspector + path)).json();
    const workers = async (): Promise<number> => {
      const { machines } = (await json("/api/workers")) as {
        readonly machines: readonly { readonly workers: readonly { readonly state: string }[] }[];
      };
      const all = machines.flatMap((machine) => machine.workers);
      return all.filter(({ state }) => state === "serving").length;
    };
    const standing = async (): Promise<string> => {
      const { planners } = (await json("/api/planner")) as {
        readonly planners: readonly { readonly standing: string }[];
      };
      return planners[0]?.standing ?? "";
    };
    await until("a planner", 30_000, async () => (await patch(2)) === 200);
    await until("two workers", 30_000, async () => (await workers()) === 2);
    const [planner] = await pidsOf(cluster, "planner");
    await redis.stop();
    await until("it waits", 30_000, async () => (await standing()) === "waits");
    expect(await patch(3)).toBe(503);
    expect(await workers()).toBe(2);
    await redis.start();
    await until("its change", 30_000, async () => (await patch(3)) === 200);
    await until("three workers", 30_000, async () => (await workers()) === 3);
    expect(await standing()).toBe("decides");
    expect(await pidsOf(cluster, "planner")).toEqual([planner ?? 0]);
  },
  150_000,
);
