/**
 * `bun run bench router-hop`: what a router in a process of its own adds to an answer. Two clusters
 * side by side, one request at a time, in turns, so that both meet the same machine.
 */
import { niceCompilerThreads } from "../../../runtime/real/threads/compiler-threads.ts";
import { type Cluster, startCluster } from "../../support/cluster.ts";
import type { Report } from "../bench.ts";
import { chatAnswer } from "../chat-answer.ts";
import { HttpClient } from "../http-client.ts";
import { firstModel } from "../start.ts";
import { quantile, rounded } from "../statistics.ts";

const rounds = 40;
const warm_up_rounds = 60;
const requests_a_round = 250;
const output_tokens = 10;

type Side = { readonly client: HttpClient; readonly model: string; readonly total_ms: number[] };

export async function benchRouterHop(report: Report): Promise<void> {
  niceCompilerThreads();
  const engine = ["--engine", "mocker", "--speedup-ratio", "0", "--workers", "2"];
  await using inside = await startCluster(engine);
  await using alone = await startCluster([...engine, "--routers", "1"]);
  const sides = [await sideOf(inside), await sideOf(alone)] as const;
  for (let round = 0; round < warm_up_rounds + rounds; round += 1) {
    for (const side of sides) await one(side, round, round >= warm_up_rounds);
  }
  for (const { client } of sides) client.close();
  const [own, hosted] = sides.map(({ total_ms }) => quantile(total_ms, 0.5)) as [number, number];
  const [own_p99, hosted_p99] = sides.map(({ total_ms }) => quantile(total_ms, 0.99));
  report({
    case: `c=1, OSL ${output_tokens}, whole answer`,
    requests: rounds * requests_a_round,
    in_frontend_p50_ms: rounded(own, 3),
    alone_p50_ms: rounded(hosted, 3),
    in_frontend_p99_ms: rounded(own_p99 ?? 0, 3),
    alone_p99_ms: rounded(hosted_p99 ?? 0, 3),
    hop_p50_us: Math.round(1_000 * (hosted - own)),
    ratio_p50: rounded(hosted / own, 3),
  });
}

async function sideOf(cluster: Cluster): Promise<Side> {
  const client = new HttpClient(cluster.url);
  await client.open();
  return { client, model: await firstModel(cluster.url), total_ms: [] };
}

async function one({ client, model, total_ms }: Side, round: number, counts: boolean) {
  for (let index = 0; index < requests_a_round; index += 1) {
    const name = `request ${round} ${index}`;
    const answer = await chatAnswer(client, { model, name, tokens: output_tokens });
    if (counts) total_ms.push(answer.total_ms);
  }
}
