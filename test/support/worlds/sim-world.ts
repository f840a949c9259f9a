/** The simulator's cluster with a plan of one's own instead of a drawn one. */
import { Simulation } from "../../../runtime/simulation/simulation.ts";
import { Client } from "../../sim/world/client.ts";
import { memoryFiles } from "../../sim/world/files.ts";
import type { ClientRequest } from "../../sim/world/request.ts";
import { oracle } from "../../sim/world/run-seed.ts";
import { DOOR_PORT, World } from "../../sim/world/world.ts";
import { jsonBytes, smallTokenizer } from "../tokens/small-tokenizer.ts";

const common = ["--engine=mocker", "--model=toy=/model", "--block-size=16", "--num-blocks=256"];
const modelFile = jsonBytes(smallTokenizer());

/** Resolves once all machines are up. `there`: flags of a second one, which has workers alone. */
export async function simWorld(seed: number, flags: readonly string[], there?: readonly string[]) {
  const simulation = new Simulation(seed);
  const files = memoryFiles(new Map([["/model/tokenizer.json", modelFile]]));
  const cluster = new World(simulation, {
    flags: [...common, `--port=${DOOR_PORT}`, ...flags],
    there: there && [...common, ...there],
    files,
    delay_ms_max: 2,
    split_bytes_max: 0,
  });
  cluster.start();
  for (let tries = 0; cluster.root === undefined && tries < 80; tries++) await simulation.run(250);
  if (cluster.root === undefined) throw new Error(`not ready: ${cluster.lost ?? "too slow"}`);
  return { simulation, cluster, files };
}

/** A streamed completion, checked against what it has to be; it resumes where it is told to. */
export function simClient(
  cluster: World,
  name: string,
  changes: Partial<ClientRequest>,
  session?: string,
): Client {
  const request: ClientRequest = {
    name,
    path: "/v1/completions",
    stream: true,
    choices: 1,
    max_tokens: 200,
    seed: 1,
    stop: "",
    logprobs: false,
    prompt: `a stream called ${name}`,
    ...changes,
  };
  return new Client(cluster.http, oracle, {
    port: DOOR_PORT,
    request,
    manner: { kind: "plain" },
    idempotency_key: "",
    resumes: true,
    ...(session === undefined ? {} : { session }),
  });
}
