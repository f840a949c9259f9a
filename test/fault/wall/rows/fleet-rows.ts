/** Workers are added and retired while answers are made. */
import { pidOfWorker, until } from "../../../support/cluster.ts";
import type { Figures, Row } from "../row.ts";
import { midway, type Running, underFault } from "../scenario.ts";

async function asked({ cluster }: Running, method: string, path: string, body?: object) {
  const response = await fetch(cluster.inspector + path, {
    ...{ method, signal: AbortSignal.timeout(60_000) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const said = (await response.json()) as Record<string, unknown>;
  if (response.status !== 200) throw new Error(`${method} ${path}: ${said["error"]}`);
  return said;
}

/** Two come, those of the start go, and one of the new ones is killed while the others drain. */
async function replaceAll(running: Running): Promise<Figures> {
  await midway(running, 20, 0.5);
  const { workers } = await asked(running, "POST", "/api/workers", { count: 2 });
  const goes = asked(running, "DELETE", "/api/workers", { workers: ["worker-0", "worker-1"] });
  process.kill(await pidOfWorker(running.cluster, "worker-3"), "SIGKILL");
  const gone = (await goes)["workers"] as readonly { readonly unfinished: number }[];
  const left_over = gone.reduce((sum, { unfinished }) => sum + unfinished, 0);
  return { added: (workers as readonly string[]).length, retired: gone.length, left_over };
}

export const fleetRows: readonly Row[] = [
  {
    name: "workers-replaced",
    what: "two workers are added, those of the start retired, one of the new ones killed meanwhile",
    engines: ["mocker", "llama"],
    quick: true,
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: { tokens: world.quick ? 256 : 512, requests: world.quick ? 24 : 40 },
        fault: replaceAll,
        after: async (running) => {
          const names = async () => {
            const { machines } = await asked(running, "GET", "/api/workers");
            const [machine] = machines as readonly { workers: readonly { worker: string }[] }[];
            return machine?.workers.map(({ worker }) => worker).join() ?? "";
          };
          await until("the new ones alone", 20_000, async () => {
            return (await names()) === "worker-2,worker-3";
          });
          return [];
        },
      }),
  },
];
