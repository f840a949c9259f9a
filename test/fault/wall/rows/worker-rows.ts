/** A worker process dies: its answers go on elsewhere, from the token they had reached. */

import { polynomialTiming } from "../../../../actors/engine/mocker/timing.ts";
import { FAULTS_VARIABLE, type FaultRule } from "../../../../actors/fault/fault.ts";
import { alive, pidsOf, until } from "../../../support/cluster.ts";
import { modelName } from "../references.ts";
import type { Figures, Row } from "../row.ts";
import { midway, type Running, somePid, sumOfMetric, underFault } from "../scenario.ts";

const engines = ["mocker", "llama"] as const;

const killWorker = async (running: Running): Promise<Figures> => {
  process.kill(await somePid(running, "worker"), "SIGKILL");
  return {};
};

/** Of no prompt of the flock. */
const poison = [777, 778, 779, 780];
const faultsOf = (...rules: readonly FaultRule[]) => ({
  [FAULTS_VARIABLE]: JSON.stringify({ seed: 1, rules }),
});

/** What a client gets that sends the prompt which engines crash on. */
async function sendPoison({ cluster }: Running): Promise<Figures> {
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: modelName, prompt: poison, max_tokens: 8 }),
    signal: AbortSignal.timeout(30_000),
  });
  const body = (await response.json()) as { readonly error?: { readonly code?: string } };
  const code = body.error?.code ?? "none";
  if (response.status !== 422 || code !== "quarantined") {
    throw new Error(`the poison was answered with ${response.status} ${code}`);
  }
  return { poison_status: response.status };
}

export const workerRows: readonly Row[] = [
  {
    name: "undisturbed",
    what: "nothing is done: what the gaps are without a fault",
    engines,
    run: (world) =>
      underFault(world, { args: ["--workers", "2"], flock: {}, fault: async () => ({}) }),
  },
  {
    name: "worker-first-token",
    what: "kill -9 a worker when answers have their first token",
    engines,
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: { tokens: 128 },
        fault: async (running) => {
          const { flock } = running;
          await until("first tokens", 30_000, () => flock.reached(1) >= 8);
          return killWorker(running);
        },
      }),
  },
  {
    name: "worker-middle",
    what: "kill -9 a worker in the middle of its answers",
    engines,
    quick: true,
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: { tokens: world.quick ? 128 : 256, requests: world.quick ? 24 : 40 },
        fault: async (running) => {
          await midway(running, world.quick ? 20 : 100, 0.5);
          return killWorker(running);
        },
      }),
  },
  {
    name: "engine-poison",
    what: "one prompt crashes every engine that begins with it: it ends with its own error, nothing else does",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "4"],
        env: faultsOf({ point: "engine.prompt", match: poison.join(" "), do: "abort" }),
        flock: { tokens: 128, requests: world.quick ? 32 : 80, concurrency: 24 },
        fault: async (running) => {
          await midway(running, 8, 0.2);
          return sendPoison(running);
        },
      }),
  },
  {
    name: "engine-failing",
    what: "the engine of one worker of 4 crashes in every step, for as long as there is work",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "4"],
        env: faultsOf({ node: "worker-1", point: "engine.step", do: "abort" }),
        flock: { tokens: 96, requests: 200, concurrency: 24 },
        fault: async () => ({}),
      }),
  },
  {
    name: "worker-prefill",
    what: "kill -9 a worker while it reads prompts",
    engines,
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        // Some 25,000 prompt tokens a worker take the simulated engine two seconds at this speed.
        speedup: 0.25,
        flock: {
          ...{ prompt_words: world.engine === "llama" ? 120 : 700, tokens: 24 },
          ...{ requests: 24, concurrency: 24 },
        },
        fault: async (running) => {
          const reading = (worker: number) =>
            sumOfMetric(
              running.cluster,
              new RegExp(`^dynamo_component_inflight_requests\\b.*worker="worker-${worker}"`),
            );
          await until("both to read prompts", 10_000, async () => {
            const [first, second] = await Promise.all([reading(0), reading(1)]);
            return first > 0 && second > 0;
          });
          return killWorker(running);
        },
      }),
  },
  {
    name: "worker-800",
    what: "kill -9 one of 4 workers under 800 streams",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        // The three that are left must have room for all.
        args: [
          "--workers",
          "4",
          "--max-num-seqs",
          "512",
          "--decode-speedup-ratio",
          `${decode_ratio_800}`,
        ],
        flock: {
          ...{ requests: 800, concurrency: 800, tokens: 96, prompt_words: 8 },
          ...{ every_ms: 2, deadline_ms: 120_000 },
        },
        fault: killOneOf800,
      }),
  },
  {
    name: "worker-process-512",
    what: "kill -9 a process of 512 workers, of 1,024 in all, under 256 streams",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "1024", "--workers-per-process", "512"],
        flock: { requests: 256, concurrency: 256, tokens: 128, deadline_ms: 120_000 },
        fault: async (running) => {
          await midway(running, 20, 0.5);
          return killWorker(running);
        },
        after: async ({ cluster }) => {
          const there = async () => (await pidsOf(cluster, "worker")).length;
          await until("both processes", 20_000, async () => (await there()) === 2);
          return [];
        },
      }),
  },
  {
    name: "worker-every-index",
    what: "kill -9 workers until 64-token answers were hit after each of their tokens",
    engines,
    run: (world) =>
      underFault(world, {
        args: ["--workers", world.engine === "llama" ? "4" : "8"],
        flock: {
          ...{ requests: 100_000, concurrency: world.engine === "llama" ? 16 : 128 },
          ...{ tokens: indexed_tokens, prompt_words: 8, every_ms: 7 },
        },
        fault: killAtEveryIndex,
      }),
  },
  {
    name: "worker-choices",
    what: "kill -9 a worker in the middle of answers with n = 4",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: { choices: 4, requests: 12, tokens: 128 },
        fault: async (running) => {
          await midway(running, 20, 0.5);
          return killWorker(running);
        },
      }),
  },
];

const indexed_tokens = 64;

/** Kills go on until answers were hit after each of their tokens; a slot survives 5 of them. */
async function killAtEveryIndex(running: Running): Promise<Figures> {
  const { cluster, flock, world } = running;
  const hit = new Set<number>();
  const look = () => {
    for (const { moved_after } of flock.ledgers.values()) for (const at of moved_after) hit.add(at);
  };
  const kills_max = world.engine === "llama" ? 20 : 40;
  await midway(running, 5, 0.5);
  let kills = 0;
  for (; kills < kills_max && hit.size < indexed_tokens - 1; kills += 1) {
    const pids = (await pidsOf(cluster, "worker")).filter((pid) => pid > 0 && alive(pid));
    const pid = pids[kills % Math.max(1, pids.length)];
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    await Bun.sleep(1_200);
    look();
  }
  flock.stopping = true;
  await flock.ended;
  look();
  if (world.engine === "mocker" && hit.size < indexed_tokens - 1) {
    const all = indexed_tokens - 1;
    throw new Error(`${kills} kills hit answers at ${hit.size} of ${all} places between tokens`);
  }
  return { kills, indices_hit: hit.size };
}

const decode_ratio_800 = 0.08;
const light = { sequences: 200, used_kv_tokens: 0, total_kv_tokens: 1, context_tokens: 0 };

/** The gap has to be held against what the engine's own timing charges for reading all again. */
async function killOneOf800(running: Running): Promise<Figures> {
  const { flock } = running;
  await midway(running, 20, 0.95);
  flock.takeGap_ms();
  await Bun.sleep(1_500);
  const normal_gap_ms = flock.takeGap_ms();
  const moved_tokens = (flock.tokens + 800 * 20) / 4;
  await killWorker(running);
  await flock.ended;
  const gap_ms = Math.max(...[...flock.ledgers.values()].map((ledger) => ledger.gap_ms));
  // A third of them to each of the others, in passes of at most 8,192 tokens.
  const passes = Math.ceil(moved_tokens / 3 / 8_192);
  const charged_ms = passes * polynomialTiming.prefillMs(moved_tokens / 3 / passes);
  // A pass that is under way is not interrupted.
  const pass_ms = polynomialTiming.decodeMs(light) / decode_ratio_800;
  const beyond_ms = gap_ms - normal_gap_ms - charged_ms - pass_ms;
  return { normal_gap_ms, charged_ms, pass_ms, beyond_ms };
}
