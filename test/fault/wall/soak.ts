/**
 * Hours in minutes: requests at a steady rate while workers are killed, and a line through what
 * each long-lived process holds in memory and in open descriptors.
 */
import { readdirSync } from "node:fs";
import { alive, type Cluster, pidsOf, residentMb, tree } from "../../support/cluster.ts";
import type { Row } from "./row.ts";
import { type Running, underFault } from "./scenario.ts";

const rate_per_s = 200;
const tokens = 16;
const kill_every_ms = 10_000;
const sample_every_ms = 2_000;
const slope_max_mb_per_min = 1;
const descriptors_more_max = 50;
/** Below this a line says nothing: heaps go up and down by megabytes. */
const judged_s = 240;

type Sample = { readonly at_s: number; readonly resident_mb: number; readonly descriptors: number };

export const soakRow: Row = {
  name: "soak",
  what: `${rate_per_s} requests/s for --minutes while a worker is killed every 10 s`,
  engines: ["mocker"],
  on_demand: true,
  run: (world) => {
    const problems: string[] = [];
    const total = Math.round(world.minutes * 60 * rate_per_s);
    return underFault(world, {
      // Caches of this size are full within the warm-up, and do not look like a leak.
      args: ["--workers", "8", "--frontends", "2", "--num-blocks", "2048"],
      speedup: 10,
      flock: { requests: total, concurrency: 512, per_s: rate_per_s, tokens },
      fault: async (running) => {
        const lines = linesOf(await watch(running, world.minutes * 60_000));
        for (const { name, watched_s, resident_mb, slope, descriptors, more } of lines) {
          world.say(
            `${name.padEnd(20)} ${Math.round(watched_s)} s, ${Math.round(resident_mb)} MB, ` +
              `${slope.toFixed(2)} MB/min, ${descriptors} descriptors (${more} more)`,
          );
          if (watched_s < judged_s) continue;
          if (slope > slope_max_mb_per_min) {
            problems.push(`${name} grows by ${slope.toFixed(2)} MB a minute`);
          }
          if (more > descriptors_more_max) problems.push(`${name} has ${more} more descriptors`);
        }
        const long = lines.filter(({ watched_s }) => watched_s >= judged_s);
        return {
          processes: long.length,
          resident_mb_max: Math.max(0, ...long.map(({ resident_mb }) => resident_mb)),
          slope_max_mb_per_min: Math.max(0, ...long.map(({ slope }) => slope)).toFixed(2),
          descriptors_more_max: Math.max(0, ...long.map(({ more }) => more)),
        };
      },
      after: async () => problems,
    });
  },
};

async function watch({ cluster, flock, world }: Running, for_ms: number) {
  const samples = new Map<string, Sample[]>();
  const began_ms = performance.now();
  let killed_ms = began_ms;
  let kills = 0;
  while (performance.now() - began_ms < for_ms && !flock.stopping) {
    const at_s = (performance.now() - began_ms) / 1000;
    for (const { name, pid } of await processesOf(cluster)) {
      const list = samples.get(name) ?? [];
      samples.set(name, list);
      try {
        const descriptors = readdirSync(`/proc/${pid}/fd`).length;
        list.push({ at_s, resident_mb: residentMb(pid), descriptors });
      } catch {
        // It ended between the two looks.
      }
    }
    if (performance.now() - killed_ms >= kill_every_ms) {
      killed_ms = performance.now();
      // The first half of the workers take turns, so that the others are watched for long.
      const pids = (await pidsOf(cluster, "worker")).filter((pid) => pid > 0 && alive(pid));
      const pid = pids.slice(0, Math.ceil(pids.length / 2))[kills++ % Math.ceil(pids.length / 2)];
      if (pid !== undefined) process.kill(pid, "SIGKILL");
      world.say(`${Math.round(at_s)} s: ${flock.finished} answers, ${kills} kills`);
    }
    await Bun.sleep(sample_every_ms);
  }
  return samples;
}

async function processesOf(cluster: Cluster) {
  const nodes = (await tree(cluster)).filter(({ kind, pid }) => kind === "process" && alive(pid));
  const named = nodes.map(({ path, pid }) => ({ name: `${path.split("/").at(-2)} ${pid}`, pid }));
  return [{ name: "root", pid: cluster.pid }, ...named];
}

/** What each process's samples say once it is warm: caches are full then, code is compiled. */
function linesOf(samples: ReadonlyMap<string, readonly Sample[]>) {
  return [...samples].flatMap(([name, list]) => {
    const late = list.slice(Math.floor(list.length / 3));
    const first = late[0];
    const last = late.at(-1);
    if (first === undefined || last === undefined || last === first) return [];
    const slope = 60 * slopeOf(late.map(({ at_s, resident_mb }) => [at_s, resident_mb]));
    const { resident_mb, descriptors } = last;
    const more = descriptors - first.descriptors;
    return [{ name, watched_s: last.at_s - first.at_s, resident_mb, slope, descriptors, more }];
  });
}

/** Least squares. */
function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const x_mean = mean(([x]) => x);
  const y_mean = mean(([, y]) => y);
  const over = points.reduce((sum, [x, y]) => sum + (x - x_mean) * (y - y_mean), 0);
  const under = points.reduce((sum, [x]) => sum + (x - x_mean) ** 2, 0);
  return under === 0 ? 0 : over / under;
}
