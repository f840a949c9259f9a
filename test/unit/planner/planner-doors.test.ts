/** What a planner's process serves: its metrics, and the least numbers of workers. Real HTTP. */
import { afterEach, describe, expect, test } from "bun:test";
import { serveMetrics } from "../../../actors/planner/outside/metrics-door.ts";
import {
  type LivePlans,
  serveMinEndpoints,
} from "../../../actors/planner/outside/min-endpoints.ts";
import { PlanMetrics } from "../../../actors/planner/outside/plan-metrics.ts";
import type { PlannerConfig } from "../../../actors/planner/pipeline/config.ts";
import { plannerDefaults } from "../../../actors/planner/pipeline/config-defaults.ts";
import type { Decision } from "../../../actors/planner/pipeline/decision.ts";
import { zeroAfterSeconds } from "../../../actors/planner/pipeline/roles.ts";
import type { HttpServer } from "../../../runtime/capabilities.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";
import { realNet } from "../../../runtime/real/net.ts";
import { lacksProgram, testWith } from "../../support/needs.ts";
import { planSnapshot, planTraffic, planWorkers } from "../../support/planner/plan-cases.ts";

const net = realNet();
const open: HttpServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

const role_facts = { retiring: 0, reason: "scale_up", why: "" } as const;
const decision: Decision = {
  ...{ id: 3, model: "m", at_ms: 0, interval_ms: 5_000, actions: [], advisory: false },
  roles: [
    {
      ...{ role: "prefill", serving: 2, starting: 1, target: 3, ...role_facts },
      ...{ throughput_reason: "set_lower_bound", load_reason: "scale_up" },
    },
    {
      ...{ role: "decode", serving: 4, starting: 0, target: 4, ...role_facts },
      ...{ throughput_reason: "set_lower_bound", load_reason: "no_change" },
    },
  ],
  targets: { prefill: 3, decode: 4 },
  observed: {
    ...{ requests_per_s: 7.5, isl: 1_000, osl: 200, ttft_p50_ms: 100, ttft_p95_ms: 300 },
    ...{ itl_p50_ms: 10, itl_p95_ms: 20, queue_p95_ms: undefined, queued: 0, attainment: 0.9 },
  },
  predicted: { requests: 900, isl: 1_100, osl: undefined, interval_ms: 180_000 },
  estimated: { ttft_ms: 420, itl_ms: undefined },
};
const config: PlannerConfig = {
  ...plannerDefaults,
  ...{ mode: "disagg", prefill_engine_num_gpu: 2, decode_engine_num_gpu: 4 },
};

function series(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

describe("metrics", () => {
  const workers = planWorkers("decode", 1);
  const snapshot = planSnapshot({ workers, traffic: planTraffic() });

  test("are Dynamo's names with the model; what is unknown has no series", () => {
    const metrics = new Metrics();
    const plan = new PlanMetrics(metrics, "m");
    plan.decided(decision, snapshot, config);
    plan.decided({ ...decision, at_ms: 1_800_000 }, snapshot, config);
    const got = series(metrics.render());
    const of = (name: string) => got.get(`dynamo_planner_${name}{model="m"}`);
    expect({
      p: of("num_prefill_replicas"),
      d: of("num_decode_replicas"),
      want_p: of("predicted_num_prefill_replicas"),
      want_d: of("predicted_num_decode_replicas"),
      rate: of("observed_requests_per_second"),
      isl: of("observed_input_sequence_tokens"),
      next: of("predicted_requests_per_second"),
      next_isl: of("predicted_input_sequence_tokens"),
      next_osl: of("predicted_output_sequence_tokens"),
      ttft: of("estimated_ttft_ms"),
      itl: of("estimated_itl_ms"),
      // Half an hour of three workers with two GPUs and four with four.
      hours: of("gpu_hours"),
    }).toEqual({
      ...{ p: 2, d: 4, want_p: 3, want_d: 4, rate: 7.5, isl: 1_000, next: 5, next_isl: 1_100 },
      ...{ next_osl: undefined, ttft: 420, itl: undefined, hours: 11 },
    });
    const state = "dynamo_planner_load_scaling_decision";
    const labels = (state_name: string) => `{${state}="${state_name}",model="m",role="prefill"}`;
    expect(got.get(`${state}${labels("scale_up")}`)).toBe(1);
    expect(got.get(`${state}${labels("no_change")}`)).toBe(0);
    expect(got.get('troupe_planner_decisions_total{model="m"}')).toBe(1);
    expect(got.get('troupe_planner_observed_ttft_p95_seconds{model="m"}')).toBe(0.3);
    expect(got.has('troupe_planner_observed_queue_p95_seconds{model="m"}')).toBe(false);
  });

  test("of a worker, a figure or a planner that is gone go with it", () => {
    const metrics = new Metrics();
    const plan = new PlanMetrics(metrics, "m");
    const other = new PlanMetrics(metrics, "other");
    plan.decided(decision, snapshot, config);
    other.decided({ ...decision, model: "other" }, snapshot, config);
    const name = workers[0]?.worker ?? "";
    const queued = 'dynamo_planner_engine_queued_prefill_tokens{dp_rank="0",model="m",worker_id=';
    expect(series(metrics.render()).has(`${queued}"${name}"}`)).toBe(true);
    const later = { ...decision, estimated: { ttft_ms: undefined, itl_ms: undefined } };
    plan.decided(later, { ...snapshot, workers: [] }, config);
    const left = metrics.render();
    expect(left).not.toContain(queued);
    expect(left).not.toContain('dynamo_planner_estimated_ttft_ms{model="m"}');
    plan.forget();
    expect(metrics.render()).not.toMatch(/dynamo_planner_\w+\{[^}]*model="m"/);
    expect(metrics.render()).toContain('dynamo_planner_num_decode_replicas{model="other"} 4');
  });

  testWith(
    lacksProgram("promtool"),
    "are served on a port of their own, and promtool reads them",
    async () => {
      const metrics = new Metrics();
      new PlanMetrics(metrics, "m").decided(decision, snapshot, config);
      const server = await serveMetrics({ net, host: "127.0.0.1", port: 0, metrics });
      open.push(server);
      const url = `http://127.0.0.1:${server.port}`;
      const answer = await fetch(`${url}/metrics`);
      expect(answer.headers.get("content-type")).toContain("version=0.0.4");
      const text = await answer.text();
      expect((await fetch(`${url}/other`)).status).toBe(404);
      expect((await fetch(`${url}/metrics`, { method: "POST" })).status).toBe(405);
      const promtool = Bun.spawn(["promtool", "check", "metrics"], {
        ...{ stdin: "pipe", stdout: "pipe", stderr: "pipe" },
      });
      promtool.stdin.write(text);
      await promtool.stdin.end();
      const said = (
        await Promise.all([
          new Response(promtool.stdout).text(),
          new Response(promtool.stderr).text(),
        ])
      ).join("");
      await promtool.exited;
      // Dynamo's names are in ms and hours, which promtool's taste is against, not the format.
      const taste = /use base unit|abbreviated units/;
      const wrong = said.split("\n").filter((line) => line !== "" && !taste.test(line));
      expect(wrong).toEqual([]);
    },
  );
});

describe("the least numbers of workers", () => {
  class Plans implements LivePlans {
    readonly configs = new Map<string, PlannerConfig>([["m", config]]);
    broken = false;

    models = () => [...this.configs.keys()];
    config = (model: string) => this.configs.get(model);
    async change(model: string, changed: PlannerConfig): Promise<void> {
      await Bun.sleep(1);
      if (this.broken) throw new Error("the journal cannot be written");
      this.configs.set(model, changed);
    }
  }

  async function door(plans: LivePlans) {
    const server = await serveMinEndpoints({ net, port: 0, plans });
    open.push(server);
    const url = `http://127.0.0.1:${server.port}/v1/min-endpoints`;
    return async (method: string, body?: string, query = "", headers = {}) => {
      const response = await fetch(`${url}${query}`, {
        method,
        headers,
        ...(body ? { body } : {}),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
  }

  test("are read and changed, by the fields of the mode", async () => {
    const plans = new Plans();
    plans.configs.set("m", { ...config, max_gpu_budget: 40 });
    const ask = await door(plans);
    expect(await ask("GET")).toEqual({
      status: 200,
      body: {
        ...{ mode: "disagg", prefill_min_endpoint: 1, decode_min_endpoint: 1 },
        ...{ min_gpu_budget: -1, max_gpu_budget: 40 },
      },
    });
    const patched = await ask("PATCH", '{"decode_min_endpoint":3}');
    expect(patched).toMatchObject({ status: 200, body: { decode_min_endpoint: 3 } });
    expect(plans.config("m")).toMatchObject({ max_gpu_budget: 40, decode_min_endpoint: 3 });
    expect((await ask("GET")).body).toEqual(patched.body);
  });

  test("that cannot be are refused with a reason, and nothing is changed", async () => {
    const plans = new Plans();
    plans.configs.set("m", { ...config, max_gpu_budget: 10, max_workers: 8 });
    const ask = await door(plans);
    const before = plans.config("m");
    const cases: readonly (readonly [string, number, string])[] = [
      ["{", 400, "JSON"],
      ["[]", 400, "JSON object"],
      ["{}", 400, "nothing is to be changed"],
      ['{"min_endpoints":1}', 400, "there is no min_endpoints"],
      ['{"decode_min_endpoint":-1}', 422, "decode_min_endpoint"],
      ['{"decode_min_endpoint":1.5}', 422, "decode_min_endpoint"],
      ['{"decode_min_endpoint":"2"}', 422, "decode_min_endpoint"],
      ['{"decode_min_endpoint":null}', 422, "decode_min_endpoint"],
      ['{"min_endpoint":2}', 422, "no effect in mode disagg"],
      ['{"prefill_min_endpoint":2,"decode_min_endpoint":2}', 422, "max_gpu_budget (10)"],
      ['{"prefill_min_endpoint":9,"max_gpu_budget":-1}', 422, "max_workers (8)"],
    ];
    for (const [body, status, why] of cases) {
      const answer = await ask("PATCH", body);
      expect({ body, status: answer.status }).toEqual({ body, status });
      expect(`${answer.body["error"]}`).toContain(why);
    }
    expect(plans.config("m")).toBe(before as PlannerConfig);
    expect((await ask("DELETE")).status).toBe(405);
  });

  test("of 0 let the last worker go, and of 1 keep it again", async () => {
    const plans = new Plans();
    plans.configs.set("m", { ...config, mode: "agg" });
    const ask = await door(plans);
    const zeroAfter = () => zeroAfterSeconds(plans.config("m") ?? config, "aggregated");
    expect(zeroAfter()).toBe(0);
    expect((await ask("PATCH", '{"min_endpoint":0}')).status).toBe(200);
    expect(zeroAfter()).toBe(60);
    await ask("PATCH", '{"min_endpoint":1}');
    expect(zeroAfter()).toBe(0);
  });

  test("change one after the other, all fields of a change or none", async () => {
    const plans = new Plans();
    plans.configs.set("m", { ...config, max_gpu_budget: 14 });
    const ask = await door(plans);
    // Each alone fits into 14 GPUs, both together do not.
    const answers = await Promise.all([
      ask("PATCH", '{"prefill_min_endpoint":5}'),
      ask("PATCH", '{"decode_min_endpoint":3}'),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 422]);
    plans.broken = true;
    const lost = await ask("PATCH", '{"prefill_min_endpoint":1,"decode_min_endpoint":1}');
    expect(lost.status).toBe(503);
    expect(lost.body["error"]).toContain("nothing was changed");
  });

  test("of several models are asked by name, and pages of the web are sent away", async () => {
    const plans = new Plans();
    const ask = await door(plans);
    plans.configs.set("org/other", { ...config, mode: "agg" });
    expect((await ask("GET")).status).toBe(400);
    const other = await ask("GET", undefined, "?model=org/other");
    expect(other.body).toMatchObject({ mode: "agg", min_endpoint: 1 });
    expect((await ask("GET", undefined, "?model=none")).status).toBe(404);
    const rebound = await ask("GET", undefined, "?model=m", { host: "evil.example" });
    expect(rebound.status).toBe(403);
    plans.configs.clear();
    expect((await ask("GET")).status).toBe(503);
  });
});
