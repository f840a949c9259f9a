/**
 * What has to hold. `checkClients`: each request had the end that it may have. `checkQuiet`: after
 * everything ended and healed nothing is left of it, anywhere.
 */
import type { Snapshot } from "../../../runtime/kernel/actor.ts";
import { describeExit } from "../../../runtime/kernel/exit-reason.ts";
import type { TreeNode } from "../../../runtime/observe/tree.ts";
import { nodeOf } from "../../../runtime/remote/node.ts";
import type { Client } from "./client.ts";
import type { WorldFault } from "./faults.ts";
import type { SimulatedProcess } from "./process.ts";
import type { Scenario } from "./scenario.ts";
import { farWorker, request_timeout_ms, workersOf } from "./scenario.ts";
import { checkTiers } from "./tier-checks.ts";
import type { World } from "./world.ts";

const asksMax = 2;
/** A timer or two for each actor, heartbeats, meters: what an idle process may have. */
const idleTimersMax = 40;

/** The first thing that is wrong with how requests ended. */
export function checkClient(
  client: Client,
  scenario: Scenario,
  now_ms: number,
): string | undefined {
  const { request, manner } = client.options;
  const who = `${request.name} (${request.path}${request.stream ? ", streamed" : ""})`;
  if (client.complaint !== undefined) return `${who}: ${client.complaint}`;
  const { outcome } = client;
  if (outcome === undefined) {
    const open_ms = Math.round(now_ms - client.began_ms);
    if (open_ms < request_timeout_ms + 10_000) return undefined;
    return `${who}: hangs, open for ${open_ms} ms (${manner.kind})`;
  }
  if (outcome.kind === "complete" || outcome.kind === "left") return undefined;
  if (scenario.mode === "wild") return undefined;
  const hits = scenario.faults.filter((fault) => mayHarm(fault, client));
  const why = outcome.kind === "error" ? `${outcome.status} ${outcome.code}` : outcome.why;
  if (hits.some((fault) => excuses(fault, client, scenario))) return undefined;
  return `${who}: ${outcome.kind} after ${client.tokens} tokens: ${why}`;
}

/** Its life and the fault's, with the time to get over it, have something in common. */
function mayHarm(fault: WorldFault, client: Client): boolean {
  const grace_ms = 8_000;
  const end_ms = fault.at_ms + fault.for_ms + grace_ms;
  return fault.at_ms <= client.ended_ms && end_ms >= client.began_ms;
}

/**
 * What a client may lose to one fault: a request that cannot be taken up again dies with its
 * frontend, or with the actor there that owns it.
 */
function excuses(fault: WorldFault, client: Client, { frontends }: Scenario): boolean {
  const { outcome } = client;
  const { idempotency_key, resumes } = client.options;
  const frontend = [fault.node, fault.peer].find((node) => node.startsWith("frontend"));
  const hit = frontend !== undefined && client.frontends.includes(frontend);
  if (outcome?.kind === "broken") {
    const { begun } = client;
    return hit && !(begun && resumes) && !(!begun && idempotency_key !== "" && resumes);
  }
  if (outcome?.kind !== "error") return false;
  // Alone it keeps its port to the last, and says so to each; of several it leaves.
  if (fault.kind === "term" && hit && outcome.code === "draining") return frontends === 1;
  // A stream is told where to go on, a keyed request may come again: who does neither hears this.
  if (fault.kind === "crash" && hit && !client.begun) {
    return outcome.code === "interrupted" || outcome.code === "draining";
  }
  // A frontend that has just started does not know the models yet, and says so where it is alone.
  return frontends === 1 && outcome.status === 503 && outcome.code === "model_not_ready";
}

/** The first thing that is left over. */
export function checkQuiet(world: World, scenario: Scenario): string | undefined {
  if (world.lost !== undefined) return `the root is lost: ${world.lost}`;
  const expected = ["root"];
  for (let i = 0; i < scenario.workers; i++) expected.push(`worker-${scenario.per_process * i}`);
  if (scenario.there !== undefined) expected.push("root@there", farWorker);
  for (let i = 0; i < scenario.frontends; i++) expected.push(`frontend-${i}`);
  for (let i = 0; i < scenario.routers; i++) expected.push(`router-${i}`);
  if (scenario.slots > 0) expected.push("kv");
  for (const node of expected) {
    const process = world.processes.get(node);
    if (process?.system === undefined) return `${node} is not there`;
    const wrong = checkProcess(process, scenario);
    if (wrong !== undefined) return `${node}: ${wrong}`;
  }
  const extra = [...world.processes.keys()].find((node) => !expected.includes(node));
  if (extra !== undefined) return `${extra} should not be there`;
  return (
    checkRegistry(world, expected, scenario) ??
    checkCaches(world, expected, scenario) ??
    (scenario.slots > 0 ? checkTiers(world, scenario) : undefined)
  );
}

function checkProcess(process: SimulatedProcess, scenario: Scenario): string | undefined {
  const { system, node } = process;
  if (system === undefined) return "never started";
  for (const each of system.tree()) {
    const wrong = checkActor(each);
    if (wrong !== undefined) return `${each.path}: ${wrong}`;
  }
  for (const { node: peer, waiting_asks, queued_bytes } of nodeOf(system)?.peers() ?? []) {
    if (waiting_asks > asksMax) return `${waiting_asks} asks wait for ${peer}`;
    if (queued_bytes > 10_000) return `${queued_bytes} bytes wait for ${peer}`;
  }
  if (process.clock.pending > idleTimersMax * scenario.per_process)
    return `${process.clock.pending} timers are pending`;
  if (node.startsWith("worker")) {
    for (const worker of workersOf(scenario, node, system.node)) {
      const snapshot = system.snapshot(`/worker/${worker}`);
      // A canary is work of the engine that belongs to nobody, and is over in a moment.
      const probing = snapshot?.["probing"] === true;
      const wrong = zeros(snapshot, probing ? ["answers", "embeddings"] : workerZeros);
      if (wrong !== undefined) return `${worker}: ${wrong}`;
    }
    return undefined;
  }
  if (node.startsWith("router")) {
    return (
      zeros(system.snapshot("/router/desk"), ["requests"]) ??
      checkRouter(system.snapshot("/router/router"))
    );
  }
  if (!node.startsWith("frontend")) return undefined;
  return (
    zeros(system.snapshot("/frontend/answers"), ["answers"]) ??
    zeros(system.snapshot("/frontend/door"), ["live"]) ??
    checkRouter(system.snapshot("/frontend/router"))
  );
}

const workerZeros = ["answers", "embeddings", "running", "waiting", "used_blocks"];

function checkActor({ path, mailbox, state }: TreeNode): string | undefined {
  if (mailbox > 2) return `${mailbox} messages wait`;
  if (state !== "running" && state !== "waiting") return `it is ${state}`;
  if (/\/answers\/./.test(path)) return "an answer lives on";
  return undefined;
}

function zeros(snapshot: Snapshot | undefined, names: readonly string[]): string | undefined {
  if (snapshot === undefined) return "an actor is missing";
  const wrong = names.find((name) => snapshot[name] !== undefined && snapshot[name] !== 0);
  return wrong === undefined ? undefined : `${wrong} is ${String(snapshot[wrong])}`;
}

type RouterView = {
  readonly waiting: number;
  readonly held?: number;
  readonly sent_by_other_routers?: number;
  readonly routers?: readonly { router: string; listens: boolean; heard: number }[];
  readonly workers: readonly { worker: string; in_flight: number; suspect: boolean }[];
  readonly models?: readonly {
    readonly workers: readonly {
      worker: string;
      in_flight: number;
      active_blocks: number;
      backlog_tokens: number;
    }[];
  }[];
};

function checkRouter(snapshot: Snapshot | undefined): string | undefined {
  if (snapshot === undefined) return "there is no router";
  const view = snapshot as unknown as RouterView;
  if (view.waiting !== 0) return `router: ${view.waiting} requests wait`;
  if ((view.held ?? 0) !== 0) return `router: ${view.held} requests are held`;
  if ((view.sent_by_other_routers ?? 0) !== 0) {
    return `router: counts ${view.sent_by_other_routers} requests of others`;
  }
  const apart = view.routers?.find(({ listens, heard }) => !listens || heard === 0);
  if (apart !== undefined) return `router: does not live with ${JSON.stringify(view.routers)}`;
  for (const { worker, in_flight, suspect } of view.workers) {
    if (in_flight !== 0) return `router: ${in_flight} in flight at ${worker}`;
    if (suspect) return `router: ${worker} is still suspect`;
  }
  for (const { worker, active_blocks, backlog_tokens } of view.models?.flatMap(
    (model) => model.workers,
  ) ?? []) {
    if (active_blocks !== 0) return `router: ${active_blocks} active blocks at ${worker}`;
    if (backlog_tokens !== 0) return `router: ${backlog_tokens} tokens of backlog at ${worker}`;
  }
  return undefined;
}

function checkRegistry(
  world: World,
  places: readonly string[],
  scenario: Scenario,
): string | undefined {
  for (const root of places.filter((place) => place.startsWith("root"))) {
    const wrong = checkNames(world, root, places, scenario);
    if (wrong !== undefined) return `${root}: ${wrong}`;
  }
  return undefined;
}

/** The registry of each machine knows the names of all. */
function checkNames(
  world: World,
  root: string,
  places: readonly string[],
  scenario: Scenario,
): string | undefined {
  const { flags, there } = scenario;
  const kv = flags.includes("--router-mode=kv");
  const snapshot = world.processes.get(root)?.system?.snapshot("/cluster/registry");
  const keys = (snapshot?.["keys"] ?? []) as readonly string[];
  const wanted = places.flatMap((place) => {
    const node = world.processes.get(place)?.system?.node ?? place;
    const own = [`troupe/processes/${node}`];
    if (place.startsWith("worker")) {
      own.push(...workersOf(scenario, place, node).map((worker) => `troupe/workers/${worker}`));
    }
    // Every root here has workers, and so a keeper of their adapters and a pool.
    if (place.startsWith("root")) own.push(`troupe/adapters/${node}`, `troupe/pools/${node}`);
    if (place.startsWith("frontend")) own.push(`troupe/doors/${node}`);
    if (place.startsWith("router")) own.push(`troupe/desks/${node}`);
    if (place === "kv") own.push("troupe/kv/root");
    if (/^(frontend|router)/.test(place) && kv) own.push(`troupe/routers/${node}`);
    return own;
  });
  // One of all frontends has it.
  if (places.some((place) => place.startsWith("frontend"))) wanted.push("troupe/batch-runners/one");
  if (there !== undefined && snapshot?.["away"] !== false) return "the table of names is away";
  const missing = wanted.find((key) => !keys.includes(key));
  if (missing !== undefined) return `the registry does not know ${missing}`;
  const stale = keys.find((key) => !wanted.includes(key));
  return stale === undefined ? undefined : `the registry still knows ${stale}`;
}

type CacheView = { readonly worker: string; readonly state: string; readonly blocks: number };

/** What each router knows of each cache is what is in it. */
function checkCaches(
  world: World,
  nodes: readonly string[],
  scenario: Scenario,
): string | undefined {
  const routers = nodes.filter((each) => /^(frontend|router)/.test(each));
  for (const node of routers) {
    const path = node.startsWith("router") ? "/router/router" : "/frontend/router";
    const router = world.processes.get(node)?.system?.snapshot(path);
    const workers = (router?.["workers"] ?? []) as readonly { worker: string }[];
    const known = workers.map(({ worker }) => worker).sort();
    const places = nodes.filter((each) => each.startsWith("worker"));
    const placed = new Map(
      places.flatMap((place) => {
        const node = world.processes.get(place)?.system?.node ?? place;
        return workersOf(scenario, place, node).map((worker) => [worker, place] as const);
      }),
    );
    const there = [...placed.keys()].sort();
    if (known.join() !== there.join()) return `${node} routes to ${known.join()}`;
    for (const { worker, state, blocks } of (router?.["caches"] ?? []) as readonly CacheView[]) {
      const process = world.processes.get(placed.get(worker) ?? "");
      const own = process?.system?.snapshot(`/worker/${worker}`);
      if (state !== "live") return `${node}: the cache of ${worker} is ${state}`;
      if (blocks !== own?.["kv_told"]) {
        return `${node} knows ${blocks} blocks of ${worker}, which has ${own?.["kv_told"]}`;
      }
    }
  }
  return undefined;
}

const expectedCrashes = [/InjectedFault/, /ProcessDied/, /StartError/];

/** Crashes that nobody injected are bugs, whatever came of them. */
export function watchCrashes(world: World, found: (what: string) => void): void {
  const seen = new WeakSet<object>();
  world.onSystem = (process) => {
    const { system } = process;
    if (system === undefined || seen.has(system)) return;
    seen.add(system);
    system.onCrash(({ reason, offender }) => {
      if (reason.kind !== "crash" || !process.alive) return;
      if (expectedCrashes.some((pattern) => pattern.test(reason.error))) return;
      found(
        `${process.node}${offender.path} crashed: ${describeExit(reason)}\n${reason.stack ?? ""}`,
      );
    });
  };
}
