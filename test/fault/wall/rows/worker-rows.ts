/** A worker process dies: its answers go on elsewhere, from the token they had reached. */
import { until } from "../../../support/cluster.ts";
import type { Row } from "../row.ts";
import { midway, type Running, somePid, underFault } from "../scenario.ts";

const engines = ["mocker", "llama"] as const;

const killWorker = async (running: Running) => {
  process.kill(await somePid(running, "worker"), "SIGKILL");
  return {};
};

export const workerRows: readonly Row[] = [
  {
    name: "undisturbed",
    what: "nothing: what the gaps are without a fault",
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
        flock: { tokens: world.quick ? 48 : 128 },
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
        flock: { tokens: world.quick ? 64 : 256, requests: world.quick ? 24 : 40 },
        fault: async (running) => {
          await midway(running, world.quick ? 20 : 100, 0.5);
          return killWorker(running);
        },
      }),
  },
  {
    name: "worker-prefill",
    what: "kill -9 a worker while it reads prompts",
    engines,
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        // A prompt of 700 words takes the simulated engine 300 ms at this speed.
        speedup: 0.1,
        flock: { prompt_words: 700, tokens: 24, requests: 24, concurrency: 24 },
        fault: async (running) => {
          await Bun.sleep(250);
          return killWorker(running);
        },
      }),
  },
  {
    name: "worker-800",
    what: "800 streams over 4 workers, kill -9 one of them",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "4"],
        speedup: 0.1,
        flock: { requests: 800, concurrency: 800, tokens: 96, every_ms: 1, deadline_ms: 120_000 },
        fault: async (running) => {
          await midway(running, 20);
          return killWorker(running);
        },
      }),
  },
  {
    name: "worker-choices",
    what: "kill -9 a worker in the middle of answers with n = 4",
    engines: ["mocker"],
    quick: true,
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: { choices: 4, requests: 12, tokens: 64 },
        fault: async (running) => {
          await midway(running, 20, 0.5);
          return killWorker(running);
        },
      }),
  },
];
