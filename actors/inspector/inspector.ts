/** The face of `inspector`: the state of each process, and the cluster's tree over HTTP. */
export { isLoopbackHost } from "./allowed-host.ts";
export { clusterMetrics } from "./cluster-metrics.ts";
export { InspectorDoor, type InspectorDoorOptions } from "./inspector-door.ts";
export { ProcessInspector, type ProcessInspectorOptions } from "./process-inspector.ts";
