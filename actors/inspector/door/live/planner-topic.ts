/** What planners decide: whole to a page that is new, then what came since. */
import { plannersOf } from "../../planner-page.ts";
import type { PlannerAnswer } from "../../planner-rows.ts";
import type { Topic } from "./topic.ts";

export const plannerTopic: Topic = {
  name: "planner",
  every_ms: 1_000,
  open: (door) => {
    let told_ms = 0;
    let told = "";
    return {
      next: async () => {
        const news = await plannersOf(door, told_ms);
        const text = JSON.stringify(news);
        if (text === told) return undefined;
        told = text;
        told_ms = toldUntil(news, told_ms);
        return news;
      },
      // A page asks `/api/planner` for what was before.
      whole: () => undefined,
    };
  },
};

/** A planner that falls back this far is told from there on alone. */
const BEHIND_MS = 60_000;

/** Of several planners the one that is behind counts: pages bear a point that they have already. */
function toldUntil({ planners }: PlannerAnswer, before_ms: number): number {
  const newest = planners.map(({ points }) => points.at(-1)?.at_ms ?? before_ms);
  if (newest.length === 0) return before_ms;
  return Math.max(Math.min(...newest), Math.max(...newest) - BEHIND_MS);
}
