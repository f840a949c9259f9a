/** What a client that says little says of how it is routed. */
import type { RouteHints } from "../../../proto/index.ts";

export const routeHints = (said: Partial<RouteHints>): RouteHints => ({
  session: "",
  strict_priority: 0,
  priority_jump_ms: 0,
  policy_class: "",
  tolerated_taints: [],
  required_taints: [],
  preferred_taints: [],
  allowed_workers: [],
  ...said,
});
