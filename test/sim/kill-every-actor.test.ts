/**
 * Each actor of the tree is killed once, one after the other, while clients come and go: it comes
 * back, no client loses anything, and nothing is left of it, neither a port nor load in a router.
 * A kill is harder than a crash: no `terminate` runs, in it or below it.
 */
import { expect, test } from "bun:test";
import { simWorld } from "../support/worlds/sim-world.ts";
import { checkQuiet } from "./world/checks.ts";
import { Client } from "./world/client.ts";
import { oracle } from "./world/run-seed.ts";
import { DOOR_PORT, type World } from "./world/world.ts";

const workers = 2;
/** Less than five kills of a supervisor's children in its ten seconds. */
const between_ms = 2_600;
const visit_ms = 250;
/** A process that was killed often is watched for a minute before it counts as well again. */
const quiet_ms = 110_000;

type Target = { readonly node: string; readonly path: string };

/** All but the cluster's top, answers that come and go, and the injector that no cluster has. */
function targets(cluster: World): Target[] {
  return [...cluster.processes].flatMap(([node, { system }]) =>
    (system?.tree() ?? [])
      .map(({ path }) => ({ node, path }))
      .filter(({ path }) => !/^\/cluster$|^\/fault$|\/answers\/./.test(path)),
  );
}

function visitor(cluster: World, index: number): Client {
  const name = `v${index}`;
  const shape = { stream: index % 4 !== 0, choices: 1 + (index % 3 === 0 ? 1 : 0) };
  const request = { name, path: "/v1/completions", max_tokens: 60, seed: index, stop: "" } as const;
  return new Client(cluster.http, oracle, {
    port: DOOR_PORT,
    request: { ...request, ...shape, logprobs: false, prompt: `a visit called ${name}` },
    manner: { kind: "plain" },
    idempotency_key: `key-${index}`,
    resumes: true,
  });
}

/**
 * Who has no stream to go on with is told to ask again, when its owner here was killed, or when the
 * only frontend has just begun and does not know the models yet.
 */
function isWell({ complaint, outcome, options, request_id }: Client): boolean {
  if (complaint !== undefined || outcome === undefined) return false;
  if (outcome.kind === "complete") return true;
  const begun = options.request.stream && request_id !== "";
  const again = outcome.kind === "error" && ["interrupted", "model_not_ready"];
  return again && !begun && again.includes(outcome.code);
}

test.each([
  ["kv", 1],
  ["least-loaded", 0],
])(
  "router mode %s, %d hosted routers",
  async (mode, routers) => {
    const flags = [`--workers=${workers}`, `--router-mode=${mode}`, `--routers=${routers}`];
    const { simulation, cluster } = await simWorld(7, flags);
    const clients: Client[] = [];
    const visit = () => {
      clients.push(visitor(cluster, clients.length));
      if (going) simulation.clock.after(visit_ms, visit);
    };
    let going = true;
    visit();
    await simulation.run(1_000);
    const every = targets(cluster);
    expect(every.length).toBeGreaterThan(30);
    for (const { node, path } of every) {
      const before = cluster.processes.get(node)?.system;
      expect([node, path, before?.control(path, "kill")]).toEqual([node, path, true]);
      const state = () =>
        cluster.processes
          .get(node)
          ?.system?.tree()
          .find((each) => each.path === path)?.state;
      await simulation.run(between_ms);
      // A process that has been killed often is started again more and more slowly.
      for (let waits = 0; state() !== "running" && waits < 30; waits++) {
        await simulation.run(between_ms);
      }
      expect([node, path, state()]).toEqual([node, path, "running"]);
    }
    going = false;
    await simulation.run(quiet_ms);
    const wrong = clients
      .filter((client) => !isWell(client))
      .map(({ options, complaint, outcome, began_ms }) => ({
        name: options.request.name,
        stream: options.request.stream,
        began_ms,
        complaint,
        outcome,
      }));
    expect(wrong).toEqual([]);
    const told = clients.filter(({ outcome }) => outcome?.kind === "error");
    expect(told.length / clients.length).toBeLessThan(0.03);
    expect(cluster.lost).toBeUndefined();
    const scenario = {
      workers,
      per_process: 1,
      frontends: 1,
      routers,
      there: undefined,
      flags,
      faults: [],
    };
    const quiet = checkQuiet(cluster, {
      ...scenario,
      mode: "calm",
      delay_ms_max: 0,
      split_bytes_max: 0,
      slots: 0,
      visits: [],
    });
    expect(quiet).toBeUndefined();
  },
  120_000,
);
