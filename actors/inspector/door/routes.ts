/**
 * The table of the inspector's routes. A route is a file in `routes/` and a line here; the first
 * one whose path fits counts, so a path with fewer `{…}` stands before a wider one.
 */
import { actorActions, actRoutes } from "../acts/act-routes.ts";
import type { Route } from "./route.ts";
import { actorRoutes } from "./routes/actors.ts";
import { kvRoutes } from "./routes/kv.ts";
import { liveRoute } from "./routes/live.ts";
import { loadRoute } from "./routes/load.ts";
import { meRoute } from "./routes/me.ts";
import { openaiRoute } from "./routes/openai.ts";
import { overviewRoutes } from "./routes/overview.ts";
import { plannerRoutes } from "./routes/planner.ts";
import { requestRoutes } from "./routes/requests.ts";
import { statusRoutes } from "./routes/status.ts";

/** Browsers get the page. */
const frontRoute: Route = {
  path: "/",
  on: {
    GET: ({ request }, { options }) => options.page?.(request.headers) ?? new Response(usage()),
  },
};

export const routes: readonly Route[] = [
  frontRoute,
  meRoute,
  liveRoute,
  ...overviewRoutes,
  ...kvRoutes,
  loadRoute,
  ...plannerRoutes,
  ...statusRoutes,
  ...requestRoutes,
  ...actorRoutes,
  ...actRoutes,
  openaiRoute,
];

type Moved = { readonly health_path?: string; readonly live_path?: string };

/** The table, with the status routes where this door has them. */
export function routesFor({ health_path = "/health", live_path = "/live" }: Moved): Route[] {
  const moved = new Map([
    ["/health", health_path],
    ["/live", live_path],
  ]);
  return routes.map((route) => ({ ...route, path: moved.get(route.path) ?? route.path }));
}

/** What a person reads who asks with curl. */
export function usage(): string {
  const listed = routes.filter(({ path }) => path !== "/" && !path.startsWith("/api/actors/"));
  const lines = listed.map(({ path, on }) => `${Object.keys(on).join("|")} ${path}`);
  const actions = `POST /api/actors/ID/{${[...actorActions, "fault"].join(",")}}`;
  return `Troupe's inspector: ${[...lines, "GET /api/actors/ID/snapshot", actions].join(", ")}\n`;
}
