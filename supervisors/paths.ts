/** Paths of the actors of each kind of process, for the trees and for lookups. */
export const rootPaths = {
  top: "/cluster",
  registry: "/cluster/registry",
  inspector: "/cluster/inspector",
  load: "/cluster/load",
  adapters: "/cluster/adapters",
  limits: "/cluster/limits",
  pool: "/cluster/pool",
  workers: "/cluster/workers",
  frontends: "/cluster/frontends",
  routers: "/cluster/routers",
  kv: "/cluster/kv",
  planners: "/cluster/planners",
} as const;

export const workerPaths = {
  top: "/worker",
  inspector: "/worker/inspector",
} as const;

/** A router in a process of its own. */
export const routerPaths = {
  top: "/router",
  inspector: "/router/inspector",
  router: "/router/router",
  main: "/router/desk",
} as const;

/** The keeper of a machine's blocks. */
export const kvPaths = {
  top: "/kv",
  inspector: "/kv/inspector",
  main: "/kv/keeper",
} as const;

/** What decides how many workers there are. */
export const plannerPaths = {
  top: "/planner",
  inspector: "/planner/inspector",
  /** Supervisor of the planners, one a model. */
  models: "/planner/models",
} as const;

export const frontendPaths = {
  top: "/frontend",
  inspector: "/frontend/inspector",
  router: "/frontend/router",
  answers: "/frontend/answers",
  main: "/frontend/door",
  batches: "/frontend/batches",
} as const;

/** Name of the fault actor, at the top of each process into which faults can be injected. */
export const FAULT_NAME = "fault";
