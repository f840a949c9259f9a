/** The root dies: its node's processes end with it, its clients hear of it, and it starts again. */
import { alive, descendants, startCluster, until } from "../../../support/cluster.ts";
import { engineArgs } from "../references.ts";
import type { Row } from "../row.ts";
import { leftWell, midway, underFault } from "../scenario.ts";

export const rootRows: readonly Row[] = [
  {
    name: "root",
    what: "kill -9 the root of the only node; it is started again on the same port",
    engines: ["mocker"],
    quick: true,
    run: (world) => {
      const problems: string[] = [];
      return underFault(world, {
        args: ["--workers", "2", "--frontends", "2"],
        flock: { tokens: 512, resumes: false, retries: false },
        errors_allowed: true,
        gone: true,
        fault: async (running) => {
          await midway(running, 20, 0.5);
          const { cluster, flock } = running;
          const children = descendants(cluster.pid);
          cluster.kill("SIGKILL");
          const killed_ms = performance.now();
          await until("all children to be gone", 5_000, () => !children.some(alive));
          const children_gone_ms = performance.now() - killed_ms;
          await flock.ended;
          const clients_told_ms = performance.now() - killed_ms;
          const { port } = new URL(cluster.url);
          await using again = await startCluster([
            ...engineArgs(world.engine, 1),
            ...["--port", port, "--workers", "2"],
          ]);
          problems.push(...(await leftWell({ cluster: again, world })));
          return { children_gone_ms, clients_told_ms, ready_again_ms: again.ready_ms };
        },
        after: async () => problems,
      });
    },
  },
];
