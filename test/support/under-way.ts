/** Streams that have begun: what a fault is to hit. */
import { type Cluster, until } from "./cluster.ts";

const first_tokens = /^dynamo_frontend_time_to_first_token_seconds_count\b/;

async function begun(cluster: Pick<Cluster, "inspector">): Promise<number> {
  const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
  const lines = text.split("\n").filter((line) => first_tokens.test(line));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** Starts streams and resolves when `count` of them have shown their first token. */
export async function underWay<T>(
  cluster: Pick<Cluster, "inspector">,
  count: number,
  start: () => Promise<T>,
): Promise<{ readonly done: Promise<T> }> {
  const before = await begun(cluster);
  const done = start();
  const all = async () => (await begun(cluster)) >= before + count;
  await until(`${count} streams to be under way`, 20_000, all);
  return { done };
}
