/** Mode kv with real processes: prefixes are found again, and known again after a failure. */
import { expect, test } from "bun:test";
import { pidOfWorker, pidsOf, startCluster, until } from "../support/cluster.ts";
import { complete, knownBlocks, metricsOf, promptTokens } from "../support/worlds/kv-prompts.ts";

const mockers = ["--engine", "mocker", "--workers", "4"];
const BLOCK = 64;

const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

test.each(["0", "20"])(
  "what shares a prefix meets it in the cache, speed-up %s",
  async (ratio) => {
    await using cluster = await startCluster([...mockers, "--speedup-ratio", ratio]);
    const prefix = promptTokens(1_000, 1);
    const cached: number[] = [];
    for (let i = 0; i < 8; i++) {
      cached.push(await complete(cluster, [...prefix, ...promptTokens(50, 100 + i)]));
    }
    expect(cached).toEqual([0, ...Array.from({ length: 7 }, () => 15 * BLOCK)]);
    // Strangers do not follow it there: one worker alone would have all of their blocks.
    const strangers = Array.from({ length: 12 }, (_, i) => promptTokens(1_000, 200 + i));
    const found = await Promise.all(strangers.map((prompt) => complete(cluster, prompt)));
    expect(sum(found)).toBe(0);
    // A response may overtake the event of its blocks.
    const all = 16 + 12 * 15;
    await until(
      "the caches known",
      5_000,
      async () => sum((await knownBlocks(cluster)).values()) >= all,
    );
    const blocks = [...(await knownBlocks(cluster)).values()];
    expect(blocks).toHaveLength(4);
    expect(Math.min(...blocks)).toBeGreaterThanOrEqual(15);
    const metrics = await metricsOf(cluster);
    const model = '{model="troupe-tiny"}';
    expect(metrics.get(`dynamo_component_router_requests_started_total${model}`)).toBe(20);
    expect(metrics.get(`dynamo_component_router_kv_hit_rate_sum${model}`)).toBeCloseTo(
      (7 * 15) / 16,
    );
  },
  60_000,
);

test("a restarted frontend finds the prefixes where they are", async () => {
  await using cluster = await startCluster([...mockers, "--speedup-ratio", "0"]);
  const prefixes = Array.from({ length: 40 }, (_, i) => promptTokens(1_000, i));
  for (const prompt of prefixes) expect(await complete(cluster, prompt)).toBe(0);
  const known = async () => sum((await knownBlocks(cluster).catch(() => new Map())).values());
  await until("every block known", 5_000, async () => (await known()) >= 40 * 15);
  const [before] = await pidsOf(cluster, "frontend");
  process.kill(before!, "SIGKILL");
  await until("another frontend with the caches known", 20_000, async () => {
    const [pid] = await pidsOf(cluster, "frontend");
    if (pid === undefined || pid === before || (await known()) < 40 * 15) return false;
    // Its router hears of the workers before its door has their tokenizer.
    return (
      (await fetch(`${cluster.url}/v1/models/troupe-tiny/ready`).catch(() => undefined))?.ok ===
      true
    );
  });
  let warm = 0;
  for (const prompt of prefixes) {
    if ((await complete(cluster, [...prompt, ...promptTokens(50, 1_000)])) > 0) warm++;
  }
  console.info(`warm routes kept: ${warm} of ${prefixes.length}`);
  expect(warm).toBeGreaterThanOrEqual(0.95 * prefixes.length);
}, 90_000);

test("a killed worker's blocks are forgotten, and its prefix is cached anew elsewhere", async () => {
  await using cluster = await startCluster([...mockers, "--speedup-ratio", "0"]);
  const prompt = promptTokens(1_000, 1);
  await complete(cluster, prompt);
  expect(await complete(cluster, prompt)).toBe(15 * BLOCK);
  const holders = async () => [...(await knownBlocks(cluster))].filter(([, blocks]) => blocks > 0);
  await until("its blocks known", 5_000, async () => (await holders()).length === 1);
  const [[holder]] = (await holders()) as [[string, number]];
  const pid = await pidOfWorker(cluster, holder);
  process.kill(pid, "SIGKILL");
  await until("its blocks forgotten", 10_000, async () => (await holders()).length === 0);
  expect(await complete(cluster, prompt)).toBe(0);
  expect(await complete(cluster, prompt)).toBe(15 * BLOCK);
}, 60_000);

test("two llama workers: a shared prefix is found again from the second request on", async () => {
  await using cluster = await startCluster(["--workers", "2", "--threads", "1"]);
  const prefix = promptTokens(700, 1);
  const cached: number[] = [];
  for (let i = 0; i < 4; i++) {
    cached.push(await complete(cluster, [...prefix, ...promptTokens(20, 100 + i)]));
  }
  const [first, ...later] = cached;
  expect(first).toBe(0);
  for (const tokens of later) expect(tokens).toBeGreaterThanOrEqual(600);
  const blocks = [...(await knownBlocks(cluster)).values()];
  expect(blocks.filter((count) => count >= 10)).toHaveLength(1);
}, 60_000);
