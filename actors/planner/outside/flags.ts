/** The doors of a planner's process; both are shut unless somebody asks for them. */
import { portNumber, type SettingsOf } from "../../../runtime/setting.ts";

/** The door of least numbers has no key, and so no other address. */
export const MIN_ENDPOINTS_HOST = "127.0.0.1";

export const plannerDoorFlags = {
  /** 0: off. */
  prometheus_port: {
    name: "planner-prometheus-port",
    // Dynamo's name; its operator gives 9085.
    env: ["PLANNER_PROMETHEUS_PORT"],
    ...portNumber,
    default: 0,
    help: "planner: port for its own metrics, dynamo_planner_*, at /metrics; 0: off, they are among the cluster's all the same",
  },
  prometheus_host: {
    name: "planner-prometheus-host",
    type: "text",
    default: "127.0.0.1",
    help: "planner: address on which its own metrics are served",
  },
  /** 0: off. Dynamo's is 9086. */
  min_endpoints_port: {
    name: "planner-min-endpoints-port",
    ...portNumber,
    default: 0,
    help: "planner: port on 127.0.0.1 for GET and PATCH /v1/min-endpoints, without a key; Dynamo's is 9086; 0: off",
  },
} as const;

export type PlannerDoorSettings = SettingsOf<typeof plannerDoorFlags>;
