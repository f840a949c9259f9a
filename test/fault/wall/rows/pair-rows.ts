/** Prompts computed by one worker for another: either of them dies or freezes between the two. */
import { alive, type Cluster, pidsOf, until } from "../../../support/cluster.ts";
import type { Figures, Row } from "../row.ts";
import { type Running, sumOfMetric, underFault } from "../scenario.ts";

const args = (prefill: number, decode: number): readonly string[] => [
  ...["--prefill", `${prefill}`, "--decode", `${decode}`, "--kv-host-bytes", "256MB"],
  // Every prompt of a block or more is handed over.
  ...["--router-conditional-disagg", "off"],
];

type Tiers = { readonly sending: number; readonly waiting: number; readonly onboarded: number };

async function tiersOf(cluster: Cluster, worker: string): Promise<Tiers | undefined> {
  const id = encodeURIComponent(`${worker}/worker/${worker}`);
  const response = await fetch(`${cluster.inspector}/api/actors/${id}/snapshot`);
  if (response.status !== 200) return undefined;
  const { snapshot } = (await response.json()) as {
    readonly snapshot: { readonly kv_tiers?: Tiers } | null;
  };
  return snapshot?.kv_tiers;
}

const workersOf = (role: "prefill" | "decode", count: number) =>
  Array.from({ length: count }, (_, i) => `${role}-${i}`);

/** Every worker has its place at the keeper, so that routers pair them. */
async function paired(cluster: Cluster, names: readonly string[]): Promise<void> {
  await until("the pairs", 20_000, async () => {
    const tiers = await Promise.all(names.map((name) => tiersOf(cluster, name)));
    return tiers.every((each) => (each as { open?: boolean } | undefined)?.open === true);
  });
}

/** Blocks have come from one worker to the other, and more are on their way. */
async function inTransfer(cluster: Cluster, decodes: readonly string[]): Promise<void> {
  await until("a transfer", 30_000, async () => {
    const tiers = await Promise.all(decodes.map((name) => tiersOf(cluster, name)));
    return tiers.some((each) => (each?.waiting ?? 0) > 0 && (each?.onboarded ?? 0) > 0);
  });
}

const prefills = (cluster: Cluster, outcome: string) =>
  sumOfMetric(cluster, new RegExp(`^troupe_stream_prefills_total\\{.*outcome="${outcome}"`));

type Fault = (pid: number) => Promise<void>;

const kill: Fault = async (pid) => {
  process.kill(pid, "SIGKILL");
};

const freeze: Fault = async (pid) => {
  process.kill(pid, "SIGSTOP");
  const stopped_ms = performance.now();
  while (performance.now() - stopped_ms < 5_000 && alive(pid)) await Bun.sleep(10);
  if (alive(pid)) process.kill(pid, "SIGCONT");
};

function row(
  name: string,
  what: string,
  role: "prefill" | "decode",
  counts: readonly [prefill: number, decode: number],
  fault: Fault,
): Row {
  const [prefill, decode] = counts;
  const decodes = workersOf("decode", decode);
  return {
    name,
    what,
    engines: ["mocker", "llama"],
    run: (world) =>
      underFault(world, {
        args: args(prefill, decode),
        flock: { tokens: 48, requests: 24, concurrency: 24, prompt_words: 300 },
        prepare: (cluster) => paired(cluster, [...workersOf("prefill", prefill), ...decodes]),
        fault: async (running: Running): Promise<Figures> => {
          const { cluster } = running;
          await inTransfer(cluster, decodes);
          const pids = await pidsOf(cluster, role);
          const pid = pids[world.random.u32() % pids.length];
          if (pid === undefined) throw new Error(`there is no ${role} process`);
          await fault(pid);
          return {};
        },
        after: async ({ cluster }) => {
          const handed = await prefills(cluster, "finished");
          return handed > 0 ? [] : ["no prompt was computed by a prefill worker"];
        },
      }),
  };
}

export const pairRows: readonly Row[] = [
  row(
    "pair-kill-prefill",
    "kill -9 the only prefill worker in the middle of a transfer: what it has not computed is computed by who answers",
    ...(["prefill", [1, 1], kill] as const),
  ),
  row(
    "pair-kill-one-prefill",
    "kill -9 one of 2 prefill workers in the middle of a transfer: the other one goes on",
    ...(["prefill", [2, 1], kill] as const),
  ),
  row(
    "pair-kill-decode",
    "kill -9 one of 2 workers that answer in the middle of a transfer",
    ...(["decode", [1, 2], kill] as const),
  ),
  row(
    "pair-stop-prefill",
    "SIGSTOP the prefill worker for 5 s in the middle of a transfer",
    ...(["prefill", [1, 1], freeze] as const),
  ),
  row(
    "pair-stop-decode",
    "SIGSTOP one of 2 workers that answer for 5 s in the middle of a transfer",
    ...(["decode", [1, 2], freeze] as const),
  ),
];
