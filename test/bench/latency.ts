/**
 * `bun run bench latency`: what our own path adds. The echo engine answers at once, so all the time
 * from the request's first byte to the answer's last one is ours (and the client's).
 */
import { niceCompilerThreads } from "../../runtime/real/compiler-threads.ts";
import { startCluster } from "../support/cluster.ts";
import type { Report } from "./bench.ts";
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
    const content = `request ${index}: ${"what is a mailbox in an actor system, please? ".repeat(8)}`;
    const answer = await client.post("/v1/chat/completions", {
      model,
      messages: [{ role: "user", content }],
      max_tokens: output_tokens,
      ignore_eos: true,
    });
    if (answer.status !== 200 || answer.completion_tokens !== output_tokens) {
      throw new Error(`request ${index}: ${JSON.stringify(answer)}`);
    }
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
