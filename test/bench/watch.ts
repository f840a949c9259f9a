/**
 * `bun run bench watch`: what pages that are open cost. The front door under load with a page and
 * without one, in turn; ten thousand idle actors beside busy ones in one process; and a tree of
 * which a thousand rows a second change. It takes about three minutes.
 */
import { cpuMs, tree } from "../support/cluster.ts";
import { openPage } from "../support/inspector/live-page.ts";
import type { Report } from "./bench.ts";
import { type Door, startDoor } from "./frontend.ts";
import { type DoorCase, doorCases, doorPlan, nameOf } from "./load/front-door.ts";
import { runLoad } from "./load/run-load.ts";
import { summarize } from "./load/summary.ts";
import { benchWatchedActors, benchWatchedUpdates } from "./parts/watched-actors.ts";
import { errorOfMedian, median, rounded } from "./statistics.ts";

/** Each watched phase stands between two without a page. */
const watched_phases = 14;
const phase_ms = 2_000;
/** Before each phase; what is measured ends this long after the last page has left. */
const rest_ms = 1_200;
/** Connections are warm then. */
const warm_up = 64;
/** What a page of the inspector may show at once. */
const watch = ["tree", "requests", "load", "kv", "acts"];

export async function benchWatch(report: Report): Promise<void> {
  await benchWatchedDoor(report);
  for (const row of await benchWatchedActors()) report(row);
  report(await benchWatchedUpdates());
}

async function benchWatchedDoor(report: Report): Promise<void> {
  await using door = await startDoor();
  const one = doorCases.find(({ concurrency }) => concurrency === 64)!;
  const roles = await rolesOf(door);
  {
    // Compilers have seen both before anything counts.
    using _ = openPage(door.cluster.inspector, { watch });
    await runLoad(doorPlan(door, one, 1_000));
  }
  const alone = [await phase(door, one, roles)];
  const watched: Phase[] = [];
  const seen = { frames: 0, bytes: 0 };
  for (let at = 0; at < watched_phases; at++) {
    using page = openPage(door.cluster.inspector, { watch });
    await page.until("tree", () => true);
    const before = { frames: page.frames, bytes: page.bytes };
    watched.push(await phase(door, one, roles));
    seen.frames += page.frames - before.frames;
    seen.bytes += page.bytes - before.bytes;
    page[Symbol.dispose]();
    alone.push(await phase(door, one, roles));
    if (at === 0) await checkRested(door);
  }
  const beside = watched.map((_, at) => [alone[at]!, alone[at + 1]!] as const);
  const cpu = beside.map(([a, b], at) => (a.cpu_us + b.cpu_us) / 2 / watched[at]!.cpu_us);
  const same = beside.map(([a, b]) => a.cpu_us / b.cpu_us);
  const rates = beside.map(
    ([a, b], at) => (2 * watched[at]!.req_per_s) / (a.req_per_s + b.req_per_s),
  );
  const watched_s = (watched_phases * (phase_ms + rest_ms)) / 1_000;
  report({
    case: `front door, ${nameOf(one)}`,
    // Of the cluster's processes, for a request: other programs of the machine change it less.
    ...withError("cpu_ratio", cpu),
    // What the same comparison says where there is nothing to find.
    ...withError("cpu_ratio_alone_twice", same),
    ratio: rounded(median(rates), 3),
    req_per_s: rounded(median(alone.map(({ req_per_s }) => req_per_s)), 0),
    req_per_s_watched: rounded(median(watched.map(({ req_per_s }) => req_per_s)), 0),
    us_alone: byRole(alone),
    us_watched: byRole(watched),
    ratios: cpu.map((ratio) => ratio.toFixed(3)).join(" "),
    ratios_alone_twice: same.map((ratio) => ratio.toFixed(3)).join(" "),
    frames_per_s: rounded(seen.frames / watched_s, 1),
    kb_per_s: rounded(seen.bytes / 1_000 / watched_s, 1),
  });
}

const withError = (name: string, ratios: readonly number[]) => ({
  [name]: rounded(median(ratios), 3),
  [`${name}_error`]: rounded(errorOfMedian(ratios), 3),
});

/** Processor time for one request: of all processes of the cluster, and by their role. */
type Phase = {
  readonly req_per_s: number;
  readonly cpu_us: number;
  readonly by_role: ReadonlyMap<string, number>;
};
/** By pid. */
type Roles = ReadonlyMap<number, string>;

async function rolesOf({ cluster }: Door): Promise<Roles> {
  const processes = (await tree(cluster)).filter(({ kind }) => kind === "process");
  return new Map([
    [cluster.pid, "root"],
    ...processes.map(({ pid, role }) => [pid, role] as const),
  ]);
}

async function phase(door: Door, one: DoorCase, roles: Roles): Promise<Phase> {
  await Bun.sleep(rest_ms);
  const plan = { ...doorPlan(door, one, phase_ms), warm_up };
  const before_ms = new Map([...roles.keys()].map((pid) => [pid, cpuMs(pid)]));
  const { req_per_s, errors, completed } = summarize(plan, await runLoad(plan));
  if (errors > 0) throw new Error(`${errors} requests failed: their rate says nothing`);
  const by_role = new Map<string, number>();
  let cpu_us = 0;
  for (const [pid, role] of roles) {
    const used_us = ((cpuMs(pid) - before_ms.get(pid)!) * 1_000) / (completed + warm_up);
    by_role.set(role, (by_role.get(role) ?? 0) + used_us);
    cpu_us += used_us;
  }
  return { req_per_s, cpu_us, by_role };
}

/** As `frontend 420 worker 130 root 12`. */
function byRole(phases: readonly Phase[]): string {
  const roles = [...(phases[0]?.by_role.keys() ?? [])];
  const used_us = (role: string) => median(phases.map(({ by_role }) => by_role.get(role) ?? 0));
  return roles.map((role) => `${role} ${rounded(used_us(role), 0)}`).join(" ");
}

/** Throws when the page before goes on costing something. */
async function checkRested(door: Door): Promise<void> {
  const id = encodeURIComponent("frontend-0/frontend/inspector");
  const response = await fetch(`${door.cluster.inspector}/api/actors/${id}/snapshot`);
  const { snapshot } = (await response.json()) as { snapshot?: { watches?: number } };
  if (snapshot?.watches !== 0) throw new Error("the frontend is watched after the page has left");
}
