/** What planners decide, and their reports as HTML. */
import { createHash } from "node:crypto";
import { plannerReportOf, plannersOf } from "../../planner-page.ts";
import { failed, json, pageHeaders } from "../answers.ts";
import type { Call, Door } from "../door.ts";
import type { Route } from "../route.ts";

export const plannerRoutes: readonly Route[] = [
  { path: "/api/planner", on: { GET: async (_call, door) => json(await plannersOf(door)) } },
  { path: "/api/planner/report", on: { GET: report } },
];

async function report({ url }: Call, door: Door): Promise<Response> {
  const model = url.searchParams.get("model") ?? "";
  const html = await plannerReportOf(door, model);
  if (html === undefined) {
    const of = model === "" ? "" : ` of ${model}`;
    return failed(`no planner${of} answers; /api/planner lists those that do`, 404);
  }
  const style = /<style>([^<]*)<\/style>/.exec(html)?.[1] ?? "";
  const hash = createHash("sha256").update(style).digest("base64");
  return new Response(html, { headers: pageHeaders([], [hash]) });
}
