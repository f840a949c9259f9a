/**
 * `bun run bench latency`: what our own path adds. The echo engine answers at once, so all the time
 * from the request's first byte to the answer's last one is ours (and the client's).
 */
import { niceCompilerThreads } from "../../runtime/real/threads/compiler-threads.ts";
import { startCluster } from "../support/cluster.ts";
import type { Report } from "./bench.ts";
import { chatAnswer } from "./chat-answer.ts";
import { HttpClient } from "./http-client.ts";
import { firstModel } from "./start.ts";
import { quantile, rounded } from "./statistics.ts";

/** Until the compilers of three processes have settled, which takes some seconds. */
const warm_up = 15_000;
const requests = 4000;
const output_tokens = 10;

export async function benchLatency(report: Report): Promise<void> {
  niceCompilerThreads();
  await using cluster = await startCluster(["--engine", "echo"]);
  const model = await firstModel(cluster.url);
  const client = new HttpClient(cluster.url);
  await client.open();
  const ttft_ms: number[] = [];
  const total_ms: number[] = [];
  for (let index = 0; index < warm_up + requests; index += 1) {
    const name = `request ${index}`;
    const answer = await chatAnswer(client, { model, name, tokens: output_tokens });
    if (index < warm_up) continue;
    ttft_ms.push(answer.ttft_ms);
    total_ms.push(answer.total_ms);
  }
  client.close();
  report({
    case: `c=1, ISL ~100, OSL ${output_tokens}`,
    requests,
    ttft_p50_ms: rounded(quantile(ttft_ms, 0.5), 3),
    ttft_p99_ms: rounded(quantile(ttft_ms, 0.99), 3),
    added_p50_ms: rounded(quantile(total_ms, 0.5), 3),
    added_p99_ms: rounded(quantile(total_ms, 0.99), 3),
  });
}
