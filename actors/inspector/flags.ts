/** The settings of the inspector. */
import { portNumber, type SettingsOf } from "../../runtime/setting.ts";

export const inspectorFlags = {
  port: {
    name: "inspector-port",
    ...portNumber,
    default: 8001,
    env: ["DYN_SYSTEM_PORT"],
    help: "inspector page and API; 0 = any free one",
  },
  host: {
    name: "inspector-host",
    type: "text",
    default: "127.0.0.1",
    env: ["DYN_SYSTEM_HOST"],
    help: "address of the inspector",
  },
  content: {
    name: "inspector-content",
    type: "choice",
    choices: ["loopback", "always", "never"],
    default: "loopback",
    help: "whether the inspector shows what requests and answers say: only where --inspector-host is a loopback address, always, or never",
  },
  allow_hosts: {
    name: "inspector-allow-host",
    type: "list",
    help: "name that requests to the inspector may have in their Host header, beside loopback and --inspector-host; repeatable",
  },
  health_path: {
    name: "inspector-health-path",
    type: "text",
    default: "/health",
    env: ["DYN_SYSTEM_HEALTH_PATH"],
    help: "path on the inspector's port that says whether this machine is ready",
  },
  live_path: {
    name: "inspector-live-path",
    type: "text",
    default: "/live",
    env: ["DYN_SYSTEM_LIVE_PATH"],
    help: "path on the inspector's port that says that the root lives",
  },
  read_only: {
    name: "inspector-read-only",
    type: "switch",
    help: "the inspector shows, and changes nothing",
  },
  /** Empty = drawn at the start where others than this machine reach it, else none. */
  token: {
    name: "inspector-token",
    type: "text",
    help: "who changes something over the inspector gives it (Authorization: Bearer); better in the environment than on the command line; default: drawn and printed at the start where --inspector-host is not loopback, else none",
  },
} as const;

export type InspectorSettings = SettingsOf<typeof inspectorFlags>;
