/** A frontend process dies: careful clients take their answers up again wherever they can. */
import { pidsOf } from "../../../support/cluster.ts";
import { askAgain } from "../idempotent-client.ts";
import type { Row } from "../row.ts";
import { midway, somePid, underFault } from "../scenario.ts";

const engines = ["mocker", "llama"] as const;

export const frontendRows: readonly Row[] = [
  {
    name: "frontend",
    what: "kill -9 one of 2 frontends under 200 streams of resuming clients",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2", "--frontends", "2", "--decode-speedup-ratio", "0.25"],
        flock: { requests: 200, concurrency: 200, tokens: 160, every_ms: 2 },
        fault: async (running) => {
          await midway(running, 30);
          process.kill(await somePid(running, "frontend"), "SIGKILL");
          return {};
        },
      }),
  },
  {
    name: "frontend-only",
    what: "kill -9 the only frontend; its supervisor starts another",
    engines,
    quick: true,
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: { tokens: world.quick ? 128 : 256, requests: 24 },
        fault: async (running) => {
          await midway(running, 30);
          process.kill(await somePid(running, "frontend"), "SIGKILL");
          return {};
        },
      }),
  },
  {
    name: "frontend-idempotent",
    what: "kill -9 a frontend under requests without stream, sent again with their Idempotency-Key",
    engines: ["mocker"],
    run: (world) =>
      askAgain(world, 32, async (cluster) => {
        const [pid = 0] = await pidsOf(cluster, "frontend");
        process.kill(pid, "SIGKILL");
      }),
  },
];
