/** The settings of the inspector. */
import { portNumber, type SettingsOf } from "../../runtime/setting.ts";

export const inspectorFlags = {
  port: {
    name: "inspector-port",
    ...portNumber,
    default: 8001,
    env: ["DYN_SYSTEM_PORT"],
    help: "inspector API; 0 = any free one",
  },
  host: {
    name: "inspector-host",
    type: "text",
    default: "127.0.0.1",
    help: "address of the inspector",
  },
  allow_hosts: {
    name: "inspector-allow-host",
    type: "list",
    help: "name that requests to the inspector may have in their Host header, beside loopback and --inspector-host; repeatable",
  },
} as const;

export type InspectorSettings = SettingsOf<typeof inspectorFlags>;
