/** The settings of a machine as a whole: what runs on it, and how it joins others. */
import { engineNames } from "../../actors/engine/engines.ts";
import { DEFAULT_NAMESPACE } from "../boot.ts";

export const engineNameFlags = {
  engine: {
    name: "engine",
    type: "choice",
    choices: engineNames,
    default: "llama",
    help: "what makes the tokens",
  },
} as const;

export const workerCountFlags = {
  workers: {
    name: "workers",
    type: "whole",
    min: 1,
    max: 4096,
    default: 1,
    help: "workers a model",
  },
  prefill: {
    name: "prefill",
    type: "whole",
    min: 0,
    max: 4096,
    default: 0,
    help: "instead of --workers, with --decode: workers a model that compute prompts, and hand their blocks over",
  },
  decode: {
    name: "decode",
    type: "whole",
    min: 0,
    max: 4096,
    default: 0,
    help: "instead of --workers, with --prefill: workers a model that make the answers",
  },
} as const;

export const processCountFlags = {
  frontends: {
    name: "frontends",
    type: "whole",
    min: 1,
    max: 64,
    default: 1,
    help: "frontend processes sharing the port",
  },
  /** Routers that have a process of their own. */
  routers: {
    name: "routers",
    type: "whole",
    min: 0,
    max: 16,
    default: 0,
    help: "router processes: frontends ask the first one, and their own routers while there is none",
  },
} as const;

export const cpuFlags = {
  cpus: {
    name: "cpus",
    type: "list",
    help: "CPUs of a worker process as 0 or 0-3; repeatable: the first for the first process, and so on in turn",
  },
} as const;

export const stopFlags = {
  drain_timeout_ms: {
    name: "drain-timeout",
    type: "seconds",
    min: 0,
    max: 3600,
    default: 30,
    times: 1000,
    env: ["DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS"],
    help: "seconds that live answers get to finish at a stop",
  },
} as const;

/** Roles of machines that join a cluster; `all`: the machine that starts one. */
export const roles = [
  "all",
  "worker",
  "prefill",
  "decode",
  "frontend",
  "router",
  "planner",
] as const;
export type RootRole = (typeof roles)[number];

export const planeFlags = {
  nats: {
    name: "nats",
    type: "text",
    help: "many machines: nats://[user:password@]host[:4222] or tls://…; needs --redis too",
  },
  redis: {
    name: "redis",
    type: "text",
    help: "many machines: redis://[user:password@]host[:6379][/database] or rediss://…",
  },
  role: {
    name: "role",
    type: "choice",
    choices: roles,
    default: "all",
    help: "what this machine adds to the cluster that --nats and --redis name",
  },
  namespace: {
    name: "namespace",
    type: "text",
    default: DEFAULT_NAMESPACE,
    env: ["DYN_NAMESPACE"],
    help: "clusters that share NATS and Redis have different ones",
  },
  /** Empty = the host's. */
  machine_name: {
    name: "machine-name",
    type: "text",
    help: "many machines: how this one is called; default: its host name",
  },
} as const;

export const processFlags = {
  log_level: {
    name: "log-level",
    type: "choice",
    choices: ["debug", "info", "warn", "error"],
    default: "info",
    env: ["DYN_LOG"],
    help: "logs go to stderr",
  },
  /** Empty = the platform's. */
  cache_dir: {
    name: "cache-dir",
    type: "text",
    help: "downloaded models; default: the platform's cache",
  },
  /** Empty = the platform's. */
  data_dir: {
    name: "data-dir",
    type: "text",
    help:
      "what the API stores (responses, files, batches); default: troupe/port-PORT in the platform's " +
      "data folder, and with --port 0 a folder that goes with the run",
  },
} as const;

export const recordFlags = {
  /** Empty = nothing is recorded. */
  record_dir: {
    name: "record",
    type: "text",
    help: "folder into which every process records its messages, prompts included, for bun run replay-envelopes",
  },
  record_bytes: {
    name: "record-bytes",
    type: "bytes",
    default: 1024 ** 3,
    help: "what one process may record, as 512MB; then its oldest files go",
  },
  record_actors: {
    name: "record-actors",
    type: "text",
    default: "/frontend/router,/router/router,/router/desk,stream,worker,prefill,decode",
    help: "roles and paths of the actors whose every turn is recorded; * stands for any text",
  },
} as const;

/** Flags for what the command does instead of a start, or reads before it. */
export const commandFlags = {
  config: {
    name: "config",
    type: "text",
    not_in: ["yaml"],
    help: "YAML file with the same keys",
  },
  dump_config: {
    name: "dump-config",
    type: "switch",
    help: "print the effective settings and exit",
  },
  help: {
    name: "help",
    type: "switch",
    not_in: ["environment", "yaml"],
    help: "print this and exit",
  },
  version: {
    name: "version",
    type: "switch",
    not_in: ["environment", "yaml"],
    help: "print the version and exit",
  },
} as const;
