/** The face of `inspector`: the state of each process, and the cluster's tree over HTTP. */
export { ActLog } from "./acts/act-log.ts";
export type { ActsOptions } from "./acts/acts-options.ts";
export { isLoopbackHost } from "./allowed-host.ts";
export { clusterMetrics } from "./cluster-metrics.ts";
export type { About, InspectorDoorOptions } from "./door/door.ts";
export { InspectorDoor } from "./door/inspector-door.ts";
export type { PageRow } from "./door/live/cluster-tree.ts";
export { type Buckets, hasBegunAnew, quantile, rise, risen, sumOf } from "./load/buckets.ts";
export { LoadHistory, type LoadHistoryOptions } from "./load/load-history.ts";
export type { LoadSums, Sample } from "./load/load-point.ts";
export { type PageConfig, type PageParts, pageFor } from "./page-html.ts";
export {
  ProcessInspector,
  type ProcessInspectorOptions,
  type RequestsShown,
} from "./process-inspector.ts";
