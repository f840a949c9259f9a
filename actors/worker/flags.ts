/** The settings of workers, whatever their engine. */
import type { SettingsOf } from "../../runtime/setting.ts";

export const markFlags = {
  labels: {
    name: "worker-label",
    type: "list",
    help: "[WORKER:]LABEL on this machine's workers, or on the one so named: what requests may require or prefer; repeatable",
  },
  taints: {
    name: "worker-taint",
    type: "list",
    help: "[WORKER:]TAINT on them: only requests that tolerate it are sent there; repeatable",
  },
} as const;

export const keepFlags = {
  grace_ms: {
    name: "resume-grace",
    type: "seconds",
    min: 0,
    max: 3600,
    default: 30,
    times: 1000,
    help: "seconds that a stream whose frontend died, or whose client may return, is made and kept",
  },
  keep_ms: {
    name: "resume-keep",
    type: "seconds",
    min: 0,
    max: 3600,
    default: 60,
    times: 1000,
    help: "seconds that a finished answer is kept for those who lost a part of it",
  },
} as const;

export type KeepSettings = SettingsOf<typeof keepFlags>;
