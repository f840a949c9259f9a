/** A worker that keeps ending is tried again slowly, named by /health meanwhile, and comes back. */
import { expect, test } from "bun:test";
import type { Simulation } from "../../runtime/simulation/simulation.ts";
import { simWorld } from "../support/worlds/sim-world.ts";
import { DOOR_PORT, type World } from "./world/world.ts";

/** What `GET /health` says now. */
async function health(simulation: Simulation, cluster: World) {
  let text = "";
  let status = 0;
  let over = "";
  const request = { method: "GET", path: "/health", headers: {}, body: "" };
  cluster.http.request(DOOR_PORT, request, {
    head: (code) => {
      status = code;
    },
    data: (bytes) => {
      text += new TextDecoder().decode(bytes);
    },
    ended: () => {
      over = "ended";
    },
    failed: (why) => {
      over = why;
    },
  });
  await simulation.run(200);
  expect(over).toBe("ended");
  const { crash_loops } = JSON.parse(text) as { crash_loops?: string[] };
  return { status, crash_loops };
}

const slot = "/cluster/workers/worker-0";

test.each([1, 2, 3])(
  "seed %d: 9 kills in a row, and the slot is filled again",
  async (seed) => {
    const { simulation, cluster } = await simWorld(seed, ["--workers=2"]);
    const root = () => cluster.processes.get("root")!.system!;
    const metric = () =>
      /troupe_process_crash_loop\{process="worker-0"\} (\d)/.exec(root().metrics.render())?.[1];
    const state = () =>
      root()
        .tree()
        .find(({ path }) => path === slot)?.state;
    const told = () =>
      cluster.log.filter(({ level, message }) => level === "error" && /keeps ending/.test(message));
    const waits_ms: number[] = [];
    for (let kills = 0; kills < 9; kills++) {
      const dead_ms = simulation.clock.now_ms();
      expect(cluster.kill("worker-0")).toBe(true);
      await simulation.run(100);
      while (!cluster.processes.has("worker-0")) {
        await simulation.run(50);
        expect(simulation.clock.now_ms() - dead_ms).toBeLessThan(61_000);
      }
      waits_ms.push(simulation.clock.now_ms() - dead_ms);
      await simulation.run(500);
      const looping = kills >= 5;
      expect(state()).toBe(looping ? "crash_loop" : "running");
      expect(metric()).toBe(looping ? "1" : "0");
      expect(told().length).toBe(looping ? 1 : 0);
      expect(await health(simulation, cluster)).toEqual({
        status: 200,
        crash_loops: looping ? ["worker-0"] : undefined,
      });
    }
    expect(told()[0]?.message).toMatch(/^worker-0 keeps ending, more than 5 times within 60 s/);
    // Less jitter of at most a half, more the time to see an end and to start.
    const bounds_ms = [100, 200, 400, 800, 1_600, 5_000, 10_000, 20_000, 40_000];
    for (const [kill, full_ms] of bounds_ms.entries()) {
      expect(waits_ms[kill]).toBeGreaterThan(full_ms / 2 - 1);
      expect(waits_ms[kill]).toBeLessThan(full_ms + 400);
    }
    await simulation.run(62_000);
    expect(state()).toBe("running");
    expect(cluster.log.some(({ message }) => /^worker-0 does not keep ending/.test(message))).toBe(
      true,
    );
    expect(metric()).toBe("0");
    expect((await health(simulation, cluster)).crash_loops).toBeUndefined();
    expect(cluster.lost).toBeUndefined();
  },
  60_000,
);

test("a slot that loops and is killed by a person begins anew", async () => {
  const { simulation, cluster } = await simWorld(4, ["--workers=2"]);
  const root = cluster.processes.get("root")!.system!;
  for (let kills = 0; kills < 6; kills++) {
    while (!cluster.kill("worker-0")) await simulation.run(50);
    await simulation.run(500);
  }
  expect((await health(simulation, cluster)).crash_loops).toEqual(["worker-0"]);
  expect(root.control(slot, "kill")).toBe(true);
  await simulation.run(1_500);
  expect(cluster.processes.has("worker-0")).toBe(true);
  expect((await health(simulation, cluster)).crash_loops).toBeUndefined();
  expect(root.metrics.render()).toContain('troupe_process_crash_loop{process="worker-0"} 0');
}, 30_000);
