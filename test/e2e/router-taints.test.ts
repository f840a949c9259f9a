/** Who may use which worker, said by flags and by requests, with real processes. */
import { expect, test } from "bun:test";
import { type Cluster, pidOfWorker, startCluster, until } from "../support/cluster.ts";
import { knownBlocks, promptTokens } from "../support/worlds/kv-prompts.ts";

const three = ["--engine", "mocker", "--workers", "3", "--speedup-ratio", "0"];
const marks = ["--worker-taint", "worker-0:batch", "--worker-label", "worker-2:gpu=big"];

let seed = 0;

/** A prompt of its own: its 15 blocks show where it was computed. */
async function send(cluster: Cluster, headers: Record<string, string>, nvext?: object) {
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({
      model: "troupe-tiny",
      prompt: promptTokens(1_000, seed++),
      max_tokens: 2,
      ...(nvext === undefined ? {} : { nvext }),
    }),
  });
  const body = (await response.json()) as { error?: { code: string; message: string } };
  return { status: response.status, error: body.error };
}

const BLOCKS = 15;

/** Requests by worker, once the blocks of `count` are known. */
async function takenBy(cluster: Cluster, count: number): Promise<number[]> {
  const taken = async () => {
    const blocks = await knownBlocks(cluster);
    return [0, 1, 2].map((i) => Math.floor((blocks.get(`worker-${i}`) ?? 0) / BLOCKS));
  };
  const sum = (all: readonly number[]) => all.reduce((a, b) => a + b, 0);
  await until("every block known", 5_000, async () => sum(await taken()) >= count);
  return taken();
}

test("a tainted worker gets only who tolerates it, and an allow-list holds", async () => {
  await using cluster = await startCluster([...three, ...marks]);
  const all = async (count: number, headers: Record<string, string>, nvext?: object) => {
    const sent = Array.from({ length: count }, () => send(cluster, headers, nvext));
    expect((await Promise.all(sent)).map(({ status }) => status)).toEqual(Array(count).fill(200));
  };
  await all(12, {});
  const [closed, open = 0, big = 0] = await takenBy(cluster, 12);
  expect([closed, open + big]).toEqual([0, 12]);
  await all(4, { "x-troupe-tolerated-taints": "batch", "x-troupe-allowed-workers": "worker-0" });
  expect(await takenBy(cluster, 16)).toEqual([4, open, big]);
  await all(5, {}, { routing_constraints: { required_taints: ["gpu=big"] } });
  expect(await takenBy(cluster, 21)).toEqual([4, open, big + 5]);
  await all(3, {}, { allowed_worker_ids: ["worker-1", "worker-0"] });
  expect(await takenBy(cluster, 24)).toEqual([4, open + 3, big + 5]);
  await all(2, {}, { routing_constraints: { required_taints: ["batch"] } });
  expect(await takenBy(cluster, 26)).toEqual([6, open + 3, big + 5]);
}, 60_000);

test.each(["kv", "round-robin"])(
  "nobody fits: 503 after a wait, with the reason; a bad wish is a 400 at once: mode %s",
  async (mode) => {
    await using cluster = await startCluster([...three, ...marks, "--router-mode", mode]);
    const refused = send(cluster, { "x-troupe-allowed-workers": "worker-0" });
    // It waits outside: the others are served meanwhile.
    expect((await send(cluster, {})).status).toBe(200);
    const bad = await send(cluster, {}, { routing_constraints: { tolerated_taints: ["a b"] } });
    expect(bad).toMatchObject({ status: 400 });
    expect(bad.error?.message).toContain("nvext.routing_constraints.tolerated_taints[0]");
    const unknown = await send(cluster, {}, { tolerate: "all" });
    expect(unknown).toMatchObject({ status: 400, error: { code: "unknown_parameter" } });
    const tolerated = {
      "x-troupe-tolerated-taints": "batch",
      "x-troupe-allowed-workers": "worker-0",
    };
    expect((await send(cluster, tolerated)).status).toBe(200);
    expect(await refused).toMatchObject({ status: 503, error: { code: "no_worker" } });
    expect((await refused).error?.message).toContain("may take this request");
  },
  60_000,
);

test("an answer whose only worker is killed waits for its next life, and goes nowhere else", async () => {
  await using cluster = await startCluster([
    ...three,
    "--worker-taint",
    "worker-0:own",
    "--speedup-ratio",
    "1",
  ]);
  const prompt = promptTokens(1_000, seed++);
  const only = { "x-troupe-tolerated-taints": "own", "x-troupe-allowed-workers": "worker-0" };
  const send = (headers: Record<string, string>, max_tokens: number) =>
    fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify({ model: "troupe-tiny", prompt, max_tokens, ignore_eos: true }),
    });
  const long = send(only, 150);
  await until("its blocks known", 5_000, async () => {
    return ((await knownBlocks(cluster)).get("worker-0") ?? 0) >= BLOCKS;
  });
  process.kill(await pidOfWorker(cluster, "worker-0"), "SIGKILL");
  const answer = await long;
  const { usage } = (await answer.json()) as { usage?: { completion_tokens: number } };
  expect([answer.status, usage?.completion_tokens]).toEqual([200, 150]);
  const blocks = await knownBlocks(cluster);
  expect(blocks.get("worker-0") ?? 0).toBeGreaterThanOrEqual(BLOCKS);
  expect([blocks.get("worker-1") ?? 0, blocks.get("worker-2") ?? 0]).toEqual([0, 0]);
}, 60_000);
