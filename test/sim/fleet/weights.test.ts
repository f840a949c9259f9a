/** Weights that are changed while a cluster runs hold in all routers, those of later, too. */
import { expect, test } from "bun:test";
import { codecs, type RouterMessage } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { askInspector } from "../../support/inspector/sim-inspector.ts";
import { simClient, simWorld } from "../../support/worlds/sim-world.ts";
import type { World } from "../world/world.ts";

/** When the weights were set that hold in each router. */
function setAt(cluster: World): Record<string, unknown> {
  const rows = [...cluster.processes].flatMap(([node, { system }]) => {
    const path = node.startsWith("router") ? "/router/router" : "/frontend/router";
    const snapshot = system?.snapshot(path);
    return snapshot === undefined ? [] : [[node, snapshot["weights_set_ms"]] as const];
  });
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

type Page = { readonly weights: object; readonly routers: object };

const put = (world: Awaited<ReturnType<typeof simWorld>>, weights: Record<string, number | null>) =>
  askInspector<Page>(world, "PUT", "/api/router", { weights });

test("all routers take them, and a restarted one and its successor have them, too", async () => {
  const world = await simWorld(11, ["--workers=2", "--frontends=2", "--routers=1"]);
  const { simulation, cluster } = world;
  await simulation.run(500);
  expect(setAt(cluster)).toEqual({ "frontend-0": 0, "frontend-1": 0, "router-0": 0 });
  const { status, body } = await put(world, { crowd_weight: 1, temperature: 0.5 });
  expect([status, body.routers]).toEqual([200, { told: 3, silent: 0 }]);
  expect(body.weights).toMatchObject({ crowd_weight: 1, temperature: 0.5 });
  const first = setAt(cluster);
  const [at] = Object.values(first);
  expect(first).toEqual({ "frontend-0": at, "frontend-1": at, "router-0": at });
  expect(at).toBeGreaterThan(0);
  // A router alone, its process, and the registry.
  cluster.processes.get("frontend-1")?.system?.control("/frontend/router", "kill");
  cluster.kill("frontend-0");
  cluster.kill("router-0");
  cluster.processes.get("root")?.system?.control("/cluster/registry", "kill");
  await simulation.run(10_000);
  expect(setAt(cluster)).toEqual(first);
  const client = simClient(cluster, "later", { max_tokens: 20 });
  const back = await put(world, { temperature: null });
  expect(back.body.weights).toMatchObject({ crowd_weight: 1, temperature: 0 });
  await simulation.run(5_000);
  expect([client.complaint, client.outcome?.kind]).toEqual([undefined, "complete"]);
}, 60_000);

test("weights that come late do not take the place of later ones", async () => {
  const { simulation, cluster } = await simWorld(12, ["--workers=1"]);
  await simulation.run(500);
  const system = cluster.processes.get("frontend-0")!.system!;
  const router = system.lookup("/frontend/router") as Ref<RouterMessage>;
  const tell = async (set_ms: number) => {
    const weights = { items: [{ name: "patience", value: set_ms }], set_ms };
    const wire = codecs.RouterWeights.decode(codecs.RouterWeights.encode(weights).finish());
    const message = { kind: "set_weights", weights: wire } as const;
    const answer = system.ask(router, message, { deadline_ms: 1_000 });
    await simulation.run(10);
    return await answer;
  };
  expect(await tell(20)).toMatchObject({ supported: true, set_ms: 20 });
  expect(await tell(10)).toMatchObject({ set_ms: 20 });
  expect(await tell(21)).toMatchObject({ set_ms: 21 });
});
