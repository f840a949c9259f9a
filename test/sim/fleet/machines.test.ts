/** Workers of another machine are added and retired over the inspector of the first one. */
import { expect, test } from "bun:test";
import type { Pool } from "../../../proto/index.ts";
import { askInspector } from "../../support/inspector/sim-inspector.ts";
import { simClient, simWorld } from "../../support/worlds/sim-world.ts";

type Machines = { readonly machines: readonly Pool[] };

test("each machine has a pool, named by its root, and names its own workers", async () => {
  const world = await simWorld(21, ["--workers=1"], ["--workers=1"]);
  const { simulation, cluster } = world;
  await simulation.run(2_000);
  const machines = async () => {
    const { body } = await askInspector<Machines>(world, "GET", "/api/workers");
    return body.machines.map(({ machine, workers }) => ({
      machine,
      workers: workers.map(({ worker }) => worker),
    }));
  };
  const [here = "", there = ""] = (await machines()).map(({ machine }) => machine).sort();
  expect([here.slice(0, 5), there.slice(0, 6)]).toEqual(["here-", "there-"]);
  const client = simClient(cluster, "all the time", { max_tokens: 400 });
  const added = await askInspector(world, "POST", "/api/workers", { machine: there });
  expect(added).toMatchObject({ status: 200, body: { workers: [`${there}.worker-1`] } });
  const none = await askInspector<{ error: string }>(world, "POST", "/api/workers", {
    machine: "nowhere",
  });
  expect([none.status, none.body.error]).toEqual([
    404,
    expect.stringContaining("no machine nowhere has workers"),
  ]);
  const gone = await askInspector(world, "DELETE", "/api/workers", {
    workers: [`${there}.worker-0`, `${here}.worker-0`],
  });
  expect(gone.status).toBe(200);
  const left = (await machines()).sort((a, b) => (a.machine < b.machine ? -1 : 1));
  expect(left).toEqual([
    { machine: here, workers: [] },
    { machine: there, workers: [`${there}.worker-1`] },
  ]);
  await simulation.run(20_000);
  expect([client.complaint, client.outcome?.kind]).toEqual([undefined, "complete"]);
}, 60_000);

test("several workers of another machine are retired at once, each one time, and taken back", async () => {
  const world = await simWorld(22, ["--workers=1"], ["--workers=3"]);
  await world.simulation.run(2_000);
  const workers = async () => {
    const { body } = await askInspector<Machines>(world, "GET", "/api/workers");
    return body.machines.flatMap((each) => each.workers.map(({ worker }) => worker)).sort();
  };
  const there = (await workers()).filter((name) => name.startsWith("there-"));
  expect(there.length).toBe(3);
  const [one = "", two = ""] = there;
  const gone = await askInspector<{ act: string; workers: { worker: string }[] }>(
    world,
    "DELETE",
    "/api/workers",
    { workers: [one, two, one] },
  );
  expect(gone.body.workers.map(({ worker }) => worker)).toEqual([one, two]);
  expect((await workers()).filter((name) => there.includes(name))).toEqual(there.slice(2));
  const back = await askInspector(world, "POST", `/api/acts/${gone.body.act}/undo`);
  expect(back).toMatchObject({
    status: 200,
    body: { workers: [expect.any(String), expect.any(String)] },
  });
}, 60_000);
