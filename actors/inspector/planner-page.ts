/** `GET /api/planner`: what planners decide, asked of their processes; and their reports. */
import type { Door } from "./door/door.ts";
import { askDetails } from "./kv/ask-details.ts";
import { type PlannerAnswer, plannerRows } from "./planner-rows.ts";

const ROLES = ["planner"];

/** @param after_ms what happened after this alone; configuration and totals are always there */
export async function plannersOf(door: Door, after_ms = 0): Promise<PlannerAnswer> {
  const { system, options } = door;
  const said = await askDetails(system, options.processes(), ROLES, "plan", `${after_ms}`);
  const planners = plannerRows(said);
  if (planners.length > 0) door.planners.seen = true;
  const gone = planners.length === 0 && (door.planners.seen || options.plans === true);
  return gone ? { planners, gone } : { planners };
}

/** As HTML; undefined: no planner of that model answers. `model` "": the first there is. */
export async function plannerReportOf(door: Door, model: string): Promise<string | undefined> {
  const { system, options } = door;
  const { planners } = await plannersOf(door, Number.MAX_SAFE_INTEGER);
  const row = planners.find((each) => model === "" || each.model === model);
  if (row === undefined) return undefined;
  const owner = door.inspectorOf(row.node);
  const asked = owner === undefined ? options.processes() : [owner];
  const said = await askDetails(system, asked, ROLES, "report", row.model);
  const html = said.find(({ node }) => node === row.node)?.snapshot["html"];
  return typeof html === "string" ? html : undefined;
}
