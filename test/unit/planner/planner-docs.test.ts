/** Pages about the planner say what the code has: knobs, defaults, reasons, metrics. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PlanMetrics } from "../../../actors/planner/outside/plan-metrics.ts";
import { plannerDefaults } from "../../../actors/planner/pipeline/config-defaults.ts";
import { reasonNames } from "../../../actors/planner/pipeline/decision.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";
import { planSnapshot, planTraffic, planWorker } from "../../support/planner/plan-cases.ts";
import { toldConfig, toldDecisions } from "../../support/planner/told-decisions.ts";

const read = (path: string) => readFileSync(join(import.meta.dir, "../../../docs", path), "utf8");
const page = read("planner.md");

/** Rows of a table whose first cell is one name. */
const rows = new Map(
  [...page.matchAll(/^\| `(\w+)` \|([^|\n]+)\|([^|\n]+)\|[^\n]+\|$/gm)].map(
    ([, name = "", unit = "", value = ""]) => [name, { unit: unit.trim(), value: value.trim() }],
  ),
);

test("each knob stands in the table with its unit and its default", () => {
  for (const [name, value] of Object.entries(plannerDefaults)) {
    const shown = value === "" ? "none" : `\`${value}\``;
    expect([name, rows.get(name)?.value]).toEqual([name, shown]);
    const has_unit = /_(seconds|hours|ms|gpu|budget|endpoint|tokens|rate|workers|share)$/.test(
      name,
    );
    if (has_unit) expect([name, rows.get(name)?.unit]).not.toEqual([name, "–"]);
  }
});

test("each reason is explained", () => {
  const told = page.slice(page.indexOf("## Reasons"), page.indexOf("## Who goes"));
  expect(reasonNames.filter((name) => !told.includes(`\`${name}\``))).toEqual([]);
});

test("each metric of a planner is listed", () => {
  const metrics = new Metrics();
  const plan = new PlanMetrics(metrics, "tiny");
  const snapshot = planSnapshot({ traffic: planTraffic(), workers: [planWorker("decode")] });
  for (const decision of toldDecisions(60)) plan.decided(decision, snapshot, toldConfig);
  const listed = read("observability.md");
  const names = [...metrics.families()].map(({ name }) => name);
  expect(names.length).toBeGreaterThan(20);
  const missing = names.filter(
    (name) =>
      !listed.includes(`\`${name}\``) &&
      !listed.includes(`\`${name.replace(/^dynamo_planner/, "…")}\``),
  );
  expect(missing).toEqual([]);
});
