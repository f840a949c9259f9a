/** An actor of a frontend crashes under live streams: each is told where to go on, and does. */
import { expect, test } from "bun:test";
import { Simulation } from "../../runtime/simulation.ts";
import { jsonBytes, smallTokenizer } from "../support/small-tokenizer.ts";
import { Client } from "./world/client.ts";
import { memoryFiles } from "./world/files.ts";
import { oracle } from "./world/run-seed.ts";
import { DOOR_PORT, World } from "./world/world.ts";

const flags = [
  "--engine=mocker",
  "--model=toy=/model",
  `--port=${DOOR_PORT}`,
  "--workers=2",
  "--block-size=16",
  "--num-blocks=256",
];
const modelFile = jsonBytes(smallTokenizer());

async function world(seed: number) {
  const simulation = new Simulation(seed);
  const files = memoryFiles(new Map([["/model/tokenizer.json", modelFile]]));
  const cluster = new World(simulation, { flags, files, delay_ms_max: 2, split_bytes_max: 0 });
  cluster.startRoot();
  while (cluster.root === undefined && cluster.lost === undefined) await simulation.run(250);
  expect(cluster.lost).toBeUndefined();
  return { simulation, cluster };
}

function client(cluster: World, name: string, choices: number): Client {
  const request = {
    name,
    path: "/v1/completions" as const,
    stream: true,
    choices,
    max_tokens: 200,
    seed: choices,
    stop: "",
    logprobs: choices === 2,
    prompt: `a stream called ${name}`,
  };
  return new Client(cluster.http, oracle, {
    port: DOOR_PORT,
    request,
    manner: { kind: "plain" },
    idempotency_key: "",
    resumes: true,
  });
}

test.each([
  ["the parent of all streams", "/frontend/answers "],
  ["one stream", "/frontend/answers/"],
  ["the door", "/frontend/door "],
])(
  "%s crashes",
  async (_, match) => {
    for (let seed = 1; seed <= 5; seed++) {
      const { simulation, cluster } = await world(seed);
      const clients = [1, 2, 3].map((choices) => client(cluster, `s${choices}`, choices));
      await simulation.run(300 + 150 * seed);
      for (const each of clients) expect(each.tokens).toBeGreaterThan(0);
      for (const each of clients) expect(each.outcome).toBeUndefined();
      const injector = cluster.injectors.get(cluster.processes.get("frontend-0")!)!;
      injector.set({ seed, rules: [{ point: "step.before", match, do: "crash", times: 1 }] });
      await simulation.run(30_000);
      expect(injector.done.get("step.before crash")).toBe(1);
      const told = clients.map(({ complaint, outcome }) => ({ complaint, outcome }));
      expect(told).toEqual(
        clients.map(() => ({ complaint: undefined, outcome: { kind: "complete" } })),
      );
      expect(clients.reduce((sum, each) => sum + each.resumed, 0)).toBeGreaterThan(0);
    }
  },
  60_000,
);
