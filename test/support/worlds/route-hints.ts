/** What a client that says little says of how it is routed. */
import { NO_HINTS } from "../../../actors/frontend/prompt/route-hints.ts";
import type { RouteHints } from "../../../proto/index.ts";

export const routeHints = (said: Partial<RouteHints>): RouteHints => ({ ...NO_HINTS, ...said });
