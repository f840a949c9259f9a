/** NVIDIA Dynamo under the same clients and the same faults, as far as they make sense there. */
import { peerCache } from "../../bench/peers/cache.ts";
import { type Dynamo, startDynamo } from "../../bench/peers/dynamo.ts";
import { installDynamo, installTokenizer } from "../../bench/peers/install.ts";
import { alive, until } from "../../support/cluster.ts";
import { Flock } from "./flock.ts";
import type { Figures, Row, RowResult, World } from "./row.ts";
import { standardPlan } from "./scenario.ts";
import { tally } from "./tally.ts";

const settle_ms = 3_000;

/** One frontend and two mocker processes in real time, planes as Dynamo has them on one machine. */
async function startTwo(world: World, migration_limit: number): Promise<Dynamo> {
  const dynamo = await startDynamo({
    python: await installDynamo(peerCache(), world.say),
    tokenizer: await installTokenizer(peerCache(), world.say),
    router_mode: "round-robin",
    ...{ speedup_ratio: 1, workers: 1, mocker_processes: 2 },
    frontend_flags: ["--migration-limit", String(migration_limit)],
  });
  // The second worker is found a moment after the first.
  await Bun.sleep(settle_ms);
  return dynamo;
}

type Fault = (dynamo: Dynamo) => Promise<Figures>;

async function underFault(world: World, migration_limit: number, fault: Fault): Promise<RowResult> {
  await using dynamo = await startTwo(world, migration_limit);
  const flock = new Flock({
    ...standardPlan,
    ...{ model: dynamo.model, tokens: 300, resumes: false, retries: false, deadline_ms: 30_000 },
    url: () => dynamo.url,
  });
  const problems: string[] = [];
  const inTheMiddle = async (): Promise<Figures> => {
    await until("answers to have begun", 20_000, () => flock.ledgers.size >= 36);
    await Bun.sleep(1_000);
    return fault(dynamo);
  };
  const [outcomes, figures] = await Promise.all([
    flock.ended,
    inTheMiddle().catch((error: unknown) => {
      problems.push(`the fault could not be made: ${error}`);
      return {};
    }),
  ]);
  const rules = { expected: undefined, errors_allowed: false, bytes_may_differ: true };
  const { same: _unknown, ...result } = await tally(outcomes, rules);
  return { ...result, same: 0, figures, problems };
}

const kill = (pid: number | undefined): Figures => {
  if (pid === undefined) throw new Error("there is no such process");
  process.kill(pid, "SIGKILL");
  return {};
};

const freeze = async (pid: number | undefined): Promise<Figures> => {
  if (pid === undefined) throw new Error("there is no such process");
  process.kill(pid, "SIGSTOP");
  await Bun.sleep(5_000);
  if (alive(pid)) process.kill(pid, "SIGCONT");
  return {};
};

const row = (name: string, what: string, migration_limit: number, fault: Fault): Row => ({
  name,
  what,
  engines: ["mocker"],
  run: (world) => underFault(world, migration_limit, fault),
});

export const dynamoRows: readonly Row[] = [
  row("undisturbed", "nothing is done", 0, async () => ({})),
  row("worker-middle", "kill -9 one of 2 workers, as delivered", 0, async ({ mocker_pids }) =>
    kill(mocker_pids[0]),
  ),
  row("worker-middle-3", "the same with --migration-limit 3", 3, async ({ mocker_pids }) =>
    kill(mocker_pids[0]),
  ),
  row("frontend", "kill -9 the frontend", 3, async ({ frontend_pid }) => kill(frontend_pid)),
  row("stop-worker", "SIGSTOP a worker for 5 s, --migration-limit 3", 3, ({ mocker_pids }) =>
    freeze(mocker_pids[0]),
  ),
];
