/**
 * Clients that do not stream: each request carries an Idempotency-Key and is sent again with it
 * when its connection breaks. The answer must be the undisturbed one, made once.
 */
import { type Cluster, startCluster, until } from "../../support/cluster.ts";
import { bodyOf, engineArgs } from "./references.ts";
import type { RowResult, World } from "./row.ts";
import { leftWell, sumOfMetric } from "./scenario.ts";

const again_ms = 50;
const deadline_ms = 60_000;
const tokens = 192;

type Sent = { readonly text: string | undefined; readonly why: string; readonly tries: number };

export async function askAgain(
  world: World,
  requests: number,
  fault: (cluster: Cluster) => Promise<void>,
): Promise<RowResult> {
  await using cluster = await startCluster([...engineArgs(world.engine, 1), "--workers", "2"]);
  const wishes = Array.from({ length: requests }, (_, i) => {
    return { prompt: `${i} how are you`, seed: i, tokens, choices: 1 };
  });
  const sending = wishes.map((wish, i) => send(cluster.url, bodyOf(wish), `prove-${i}`));
  const inWork = () => sumOfMetric(cluster, /^dynamo_component_inflight_requests\b/);
  await until("all requests to be in work", 10_000, async () => (await inWork()) >= requests);
  await fault(cluster);
  const sent = await Promise.all(sending);
  const taken = await sumOfMetric(cluster, /^dynamo_component_requests_total\b/);
  const why: Record<string, number> = {};
  const count = { complete: 0, lost: 0, wrong: 0, same: 0, retried: 0 };
  for (const [i, { text, why: reason, tries }] of sent.entries()) {
    count.retried += tries - 1;
    if (text === undefined) {
      count.lost += 1;
      why[reason] = (why[reason] ?? 0) + 1;
      continue;
    }
    count.complete += 1;
    const [expected] = await world.references.textsOf(wishes[i] as (typeof wishes)[number]);
    if (text === expected) count.same += 1;
    else count.wrong += 1;
  }
  const problems = await leftWell({ cluster, world });
  // Two generations of one request are what the key is there to prevent.
  if (taken > requests) problems.push(`${taken} generations for ${requests} requests`);
  const none = { clean_errors: 0, duplicated: 0, hung: 0, gap_ms: 0, first_ms: 0, resumed: 0 };
  return { requests, ...none, ...count, why, problems, figures: { generations: taken } };
}

async function send(url: string, body: object, key: string): Promise<Sent> {
  const began_ms = performance.now();
  let why = "";
  for (let tries = 1; ; tries += 1) {
    if (performance.now() - began_ms > deadline_ms) return { text: undefined, why, tries };
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(deadline_ms),
      });
      const text = await response.text();
      if (response.status === 200) {
        const answer = JSON.parse(text) as { choices: { message: { content: string } }[] };
        return { text: answer.choices[0]?.message.content, why, tries };
      }
      why = `${response.status} ${text.slice(0, 160)}`;
      if (response.status !== 503 && response.status !== 409)
        return { text: undefined, why, tries };
    } catch (error) {
      why = (error as Error).message;
    }
    await Bun.sleep(again_ms);
  }
}
