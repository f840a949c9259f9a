/**
 * What operations teams connect: our board, Dynamo's boards, and a real Prometheus that scrapes a
 * cluster by our configuration.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { familiesIn, filledIn, queriesOf, readBoard } from "../../support/board.ts";
import { type Cluster, startCluster, until } from "../../support/cluster.ts";
import { lacksProgram, testWith } from "../../support/needs.ts";
import { type Prometheus, startPrometheus } from "../../support/prometheus.ts";

const root = join(import.meta.dir, "../../..");
const folder = mkdtempSync(join(tmpdir(), "troupe-scraped-"));
const REQUESTS = 24;
let cluster: Cluster;

let over = false;
let asked = 0;
let asking: Promise<void> | undefined;
const ofThePlanner = ["predicted_requests_per_second", "observed_itl_ms", "gpu_hours"].map(
  (name) => `dynamo_planner_${name}`,
);

async function ask(i: number): Promise<void> {
  asked += 1;
  const words = "one two three four five six seven eight nine ten ".repeat(40);
  const response = await fetch(`${cluster.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ messages: [{ role: "user", content: `${words}${i % 4}` }], max_tokens: 8 },
      ...{ model: "troupe-tiny", stream: true },
    }),
  });
  expect(response.status).toBe(200);
  await response.text();
}

beforeAll(async () => {
  cluster = await startCluster([
    ...["--engine", "mocker", "--speedup-ratio", "10", "--prefill", "1", "--decode", "1"],
    ...["--kv-host-bytes", "32MB", "--kv-disk-bytes", "64MB", "--kv-disk-dir", folder],
    ...["--planner", "sla", "--planner-advisory"],
  ]);
  for (let i = 0; i < REQUESTS; i += 1) await ask(i);
  // A planner tells of its last interval alone, so there is always something in it.
  const goesOn = async () => {
    for (let i = 0; !over; i += 1) await ask(i).then(() => Bun.sleep(200));
  };
  asking = goesOn();
  await until("an interval of the planner with all of its figures", 30_000, async () => {
    const there = await families();
    return ofThePlanner.every((name) => there.has(name));
  });
}, 90_000);
afterAll(async () => {
  over = true;
  await asking;
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
}, 30_000);

async function families(path = "/metrics"): Promise<Set<string>> {
  const text = await (await fetch(`${cluster.inspector}${path}`)).text();
  return new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = ""]) => name));
}

/** They are there from the first such event on. */
const withTheirFirst = [
  ...["dynamo_frontend_model_migration_total", "dynamo_component_errors_total"],
  "troupe_planner_decisions_total",
];

test("every metric of our board and of our alerts is there", async () => {
  const there = await families();
  const alerts = readFileSync(join(root, "deploy/prometheus/alerts.yml"), "utf8");
  const named = [...queriesOf(readBoard()).flatMap(familiesIn), ...familiesIn(alerts)];
  expect(named.length).toBeGreaterThan(50);
  const missing = named.filter((name) => !there.has(name) && !withTheirFirst.includes(name));
  expect([...new Set(missing)]).toEqual([]);
});

/** Dynamo's boards of its frontend, of disaggregated serving and of KVBM, as of its 1.x line. */
const dynamosBoards = [
  ...["requests_total", "time_to_first_token_seconds", "inter_token_latency_seconds"].map(
    (name) => `dynamo_frontend_${name}`,
  ),
  ...["request_duration_seconds", "input_sequence_tokens", "output_sequence_tokens"].map(
    (name) => `dynamo_frontend_${name}`,
  ),
  ...["dynamo_frontend_queued_requests", "dynamo_frontend_inflight_requests"],
  ...["requests_total", "request_duration_seconds", "total_blocks", "gpu_cache_usage_percent"].map(
    (name) => `dynamo_component_${name}`,
  ),
  ...["request_bytes_total", "response_bytes_total"].map((name) => `dynamo_component_${name}`),
  ...["", "dynamo_"].flatMap((prefix) =>
    [
      ...["matched_tokens", "host_cache_hit_rate", "disk_cache_hit_rate"],
      ...["offload_blocks_d2h", "offload_blocks_h2d", "offload_blocks_d2d"],
      ...["onboard_blocks_h2d", "onboard_blocks_d2d"],
    ].map((name) => `${prefix}kvbm_${name}`),
  ),
];

test("Dynamo's boards find their metrics, and what they do not find is told with its reason", async () => {
  const there = await families();
  const missing = dynamosBoards.filter((name) => !there.has(name));
  const page = readFileSync(join(root, "docs/observability.md"), "utf8");
  const told = [...page.matchAll(/^\| `(\w+)` \| no:/gm)].map(([, name = ""]) => name);
  expect(missing.sort()).toEqual(told.sort());
  const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
  for (const component of ["prefill", "backend"]) {
    expect(text).toContain(`dynamo_component="${component}",dynamo_endpoint="generate"`);
  }
});

test("one process's metrics are its own", async () => {
  const { processes } = (await (await fetch(`${cluster.inspector}/api/processes`)).json()) as {
    processes: { node: string; role: string }[];
  };
  const frontend = processes.find(({ role }) => role === "frontend")?.node ?? "";
  const own = await families(`/metrics?process=${frontend}`);
  expect(own.has("dynamo_frontend_requests_total")).toBe(true);
  expect(own.has("dynamo_component_requests_total")).toBe(false);
  const none = await fetch(`${cluster.inspector}/metrics?process=nobody`);
  expect(none.status).toBe(404);
  expect(await none.text()).toContain("/api/processes");
});

test("the machine's health in the form of Dynamo's system status server", async () => {
  const health = await fetch(`${cluster.inspector}/health`);
  expect(health.status).toBe(200);
  expect(await health.json()).toMatchObject({
    status: "ready",
    endpoints: { generate: "ready", http: "ready" },
    uptime: { secs: expect.any(Number), nanos: expect.any(Number) },
  });
  expect(await (await fetch(`${cluster.inspector}/live`)).json()).toMatchObject({ status: "live" });
});

const lack = lacksProgram("prometheus", "promtool");

function promtool(...args: string[]) {
  const run = Bun.spawnSync(["promtool", ...args], { cwd: join(root, "deploy/prometheus") });
  return { code: run.exitCode, said: `${run.stdout}${run.stderr}` };
}

testWith(
  lack,
  "promtool finds our configuration and alerts in order, and they fire when they should",
  () => {
    for (const args of [
      ["check", "config", "prometheus.yml"],
      ["check", "rules", "alerts.yml"],
      ["test", "rules", "alerts.test.yml"],
    ]) {
      expect({ args, ...promtool(...args) }).toMatchObject({ code: 0 });
    }
  },
);

testWith(
  lack,
  "a real Prometheus scrapes the cluster and answers every query of our board",
  async () => {
    await using prometheus = await startPrometheus(new URL(cluster.inspector).host);
    await until("the first scrapes", 30_000, async () => {
      const scrapes = await prometheus.query('count_over_time(up{job="troupe"}[1m])');
      return (scrapes[0]?.value ?? 0) >= 2;
    });
    expect(await prometheus.query("up")).toMatchObject([{ value: 1, metric: { job: "troupe" } }]);
    await checkBoard(prometheus);
    await checkAlerts(prometheus);
    over = true;
    await asking;
    await until("a scrape with all requests", 30_000, async () => {
      const [all] = await prometheus.query("sum(dynamo_frontend_requests_total)");
      return all?.value === asked;
    });
    const [first] = await prometheus.query(
      "sum(dynamo_frontend_time_to_first_token_seconds_count)",
    );
    expect(first?.value).toBe(asked);
  },
  90_000,
);

async function checkBoard(prometheus: Prometheus): Promise<void> {
  const empty: string[] = [];
  for (const query of queriesOf(readBoard())) {
    if (withTheirFirst.some((name) => query.includes(name))) continue;
    if ((await prometheus.query(filledIn(query))).length === 0) empty.push(query);
  }
  expect(empty).toEqual([]);
}

async function checkAlerts(prometheus: Prometheus): Promise<void> {
  type Rule = { readonly name: string; readonly health: string; readonly state: string };
  await until("the alerts' first evaluation", 20_000, async () => {
    const rules = await rulesOf();
    return rules.length > 0 && rules.every(({ health }) => health === "ok");
  });
  expect((await rulesOf()).filter(({ state }) => state !== "inactive")).toEqual([]);

  async function rulesOf(): Promise<readonly Rule[]> {
    const { groups } = (await prometheus.get("/api/v1/rules")) as {
      groups: readonly { readonly rules: readonly Rule[] }[];
    };
    return groups.flatMap(({ rules }) => rules);
  }
}
