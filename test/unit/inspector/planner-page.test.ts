/** What the inspector says of planners: over the real question to the processes, and its feed. */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { type PlannerAnswer, plannerRows } from "../../../actors/inspector/planner-rows.ts";
import { PlanHistory } from "../../../actors/planner/report/plan-history.ts";
import type { PlanHead } from "../../../actors/planner/report/plan-page.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { startDoorSystem } from "../../support/inspector/door-system.ts";
import { openPage } from "../../support/inspector/live-page.ts";
import { TellingPlanner } from "../../support/planner/telling-planner.ts";
import { toldDecisions, toldHead } from "../../support/planner/told-decisions.ts";

async function withPlanner(decisions: number) {
  const door = await startDoorSystem();
  const planner = new TellingPlanner();
  const told = toldDecisions(decisions + 5);
  for (const decision of told.slice(0, decisions)) planner.history.push(decision);
  const ref: Ref = await door.system.spawnReady(() => planner, { name: "tiny", role: "planner" });
  return { door, planner, told, ref };
}

test("without a planner the list is empty, and there is no report", async () => {
  await using door = await startDoorSystem();
  const answer = await fetch(`${door.url}/api/planner`);
  expect(await answer.json()).toEqual({ planners: [] });
  const report = await fetch(`${door.url}/api/planner/report`);
  expect(report.status).toBe(404);
  expect(((await report.json()) as { error: string }).error).toContain("no planner answers");
});

test("a planner that is to be there and does not answer is gone, not none", async () => {
  await using door = await startDoorSystem({ plans: true });
  const ask = async () => await (await fetch(`${door.url}/api/planner`)).json();
  expect(await ask()).toEqual({ planners: [], gone: true });
});

test("so is one of another machine that has answered once", async () => {
  const { door, ref } = await withPlanner(3);
  await using _ = door;
  const ask = async () => (await (await fetch(`${door.url}/api/planner`)).json()) as PlannerAnswer;
  expect((await ask()).gone).toBeUndefined();
  door.system.stop(ref);
  while (door.system.lookup("/tiny") !== undefined) await Bun.sleep(1);
  expect(await ask()).toEqual({ planners: [], gone: true });
});

test("a model's planner is told with its process, decisions, figures and configuration", async () => {
  const { door } = await withPlanner(120);
  await using _ = door;
  const { planners } = (await (await fetch(`${door.url}/api/planner`)).json()) as PlannerAnswer;
  expect(planners).toHaveLength(1);
  const [row] = planners;
  expect(row).toMatchObject({
    ...{ model: "tiny", node: "root", standing: "decides", epoch: 3, pending: [], others: [] },
    config: { ttft_ms: 200, itl_ms: 20, sla_share: 0.95 },
  });
  expect(row?.points).toHaveLength(120);
  expect(row?.decisions.length).toBeGreaterThan(3);
  expect(row?.decisions[0]?.roles[0]?.why).toContain("are predicted");
  expect(row?.says).toBe("It starts and retires workers");
  const means = row?.decisions.flatMap(({ roles }) => roles.map((role) => role.means)) ?? [];
  expect(means.filter((words) => words === "" || words === undefined)).toEqual([]);
  expect(row?.totals.gpu_hours).toBeGreaterThan(0);
});

test("the report is a page of its own, which may run and load nothing", async () => {
  const { door } = await withPlanner(120);
  await using _ = door;
  const report = await fetch(`${door.url}/api/planner/report?model=tiny`);
  expect(report.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const html = await report.text();
  const style = /<style>([^<]*)</.exec(html)?.[1] ?? "";
  const hash = createHash("sha256").update(style).digest("base64");
  const policy = report.headers.get("content-security-policy") ?? "";
  expect(policy).toContain(`style-src 'sha256-${hash}'`);
  expect(policy).toContain("script-src 'none'");
  expect(html).toContain("Planner of tiny");
  expect((await fetch(`${door.url}/api/planner/report?model=other`)).status).toBe(404);
});

test("a page that watches hears of each decision once, and of a change that is asked for", async () => {
  const { door, planner, told } = await withPlanner(20);
  await using _ = door;
  using page = openPage(door.url, { watch: ["planner"] });
  type Told = { readonly frame: object };
  const planned = ({ frame }: Told) => (frame as unknown as PlannerAnswer).planners[0];
  const first = planned(await page.until("planner", () => true));
  expect(first?.points).toHaveLength(20);
  const next = page.until("planner", () => true);
  const decision = told[20];
  if (decision === undefined) throw new Error("there is no such decision");
  planner.history.push(decision);
  const second = planned(await next);
  expect(second?.points.map(({ at_ms }) => at_ms)).toEqual([decision.at_ms]);
  const asked = page.until("planner", (frame) => {
    const [row] = (frame as unknown as PlannerAnswer).planners;
    return (row?.pending.length ?? 0) > 0;
  });
  const action = { kind: "add", role: "decode", count: 1 } as const;
  const pending = [{ change: "plan-tiny-3-7-0", decision: 7, action, asked_ms: 1 }];
  planner.head = { ...toldHead, pending };
  expect(planned(await asked)?.pending[0]?.change).toBe("plan-tiny-3-7-0");
});

test("of several planners of a model the one that decides is shown, and who would take over", () => {
  const said = (node: string, head: Partial<PlanHead>) => ({
    node,
    snapshot: new PlanHistory().page({ ...toldHead, ...head }),
  });
  const rows = plannerRows([
    said("a", { standing: "stands_by", epoch: 9 }),
    said("b", { standing: "decides", epoch: 8 }),
    said("c", { standing: "decides", epoch: 2, model: "other" }),
    said("d", { standing: "decides", epoch: 7 }),
  ]);
  expect(rows.map(({ model, node }) => [model, node])).toEqual([
    ["other", "c"],
    ["tiny", "b"],
  ]);
  expect(rows[1]?.others).toEqual([
    { node: "d", standing: "decides" },
    { node: "a", standing: "stands_by" },
  ]);
});
