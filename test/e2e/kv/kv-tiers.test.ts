/** Blocks beyond their engines with real processes: what a killed worker's next life finds. */

import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alive, type Cluster, pidsOf, startCluster, until } from "../../support/cluster.ts";
import { promptTokens } from "../../support/worlds/kv-prompts.ts";

/** TROUPE_E2E_MODEL runs the same on another model, such as one with a sliding window. */
const MODEL = process.env["TROUPE_E2E_MODEL"] ?? "";
const model = MODEL === "" ? [] : ["--model", MODEL, "--model-name", "troupe-tiny"];
const MEMORY = MODEL === "" ? "64MB" : "256MB";
const PROMPT = promptTokens(600, 7);
const CACHED = 9 * 64;
/** Those of the prompt, and one that each worker makes at its start. */
const BLOCKS = 10;

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

/** The file of the keeper's memory. Other clusters of this machine have theirs beside it. */
async function segmentOf(cluster: Cluster): Promise<string> {
  const { segment } = await snapshot(cluster, "kv/kv/keeper");
  return join("/dev/shm", segment as string);
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
  const segments: string[] = [];
  {
    await using cluster = await startCluster(["--kv-host-bytes", MEMORY, ...model]);
    const [text, cold] = await answer(cluster);
    expect(cold).toBe(0);
    await until(
      "its blocks outside",
      10_000,
      async () => (await tiersOf(cluster))?.offloaded === BLOCKS,
    );
    segments.push(await segmentOf(cluster));
    expect(existsSync(segments[0]!)).toBe(true);
    await kill(cluster, "worker");
    await until("its place at the keeper", 10_000, isOpen(cluster));
    expect(await answer(cluster)).toEqual([text, CACHED]);
    expect((await tiersOf(cluster))?.onboarded).toBe(9);
    // A keeper that comes back has nothing; the worker's own cache goes out to it again.
    await kill(cluster, "kv");
    await until("its blocks outside again", 10_000, async () => {
      return (await tiersOf(cluster))?.offloaded === BLOCKS;
    });
    segments.push(await segmentOf(cluster));
    expect(segments[1]).not.toBe(segments[0]!);
    await kill(cluster, "worker");
    await until("its place at the keeper", 10_000, isOpen(cluster));
    expect(await answer(cluster)).toEqual([text, CACHED]);
  }
  expect(segments.filter((path) => existsSync(path))).toEqual([]);
}, 90_000);

test("two workers share what one has computed, and a segment that was left over is removed", async () => {
  await using cluster = await startCluster([
    ...["--kv-host-bytes", MEMORY, "--workers", "2", "--router-mode", "round-robin"],
    ...model,
  ]);
  const [text, cold] = await answer(cluster);
  expect(cold).toBe(0);
  await until("its blocks at the keeper", 10_000, async () => {
    const { spaces } = await snapshot(cluster, "kv/kv/keeper");
    const [space] = spaces as { guests: number; registered: number }[];
    return space?.guests === 2 && space.registered === BLOCKS;
  });
  expect(await answer(cluster)).toEqual([text, CACHED]);
  const left = await segmentOf(cluster);
  expect(existsSync(left)).toBe(true);
  const [keeper] = await pidsOf(cluster, "kv");
  cluster.kill("SIGKILL");
  await cluster.exited;
  await until("the last keeper's end", 10_000, () => !alive(keeper!));
  await using next = await startCluster(["--kv-host-bytes", MEMORY, ...model]);
  expect(next.pid).toBeGreaterThan(0);
  expect(existsSync(left)).toBe(false);
}, 90_000);

type DiskState = { stored: number; loaded: number; corrupt: number };

async function diskOf(cluster: Cluster): Promise<DiskState> {
  const { spaces } = await snapshot(cluster, "kv/kv/keeper");
  return (spaces as { disk?: DiskState }[])[0]?.disk ?? { stored: 0, loaded: 0, corrupt: 0 };
}

test("blocks on disk outlive the cluster, and flipped bytes in them are computed again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-kv-disk-"));
  const disk = ["--kv-disk-bytes", MEMORY, "--kv-disk-dir", folder];
  const start = () => startCluster(["--kv-host-bytes", MEMORY, ...disk, ...model]);
  const isFile = (name: string) => /\/[0-9a-f]{16}$/.test(name);
  const stored = () => (readdirSync(folder, { recursive: true }) as string[]).filter(isFile);
  let text: string;
  {
    await using cluster = await start();
    text = (await answer(cluster))[0];
    await until("its blocks on disk", 10_000, () => stored().length === BLOCKS);
  }
  {
    await using cluster = await start();
    await until("its place at the keeper", 10_000, isOpen(cluster));
    expect(await answer(cluster)).toEqual([text, CACHED]);
    expect(await diskOf(cluster)).toMatchObject({ loaded: 9, corrupt: 0 });
  }
  for (const name of stored()) {
    const file = readFileSync(join(folder, name));
    file[9_000]! ^= 4;
    writeFileSync(join(folder, name), file);
  }
  {
    await using cluster = await start();
    await until("its place at the keeper", 10_000, isOpen(cluster));
    expect(await answer(cluster)).toEqual([text, 0]);
    expect((await diskOf(cluster)).corrupt).toBeGreaterThan(0);
  }
  rmSync(folder, { recursive: true });
}, 90_000);
