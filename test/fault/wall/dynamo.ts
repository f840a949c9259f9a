/** NVIDIA Dynamo under the same clients and the same faults, as far as they make sense there. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { peerCache } from "../../bench/peers/cache.ts";
import { freePort, startPeer, untilReady } from "../../bench/peers/child.ts";
import { installDynamo, installTokenizer } from "../../bench/peers/install.ts";
import { alive, until } from "../../support/cluster.ts";
import { Flock } from "./flock.ts";
import type { Figures, Row, RowResult, World } from "./row.ts";
import { standardPlan } from "./scenario.ts";
import { tally } from "./tally.ts";

const model = "qwen";
const ready_ms = 120_000;
const settle_ms = 3_000;

type RunningDynamo = AsyncDisposable & {
  readonly url: string;
  readonly frontend: number;
  readonly mockers: readonly number[];
};

/** One frontend and two mocker processes in real time, planes as Dynamo has them on one machine. */
async function startDynamo(world: World, migration_limit: number): Promise<RunningDynamo> {
  const python = await installDynamo(peerCache(), world.say);
  const tokenizer = await installTokenizer(peerCache(), world.say);
  const folder = mkdtempSync(join(tmpdir(), "dynamo-"));
  const log_file = join(folder, "log");
  const env = {
    DYN_FILE_KV: join(folder, "kv"),
    DYN_LOG: "error",
    DYN_SYSTEM_PORT: "-1",
    HF_HUB_OFFLINE: "1",
  };
  const planes = "--discovery-backend file --request-plane tcp --event-plane zmq".split(" ");
  const port = await freePort();
  const mocker = () =>
    startPeer(
      [
        ...[python, "-m", "dynamo.mocker", "--model-path", tokenizer, "--model-name", model],
        ...["--num-workers", "1", "--block-size", "64", "--speedup-ratio", "1", ...planes],
      ],
      { env, log_file },
    );
  const mockers = [mocker(), mocker()];
  const frontend = startPeer(
    [
      ...[python, "-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port", String(port)],
      ...["--router-mode", "round-robin", "--migration-limit", String(migration_limit), ...planes],
    ],
    { env, log_file },
  );
  const url = `http://127.0.0.1:${port}`;
  await untilReady("Dynamo", [frontend, ...mockers], () => answers(url), ready_ms, log_file);
  // The second worker is found a moment after the first.
  await Bun.sleep(settle_ms);
  return {
    url,
    frontend: frontend.pid,
    mockers: mockers.map(({ pid }) => pid),
    async [Symbol.asyncDispose]() {
      await Promise.all([frontend, ...mockers].map((peer) => peer.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model,
      messages: [{ role: "user", content: "ready?" }],
      max_tokens: 1,
    }),
  });
  await response.text();
  return response.ok;
}

type Fault = (dynamo: RunningDynamo) => Promise<Figures>;

async function underFault(world: World, migration_limit: number, fault: Fault): Promise<RowResult> {
  await using dynamo = await startDynamo(world, migration_limit);
  const flock = new Flock({
    ...standardPlan,
    ...{ model, tokens: 300, resumes: false, retries: false, deadline_ms: 30_000 },
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
  row("worker-middle", "kill -9 one of 2 workers, as delivered", 0, async ({ mockers }) =>
    kill(mockers[0]),
  ),
  row("worker-middle-3", "the same with --migration-limit 3", 3, async ({ mockers }) =>
    kill(mockers[0]),
  ),
  row("frontend", "kill -9 the frontend", 3, async ({ frontend }) => kill(frontend)),
  row("stop-worker", "SIGSTOP a worker for 5 s, --migration-limit 3", 3, ({ mockers }) =>
    freeze(mockers[0]),
  ),
];
