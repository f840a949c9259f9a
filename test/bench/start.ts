/**
 * `bun run bench start`: from the command to `ready`, and what each process keeps resident.
 * With --model MODEL see start/start-model.ts.
 */
import { pidsOf, residentMb, startCluster } from "../support/cluster.ts";
import type { Report } from "./bench.ts";
import { benchStartModel } from "./start/start-model.ts";
import { median, rounded } from "./statistics.ts";

const runs = 5;

export async function benchStart(report: Report): Promise<void> {
  const at = Bun.argv.indexOf("--model");
  if (at >= 0) return await benchStartModel(report, Bun.argv[at + 1] ?? "");
  const ready_ms: number[] = [];
  const megabytes = { root: [] as number[], frontend: [] as number[], worker: [] as number[] };
  for (let run = 0; run < runs; run += 1) {
    await using cluster = await startCluster([]);
    ready_ms.push(cluster.ready_ms);
    // One answer, so that the figures are those of a cluster that has worked.
    const response = await fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: await firstModel(cluster.url),
        prompt: "Once",
        max_tokens: 16,
      }),
    });
    if (!response.ok) throw new Error(`no answer: ${await response.text()}`);
    await response.text();
    const sum = (pids: number[]) => pids.reduce((total, pid) => total + residentMb(pid), 0);
    megabytes.root.push(residentMb(cluster.pid));
    megabytes.frontend.push(sum(await pidsOf(cluster, "frontend")));
    megabytes.worker.push(sum(await pidsOf(cluster, "worker")));
  }
  const root_mb = median(megabytes.root);
  const frontend_mb = median(megabytes.frontend);
  const worker_mb = median(megabytes.worker);
  report({
    case: "tiny model",
    runs,
    ready_ms: rounded(median(ready_ms), 0),
    ready_ms_max: rounded(Math.max(...ready_ms), 0),
    root_mb: rounded(root_mb, 0),
    frontend_mb: rounded(frontend_mb, 0),
    worker_mb: rounded(worker_mb, 0),
    resident_mb: rounded(root_mb + frontend_mb + worker_mb, 0),
  });
}

export async function firstModel(url: string): Promise<string> {
  const body = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  return body.data[0]?.id ?? "";
}
