/**
 * `bun run bench watch`: what pages that are open cost, as a ratio of rates with and without one,
 * in turn: the front door under load; ten thousand idle actors beside busy ones in one process; and
 * a tree of which a thousand rows a second change.
 */
import { cpuMs, descendants } from "../support/cluster.ts";
import { openPage } from "../support/inspector/live-page.ts";
import type { Report } from "./bench.ts";
import { type Door, startDoor } from "./frontend.ts";
import { doorCases, doorPlan, nameOf } from "./load/front-door.ts";
import { runLoad } from "./load/run-load.ts";
import { summarize } from "./load/summary.ts";
import { benchWatchedActors, benchWatchedUpdates } from "./parts/watched-actors.ts";
import { median, rounded } from "./statistics.ts";

const rounds = 6;
const phase_ms = 5_000;
/** Compilers and connections are warm already. */
const warm_up = 500;
/** What a page of the inspector may show at once. */
const watch = ["tree", "requests", "load", "kv", "acts"];

export async function benchWatch(report: Report): Promise<void> {
  for (const row of await benchWatchedActors()) report(row);
  report(await benchWatchedUpdates());
  await using door = await startDoor();
  const one = doorCases.find(({ concurrency }) => concurrency === 64)!;
  await runLoad(doorPlan(door, one, 1_000));
  const rates: { alone: Phase; watched: Phase }[] = [];
  let frames = 0;
  let bytes = 0;
  for (let round = 0; round < rounds; round++) {
    const rate = { alone: none, watched: none };
    // Who is first changes from round to round.
    for (const which of round % 2 === 0 ? order : order.toReversed()) {
      if (which === "alone") {
        rate.alone = await phase(door, one);
        continue;
      }
      using page = openPage(door.cluster.inspector, { watch });
      await page.until("tree", () => true);
      const before = { frames: page.frames, bytes: page.bytes };
      rate.watched = await phase(door, one);
      frames += page.frames - before.frames;
      bytes += page.bytes - before.bytes;
      page[Symbol.dispose]();
      await restOf(door);
    }
    rates.push(rate);
  }
  const watched_s = (rounds * phase_ms) / 1_000;
  const ratios = rates.map(({ alone, watched }) => watched.req_per_s / alone.req_per_s);
  report({
    case: `front door, ${nameOf(one)}`,
    ratio: rounded(median(ratios), 3),
    // Of the cluster's processes, for a request: other programs of the machine change it less.
    cpu_ratio: rounded(median(rates.map(({ alone, watched }) => alone.cpu_ms / watched.cpu_ms)), 3),
    req_per_s: rounded(median(rates.map(({ alone }) => alone.req_per_s)), 0),
    req_per_s_watched: rounded(median(rates.map(({ watched }) => watched.req_per_s)), 0),
    ratios: ratios.map((ratio) => rounded(ratio, 3)).join(" "),
    frames_per_s: rounded(frames / watched_s, 1),
    kb_per_s: rounded(bytes / 1_000 / watched_s, 1),
  });
}

const order = ["alone", "watched"] as const;

/** Processor time of all processes of the cluster, for one request. */
type Phase = { readonly req_per_s: number; readonly cpu_ms: number };
const none: Phase = { req_per_s: 0, cpu_ms: 0 };

async function phase(door: Door, one: (typeof doorCases)[number]): Promise<Phase> {
  const plan = { ...doorPlan(door, one, phase_ms), warm_up };
  const { cluster } = door;
  const pids = [cluster.pid, ...descendants(cluster.pid)];
  const used_ms = () => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
  const before_ms = used_ms();
  const { req_per_s, errors, completed } = summarize(plan, await runLoad(plan));
  if (errors > 0) throw new Error(`${errors} requests failed: their rate says nothing`);
  return { req_per_s, cpu_ms: (used_ms() - before_ms) / (completed + warm_up) };
}

/** Processes measure on for a while after the last page has left. */
async function restOf(door: Door): Promise<void> {
  const id = encodeURIComponent("frontend-0/frontend/inspector");
  for (let tries = 0; tries < 120; tries++) {
    const response = await fetch(`${door.cluster.inspector}/api/actors/${id}/snapshot`);
    const { snapshot } = (await response.json()) as { snapshot?: { watches?: number } };
    if (snapshot?.watches === 0) return;
    await Bun.sleep(250);
  }
  throw new Error("the frontend is still watched half a minute after the page has left");
}
