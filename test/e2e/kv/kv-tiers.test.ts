/** Blocks beyond their engines with real processes: what a killed worker's next life finds. */

import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { type Cluster, pidsOf, startCluster, until } from "../../support/cluster.ts";
import { promptTokens } from "../../support/worlds/kv-prompts.ts";

const PROMPT = promptTokens(600, 7);
const CACHED = 9 * 64;
/** Those of the prompt, and one that each worker makes at its start. */
const BLOCKS = 10;
const segments = () => readdirSync("/dev/shm").filter((name) => name.startsWith("troupe-kv-"));

async function answer(cluster: Cluster): Promise<readonly [text: string, cached: number]> {
  const body = { model: "troupe-tiny", prompt: PROMPT, max_tokens: 16, temperature: 0 };
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const { choices, usage } = (await response.json()) as {
    choices: { text: string }[];
    usage: { prompt_tokens_details: { cached_tokens: number } };
  };
  return [choices[0]!.text, usage.prompt_tokens_details.cached_tokens];
}

async function snapshot(cluster: Cluster, id: string): Promise<Record<string, unknown>> {
  const path = `/api/actors/${encodeURIComponent(id)}/snapshot`;
  const response = await fetch(cluster.inspector + path);
  return ((await response.json()) as { snapshot: Record<string, unknown> }).snapshot ?? {};
}

const tiersOf = async (cluster: Cluster) =>
  (await snapshot(cluster, "worker-0/worker/worker-0"))["kv_tiers"] as
    | { open: boolean; offloaded: number; onboarded: number }
    | undefined;

const isOpen = (cluster: Cluster) => async () => (await tiersOf(cluster))?.open === true;

async function kill(cluster: Cluster, role: "worker" | "kv"): Promise<void> {
  const [before] = await pidsOf(cluster, role);
  process.kill(before!, "SIGKILL");
  await until(`another ${role}`, 20_000, async () => {
    const [pid] = await pidsOf(cluster, role);
    return pid !== undefined && pid !== before;
  });
}

test("a worker that comes back after kill -9 is warm, and says the same", async () => {
  const before = segments();
  {
    await using cluster = await startCluster(["--kv-host-bytes", "64MB"]);
    const [text, cold] = await answer(cluster);
    expect(cold).toBe(0);
    await until(
      "its blocks outside",
      10_000,
      async () => (await tiersOf(cluster))?.offloaded === BLOCKS,
    );
    expect(segments()).toHaveLength(before.length + 1);
    await kill(cluster, "worker");
    await until("its place at the keeper", 10_000, isOpen(cluster));
    expect(await answer(cluster)).toEqual([text, CACHED]);
    expect((await tiersOf(cluster))?.onboarded).toBe(9);
    // A keeper that comes back has nothing; the worker's own cache goes out to it again.
    await kill(cluster, "kv");
    await until("its blocks outside again", 10_000, async () => {
      return (await tiersOf(cluster))?.offloaded === BLOCKS;
    });
    await kill(cluster, "worker");
    await until("its place at the keeper", 10_000, isOpen(cluster));
    expect(await answer(cluster)).toEqual([text, CACHED]);
  }
  expect(segments()).toEqual(before);
}, 90_000);

test("two workers share what one has computed, and a segment that was left over is removed", async () => {
  await using cluster = await startCluster([
    ...["--kv-host-bytes", "64MB", "--workers", "2", "--router-mode", "round-robin"],
  ]);
  const [text, cold] = await answer(cluster);
  expect(cold).toBe(0);
  await until("its blocks at the keeper", 10_000, async () => {
    const { spaces } = await snapshot(cluster, "kv/kv/keeper");
    const [space] = spaces as { guests: number; registered: number }[];
    return space?.guests === 2 && space.registered === BLOCKS;
  });
  expect(await answer(cluster)).toEqual([text, CACHED]);
  const left = segments();
  cluster.kill("SIGKILL");
  await cluster.exited;
  await using next = await startCluster(["--kv-host-bytes", "64MB"]);
  expect(next.pid).toBeGreaterThan(0);
  // Of the last keeper and of this one: only this one's is there.
  expect(segments().filter((name) => left.includes(name))).toEqual([]);
}, 90_000);
