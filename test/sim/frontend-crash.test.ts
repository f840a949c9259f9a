/** An actor of a frontend crashes under live streams: each is told where to go on, and does. */
import { expect, test } from "bun:test";
import { simClient, simWorld } from "../support/worlds/sim-world.ts";

test.each([
  ["the parent of all streams", "/frontend/answers "],
  ["one stream", "/frontend/answers/"],
  ["the door", "/frontend/door "],
])(
  "%s crashes",
  async (_, match) => {
    for (let seed = 1; seed <= 5; seed++) {
      const { simulation, cluster } = await simWorld(seed, ["--workers=2"]);
      const clients = [1, 2, 3].map((choices) =>
        simClient(cluster, `s${choices}`, { choices, seed: choices, logprobs: choices === 2 }),
      );
      await simulation.run(300 + 150 * seed);
      for (const each of clients) expect(each.tokens).toBeGreaterThan(0);
      for (const each of clients) expect(each.outcome).toBeUndefined();
      const injector = cluster.injectors.get(cluster.processes.get("frontend-0")!)!;
      injector.set({ seed, rules: [{ point: "step.before", match, do: "crash", times: 1 }] });
      await simulation.run(30_000);
      expect(injector.done.get("step.before crash")).toBe(1);
      const told = clients.map(({ complaint, outcome }) => ({ complaint, outcome }));
      expect(told).toEqual(
        clients.map(() => ({ complaint: undefined, outcome: { kind: "complete" } })),
      );
      expect(clients.reduce((sum, each) => sum + each.resumed, 0)).toBeGreaterThan(0);
    }
  },
  60_000,
);
