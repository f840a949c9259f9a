/** Two frontends that share a port: one set of sessions and loads, and one page of figures. */
import { expect, test } from "bun:test";
import { startCluster, until } from "../support/cluster.ts";
import { complete, knownBlocks, metricsOf, promptTokens } from "../support/worlds/kv-prompts.ts";

const flags = ["--engine", "mocker", "--workers", "4", "--frontends", "2"];
const affinity = ["--router-session-affinity-ttl-secs", "600", "--speedup-ratio", "0"];
const TAKEN = /^dynamo_component_requests_total\{.*worker="([^"]+)"/;
const fresh = { Connection: "close" };

test("sessions, caches and figures are one, whichever frontend is met", async () => {
  await using cluster = await startCluster([...flags, ...affinity]);
  const workers = Array.from({ length: 4 }, (_, i) => `worker-${i}`);
  const taken = async () => {
    const rows = await Promise.all(workers.map((worker) => metricsOf(cluster, worker)));
    return rows.flatMap((row) =>
      [...row].flatMap(([name, value]) => (TAKEN.test(name) ? [value] : [])),
    );
  };
  const routed = async () => {
    const pages = await Promise.all([0, 1].map((i) => metricsOf(cluster, `frontend-${i}`)));
    const name = 'dynamo_component_router_requests_started_total{model="troupe-tiny"}';
    return pages.map((page) => page.get(name) ?? 0);
  };
  let seed = 1;
  /** How many turns of the session each worker got. */
  const turns = async (session: string, count: number) => {
    const before = await taken();
    for (let turn = 0; turn < count; turn++) {
      const headers = { ...fresh, "X-Dynamo-Session-ID": session };
      await complete(cluster, promptTokens(200, seed++), { headers });
    }
    return (await taken()).map((now, i) => now - before[i]!);
  };
  const sessions = ["one", "two", "three"];
  const homes: number[] = [];
  for (const session of sessions) {
    const spread = await turns(session, 16);
    homes.push(spread.indexOf(16));
    expect(spread.toSorted((a, b) => a - b)).toEqual([0, 0, 0, 16]);
  }
  const met = await routed();
  expect(met[0]! + met[1]!).toBe(48);
  // The kernel spreads connections: both have to have had some, or nothing was shown.
  expect(Math.min(...met)).toBeGreaterThan(0);
  const known = await knownBlocks(cluster);
  expect([...known.values()].reduce((a, b) => a + b)).toBeGreaterThan(48);
  const other = await metricsOf(cluster, "frontend-1");
  for (const [worker, blocks] of known) {
    expect(other.get(`troupe_router_kv_index_blocks{worker="${worker}"}`)).toBe(blocks);
  }
  for (const stage of ["receive", "preprocess", "route", "queue", "first_token"]) {
    const name = `dynamo_frontend_stage_duration_seconds_count{stage="${stage}"}`;
    expect([stage, other.get(name)]).toEqual([stage, met[1]]);
  }
  // A router that starts anew has the caches from the workers, and the sessions from the other one.
  const total = [...known.values()].reduce((a, b) => a + b);
  const restart = `${cluster.inspector}/api/actors/frontend-0%2Ffrontend%2Frouter/restart`;
  expect((await fetch(restart, { method: "POST" })).status).toBe(200);
  const NEWS = "troupe_router_requests_of_other_routers";
  await until("its caches known again", 10_000, async () => {
    const blocks = [...(await knownBlocks(cluster)).values()].reduce((a, b) => a + b, 0);
    return blocks === total && (await metricsOf(cluster)).has(NEWS);
  });
  for (const [i, session] of sessions.entries()) {
    const spread = await turns(session, 12);
    expect(spread[homes[i]!]).toBe(12);
  }
  const pages = [cluster.inspector, cluster.url].map(async (url) => fetch(`${url}/metrics`));
  const [inspector = "", door = ""] = await Promise.all(
    pages.map(async (page) => (await page).text()),
  );
  expect(inspector).toContain('node="root"');
  for (const text of [inspector, door]) {
    for (const process of ["frontend-0", "frontend-1", "worker-3"]) {
      expect(text).toContain(`node="${process}"`);
    }
  }
}, 60_000);
