/** Tokens a second over HTTP at 1, 2, 4 and 8 streams: our engine and llama-server. */
import { startCluster } from "../../support/cluster.ts";
import { default_source, modelPath, streams } from "../parts/engine.ts";
import { median, rounded } from "../statistics.ts";
import { installLlamaServer } from "./install.ts";
import { startLlamaServer } from "./llama-server.ts";
import type { ComparedRow } from "./ratio-table.ts";

const parallels = [1, 2, 4, 8];

export async function compareEngine(options: {
  readonly cache: string;
  readonly rounds: number;
  readonly say: (text: string) => void;
}): Promise<ComparedRow[]> {
  const { cache, rounds, say } = options;
  const server = await installLlamaServer(cache, say);
  const model = await modelPath(process.env["TROUPE_BENCH_MODEL"] ?? default_source);
  const ours = new Map<number, number[]>(parallels.map((p) => [p, []]));
  const theirs = new Map<number, number[]>(parallels.map((p) => [p, []]));
  for (let round = 1; round <= rounds; round += 1) {
    say(`round ${round} of ${rounds}`);
    {
      await using cluster = await startCluster(["--model", model], { timeout_ms: 120_000 });
      await measureAll(cluster.url, ours);
    }
    await using peer = await startLlamaServer(server, model);
    await measureAll(peer.url, theirs);
  }
  return parallels.map((parallel) => {
    const [mine, other] = [median(ours.get(parallel) ?? []), median(theirs.get(parallel) ?? [])];
    return {
      streams: String(parallel),
      "tok/s": rounded(mine, 1),
      "llama-server": rounded(other, 1),
      ratio: rounded(mine / other),
    };
  });
}

async function measureAll(url: string, rates: Map<number, number[]>): Promise<void> {
  await streams({ url }, 1);
  for (const parallel of parallels) rates.get(parallel)?.push(await streams({ url }, parallel));
}
