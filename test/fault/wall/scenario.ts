/** The shape of most rows: a cluster, a flock of clients, one fault, and a look at what is left. */
import { type Cluster, pidsOf, startCluster, tree, until } from "../../support/cluster.ts";
import { Flock, type FlockPlan } from "./flock.ts";
import { bodyOf, engineArgs } from "./references.ts";
import { type Figures, hasPassed, type RowResult, type World } from "./row.ts";
import { tally } from "./tally.ts";

export type Running = {
  readonly world: World;
  readonly cluster: Cluster;
  readonly flock: Flock;
};

export type Scenario = {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Instead of the source tree's. */
  readonly command?: readonly string[];
  /** Divides the simulated engine's times; it makes a token in some 6 ms by itself. */
  readonly speedup?: number;
  readonly flock: Partial<FlockPlan>;
  readonly errors_allowed?: boolean;
  /** Once the cluster is ready, before the first request. */
  readonly prepare?: (cluster: Cluster) => Promise<void>;
  /** Called once the flock has begun; what it returns are more figures of the row. */
  readonly fault: (running: Running) => Promise<Figures>;
  /** Looks at the cluster once all requests ended; says what is wrong. */
  readonly after?: (running: Running) => Promise<readonly string[]>;
  /** The cluster is gone by design. */
  readonly gone?: boolean;
};

/** Of the cluster's own words, when a row has not passed. */
const log_lines = 40;

export const standardPlan: Omit<FlockPlan, "url"> = {
  requests: 40,
  concurrency: 40,
  tokens: 128,
  prompt_words: 40,
  choices: 1,
  seeds: 16,
  resumes: true,
  retries: true,
  deadline_ms: 60_000,
  logprobs: false,
};

export async function underFault(world: World, scenario: Scenario): Promise<RowResult> {
  const { args, env, command, speedup = 1 } = scenario;
  await using cluster = await startCluster([...engineArgs(world.engine, speedup), ...args], {
    ...(env === undefined ? {} : { env: { ...env } }),
    ...(command === undefined ? {} : { command }),
  });
  await scenario.prepare?.(cluster);
  const flock = new Flock({
    ...standardPlan,
    logprobs: world.engine === "llama",
    ...scenario.flock,
    url: () => cluster.url,
  });
  const running = { world, cluster, flock };
  const problems: string[] = [];
  const [outcomes, figures] = await Promise.all([
    flock.ended,
    scenario.fault(running).catch((error: unknown) => {
      problems.push(`the fault did not go as planned: ${error}`);
      flock.stopping = true;
      return {};
    }),
  ]);
  const result = await tally(outcomes, {
    expected: (wish) => world.references.textsOf(wish),
    errors_allowed: scenario.errors_allowed ?? false,
    bytes_may_differ: world.engine === "llama",
  });
  problems.push(...((await scenario.after?.(running)) ?? []));
  if (scenario.gone !== true) problems.push(...(await leftWell(running)));
  // Of a real model this is no promise, but what it says of how an answer went on.
  const same: Figures = world.engine === "llama" ? { same_bytes: result.same } : {};
  const row: RowResult = { ...result, figures: { ...figures, ...same }, problems };
  if (!hasPassed(row))
    for (const line of cluster.log().split("\n").slice(-log_lines)) world.say(line);
  return row;
}

/** What has no owner counts as an orphan when it still has none after this. */
const orphans_after_ms = 4_500;

/** Everything is as it was: it serves, nothing is live, no answer is without an owner. */
export async function leftWell({
  cluster,
  world,
}: Pick<Running, "cluster" | "world">): Promise<string[]> {
  const problems: string[] = [];
  if (!(await servesWithin(cluster, 10_000))) problems.push("it does not serve afterwards");
  const live = () => sumOfMetric(cluster, /_inflight_requests\b/);
  await until("no answer to be live", 10_000, async () => (await live()) === 0).catch(async () => {
    problems.push(`${await live()} answers are live though every client is gone`);
  });
  if (!world.quick) await Bun.sleep(orphans_after_ms);
  const orphans = await sumOfMetric(cluster, /^troupe_orphans\b/);
  if (orphans > 0) problems.push(`${orphans} orphans`);
  return problems;
}

export async function servesWithin(
  cluster: Pick<Cluster, "url">,
  timeout_ms: number,
): Promise<boolean> {
  const serves = async () => {
    const wish = { prompt: "are you there?", seed: 1, tokens: 4, choices: 1 };
    const response = await fetch(`${cluster.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(bodyOf(wish)),
      signal: AbortSignal.timeout(5_000),
    }).catch(() => undefined);
    return response?.status === 200;
  };
  return await until("an answer", timeout_ms, serves).then(
    () => true,
    () => false,
  );
}

/** Over all processes, from the inspector: `/metrics` of a shared port is one frontend's. */
export async function sumOfMetric(cluster: Cluster, name: RegExp): Promise<number> {
  const response = await fetch(`${cluster.inspector}/metrics`);
  const text = await response.text();
  let sum = 0;
  for (const line of text.split("\n")) {
    if (line.startsWith("#") || !name.test(line)) continue;
    sum += Number(line.slice(line.lastIndexOf(" ") + 1));
  }
  return sum;
}

/** Waits until `share` of the flock's answers have at least `tokens` tokens. */
export async function midway({ flock }: Running, tokens: number, share = 0.9): Promise<void> {
  const { requests, concurrency } = flock.plan;
  const enough = Math.floor(Math.min(requests, concurrency) * share);
  await until(`${enough} answers with ${tokens} tokens`, 30_000, () => {
    return flock.reached(tokens) >= enough;
  });
}

/** A process of this role, drawn by the row's seed. */
export async function somePid({ cluster, world }: Running, role: string): Promise<number> {
  const pids = await pidsOf(cluster, role);
  const pid = pids[world.random.u32() % Math.max(1, pids.length)];
  if (pid === undefined) throw new Error(`there is no ${role} process`);
  return pid;
}

export async function killActor(cluster: Cluster, path: string): Promise<void> {
  const node = (await tree(cluster)).find((each) => each.path === path);
  if (node === undefined) throw new Error(`there is no ${path}`);
  const response = await fetch(
    `${cluster.inspector}/api/actors/${encodeURIComponent(node.id)}/kill`,
    { method: "POST" },
  );
  if (response.status !== 200) throw new Error(`${path}: ${await response.text()}`);
}
