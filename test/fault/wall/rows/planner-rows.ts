/** The planner's process is killed while workers that it asked for start. */
import { until } from "../../../support/cluster.ts";
import type { Figures, Row } from "../row.ts";
import { type Running, somePid, underFault } from "../scenario.ts";

type Member = { readonly worker: string; readonly state: string };

async function membersOf({ cluster }: Running): Promise<readonly Member[]> {
  const response = await fetch(`${cluster.inspector}/api/workers`);
  const { machines } = (await response.json()) as {
    readonly machines: readonly { readonly workers: readonly Member[] }[];
  };
  return machines.flatMap(({ workers }) => workers);
}

async function killWhileTheyStart(running: Running): Promise<Figures> {
  await until("workers that the planner asked for start", 30_000, async () => {
    return (await membersOf(running)).some(({ state }) => state === "starting");
  });
  process.kill(await somePid(running, "planner"), "SIGKILL");
  await until("three serve", 60_000, async () => {
    const members = await membersOf(running);
    return members.filter(({ state }) => state === "serving").length >= 3;
  });
  return { workers: (await membersOf(running)).length };
}

/** Two ticks later nothing has come a second time: a name is given once. */
async function onceOnly(running: Running): Promise<readonly string[]> {
  await Bun.sleep(12_000);
  const names = (await membersOf(running)).map(({ worker }) => worker).sort();
  const wrong = names.join() === "worker-0,worker-1,worker-2" ? [] : [`workers ${names.join()}`];
  return wrong;
}

export const plannerRows: readonly Row[] = [
  {
    name: "planner-killed",
    what: "the planner gets SIGKILL while two workers start that it asked for",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: [
          ...["--workers", "1", "--startup-time", "2"],
          ...["--planner", "load", "--min-workers", "3", "--max-workers", "3"],
        ],
        flock: { tokens: world.quick ? 256 : 512, requests: world.quick ? 24 : 40 },
        fault: killWhileTheyStart,
        after: onceOnly,
      }),
  },
];
