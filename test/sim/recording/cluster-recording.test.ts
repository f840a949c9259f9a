/**
 * The whole cluster in the simulator records, with routers in a process of their own and pairs of
 * workers, while processes are killed and frozen; all that can be driven becomes what it was.
 */
import { expect, test } from "bun:test";
import { recipes } from "../../../cluster/recording/recipes.ts";
import { summarise } from "../../../cluster/recording/summary.ts";
import { drive } from "../../../runtime/observe/record/driven/drive.ts";
import { livesOf, openFolder } from "../../../runtime/observe/record/read-folder.ts";
// Loaded before time is virtual.
import "../../../runtime/observe/record/recorder.ts";
import { simClient, simWorld } from "../../support/worlds/sim-world.ts";

const worlds = [
  { flags: ["--workers=2"], kills: ["worker-0", "frontend-0"] },
  { flags: ["--workers=2", "--routers=1"], kills: ["worker-1", "router-0"] },
  { flags: ["--prefill=1", "--decode=2"], kills: ["prefill-0", "decode-0"] },
] as const;

const cases = worlds.flatMap((world, index) => [1, 2].map((seed) => [index, seed, world] as const));

test.each(cases)("what can be driven is what it was, world %d, seed %d", async (_, seed, world) => {
  const record = ["--record=/record", "--record-bytes=64MB"];
  const { simulation, cluster, files } = await simWorld(seed, [...world.flags, ...record]);
  const clients = Array.from({ length: 12 }, (_, i) =>
    simClient(cluster, `c${i}`, { seed: i, max_tokens: 40 + 10 * i, prompt: `a stream ${i % 3}` }),
  );
  await simulation.run(400);
  for (const node of world.kills) {
    cluster.kill(node);
    await simulation.run(2_000);
  }
  await simulation.run(20_000);
  expect(clients.map((client) => client.outcome?.kind)).not.toContain(undefined);
  const folder = await openFolder("/record", files);
  const driven: Record<string, number> = {};
  for (const { header, actors } of await summarise(folder, recipes)) {
    for (const { path, life, why_not } of actors) {
      if (why_not !== undefined) continue;
      const found = (await livesOf(folder, header.node, path))[life]!;
      const { differs, equal_until } = drive(found, recipes);
      expect({ node: header.node, path, differs }).toEqual({
        node: header.node,
        path,
        differs: undefined,
      });
      expect(equal_until).toBeDefined();
      const { recipe } = found.actor;
      driven[recipe] = (driven[recipe] ?? 0) + 1;
    }
  }
  expect(driven["router"]).toBeGreaterThan(0);
  expect(driven["stream"]).toBeGreaterThanOrEqual(clients.length);
  if (world.flags.some((flag) => flag === "--routers=1")) expect(driven["desk"]).toBeGreaterThan(0);
});
