/** Faults one after the other while requests go on arriving. */
import { alive, descendants, pidsOf, residentMb, until } from "../../../support/cluster.ts";
import type { Figures, Row } from "../row.ts";
import { midway, type Running, underFault } from "../scenario.ts";
import { soakRow } from "../soak.ts";

/**
 * A slot gives its process up after 5 restarts in 60 s, and the promise holds for answers that are
 * not hit twice within a second: who is killed is drawn within these bounds.
 */
const deaths_max = 5;

async function killAtRandom(running: Running, kills: number, every_ms: number): Promise<Figures> {
  const { cluster, flock, world } = running;
  const deaths = new Map<string, number>();
  let killed = 0;
  await midway(running, 5, 0.5);
  while (killed < kills && !flock.stopping) {
    const began_ms = performance.now();
    const processes = (await treeOf(running)).filter(
      ({ pid, slot }) => pid > 0 && alive(pid) && (deaths.get(slot) ?? 0) < deaths_max,
    );
    const victim = processes[world.random.u32() % Math.max(1, processes.length)];
    if (victim !== undefined) {
      process.kill(victim.pid, "SIGKILL");
      deaths.set(victim.slot, (deaths.get(victim.slot) ?? 0) + 1);
      killed += 1;
    }
    await Bun.sleep(Math.max(0, every_ms - (performance.now() - began_ms)));
  }
  flock.stopping = true;
  return { kills: killed, pids: descendants(cluster.pid).length };
}

async function treeOf({ cluster }: Running) {
  const { nodes } = (await (await fetch(`${cluster.inspector}/api/tree`)).json()) as {
    nodes: { kind: string; path: string; pid: number }[];
  };
  return nodes
    .filter(({ kind }) => kind === "process")
    .map(({ path, pid }) => ({ slot: path, pid }));
}

/** SIGTERM to one process after the other, each once its forerunner's successor serves. */
async function rollOver(running: Running): Promise<Figures> {
  const { cluster, flock } = running;
  await midway(running, 10, 0.5);
  let replaced = 0;
  for (const role of ["worker", "frontend"]) {
    for (const pid of await pidsOf(cluster, role)) {
      const count = (await pidsOf(cluster, role)).length;
      process.kill(pid, "SIGTERM");
      await until(`process ${pid} (${role}) to be replaced`, 45_000, async () => {
        const now = await pidsOf(cluster, role);
        return !alive(pid) && now.length === count && now.every((each) => each > 0);
      });
      await Bun.sleep(1_000);
      replaced += 1;
    }
  }
  flock.stopping = true;
  return { replaced };
}

export const stormRows: readonly Row[] = [
  {
    name: "rolling-restart",
    what: "SIGTERM every worker and frontend in turn under load",
    engines: ["mocker", "llama"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "3", "--frontends", "2"],
        flock: { requests: 100_000, concurrency: 24, tokens: 96 },
        fault: rollOver,
      }),
  },
  {
    name: "random-kills",
    what: "50 kill -9 in 60 s among 8 workers and 4 frontends under load",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        // Not too fast: twelve processes and their successors have to share the machine.
        args: ["--workers", "8", "--frontends", "4", "--decode-speedup-ratio", "0.4"],
        flock: { requests: 100_000, concurrency: 24, tokens: 96 },
        fault: (running) => killAtRandom(running, 50, 1_200),
      }),
  },
  {
    name: "churn",
    what: "1,536 requests while a worker is killed, and started again, every second",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "8"],
        flock: { requests: 1_536, concurrency: 64, tokens: 96 },
        fault: async ({ cluster, flock }) => {
          let kills = 0;
          const over = flock.ended.then(() => true);
          while (!(await Promise.race([over, Bun.sleep(1_000).then(() => false)]))) {
            const pids = (await pidsOf(cluster, "worker")).filter((pid) => pid > 0 && alive(pid));
            // In turn, so that no slot dies more often than it may.
            const pid = pids[kills % Math.max(1, pids.length)];
            if (pid === undefined || kills >= 8 * deaths_max) continue;
            process.kill(pid, "SIGKILL");
            kills += 1;
          }
          return { kills };
        },
      }),
  },
  {
    name: "both-holders",
    what: "kill -9 the worker and the frontend of all answers at once: a clean error, no hang",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "1"],
        flock: { requests: 24, concurrency: 24, tokens: 256 },
        errors_allowed: true,
        fault: async (running) => {
          await midway(running, 40, 0.5);
          const pids = await Promise.all(
            ["worker", "frontend"].map((r) => pidsOf(running.cluster, r)),
          );
          for (const pid of pids.flat()) process.kill(pid, "SIGKILL");
          const killed_ms = performance.now();
          await running.flock.ended;
          return { all_told_ms: performance.now() - killed_ms };
        },
      }),
  },
  {
    name: "overload",
    what: "2,000 requests at once for 8 places and a queue of 200: the rest is refused at once",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "1", "--max-num-seqs", "8", "--router-queue-requests", "200"],
        flock: {
          ...{ requests: 2_000, concurrency: 2_000, tokens: 64, every_ms: 1 },
          ...{ resumes: false, retries: false },
        },
        errors_allowed: true,
        fault: async ({ cluster, flock }) => {
          const refused = (await flock.ended).filter(({ state }) => state === "failed");
          const begun = refused.filter(({ ledger }) => ledger.first_ms !== undefined);
          if (begun.length > 0) throw new Error(`${begun.length} answers ended half-way`);
          const waits = refused.map(({ sent_ms, ended_ms }) => ended_ms - sent_ms);
          const largest_mb = Math.max(...descendants(cluster.pid).map(residentMb));
          return { refused_within_ms: Math.max(0, ...waits), largest_process_mb: largest_mb };
        },
      }),
  },
  soakRow,
];
