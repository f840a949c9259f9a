/** A process that is stopped keeps its connections and says nothing; it may wake up again. */
import { alive, descendants } from "../../../support/cluster.ts";
import type { Row } from "../row.ts";
import { midway, somePid, underFault } from "../scenario.ts";

const freeze = (role: "worker" | "frontend", for_ms: number) => {
  return async (running: Parameters<typeof midway>[0]) => {
    await midway(running, 20, 0.5);
    const pid = await somePid(running, role);
    process.kill(pid, "SIGSTOP");
    const stopped_ms = performance.now();
    while (performance.now() - stopped_ms < for_ms && alive(pid)) await Bun.sleep(10);
    const killed_after_ms = alive(pid) ? 0 : performance.now() - stopped_ms;
    if (alive(pid)) process.kill(pid, "SIGCONT");
    return { killed_after_ms };
  };
};

export const freezeRows: readonly Row[] = [
  {
    name: "stop-worker",
    what: "SIGSTOP a worker for 5 s",
    engines: ["mocker", "llama"],
    quick: true,
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: { tokens: world.quick ? 128 : 256, requests: 24, concurrency: 24 },
        fault: freeze("worker", 5_000),
      }),
  },
  {
    name: "stop-worker-briefly",
    what: "SIGSTOP a worker for 0.7 s: it goes on, and nothing comes twice",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: { tokens: 256, requests: 24, concurrency: 24 },
        fault: freeze("worker", 700),
      }),
  },
  {
    name: "stop-root",
    what: "SIGSTOP the root for 12 s, longer than a lease: its processes serve on",
    engines: ["mocker"],
    run: (world) => {
      const problems: string[] = [];
      return underFault(world, {
        args: ["--workers", "2"],
        flock: { tokens: 128, requests: 100_000, concurrency: 20 },
        fault: async (running) => {
          await midway(running, 10, 0.5);
          const { cluster, flock } = running;
          const before = descendants(cluster.pid).sort();
          process.kill(cluster.pid, "SIGSTOP");
          await Bun.sleep(12_000);
          process.kill(cluster.pid, "SIGCONT");
          await Bun.sleep(2_000);
          flock.stopping = true;
          const same = String(before) === String(descendants(cluster.pid).sort());
          if (!same) problems.push("processes of the node were replaced");
          return {};
        },
        after: async () => problems,
      });
    },
  },
  {
    name: "stop-frontend",
    what: "SIGSTOP one of 2 frontends for 5 s: its share of new connections goes to the other",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2", "--frontends", "2"],
        flock: { tokens: 64, requests: 300, concurrency: 30 },
        fault: freeze("frontend", 5_000),
      }),
  },
];
