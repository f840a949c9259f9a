/** Values of flags, environment and YAML → one checked Settings record. Pure. */
import { stringify as stringifyYaml } from "yaml";
import { natsSchemes, planeUrl, planeUrls, redisSchemes } from "../../runtime/plane-url.ts";
import type { PlaneUrls } from "../../runtime/planes.ts";
import { checkHosts, checkOrigins, checkPorts } from "./door-settings.ts";
import type {
  EngineName,
  FlagName,
  RootRole,
  RouterMode,
  RouterObjective,
  RouterPolicy,
} from "./flags.ts";
import { checkKeys, HIDDEN_KEY } from "./key-settings.ts";
import { type LlamaSettings, llamaConfig, llamaSettings } from "./llama-settings.ts";
import { specOf, type Value, type Values } from "./read-values.ts";
import { SettingsError } from "./settings-error.ts";
import { type ChatTemplateSetting, chatTemplates, templateText } from "./template-settings.ts";
import { markText, readMark, strayMark, type WorkerMark } from "./worker-marks.ts";

export type ModelSetting = {
  /** Served name, when the user gave one. */
  readonly name?: string;
  /** Empty = the model that Troupe carries. */
  readonly source: string;
};

export type Settings = {
  readonly host: string;
  readonly port: number;
  readonly engine: EngineName;
  readonly models: readonly ModelSetting[];
  /** Instead of the models' own. */
  readonly chat_templates: readonly ChatTemplateSetting[];
  readonly workers: number;
  readonly worker_labels: readonly WorkerMark[];
  readonly worker_taints: readonly WorkerMark[];
  readonly frontends: number;
  /** Routers that have a process of their own. */
  readonly routers: number;
  readonly router_mode: RouterMode;
  readonly router: RouterSettings;
  readonly api_keys: readonly string[];
  readonly cors_origin: string;
  readonly drain_timeout_ms: number;
  readonly request_timeout_ms: number;
  /** 0 = none. */
  readonly sse_heartbeat_ms: number;
  readonly resume: ResumeSettings;
  readonly migration_limit: number;
  readonly tokenizer_prefix_cache_bytes: number;
  readonly log_level: "debug" | "info" | "warn" | "error";
  /** Empty = the platform's cache folder. */
  readonly cache_dir: string;
  readonly context_length: number;
  readonly max_num_seqs: number;
  readonly threads: number;
  readonly llama: LlamaSettings;
  readonly mocker: MockerSettings;
  readonly ignore_unknown_fields: boolean;
  /** Control tokens that a chat message spells are tokens. */
  readonly parse_special_in_content: boolean;
  readonly inspector_host: string;
  readonly inspector_port: number;
  readonly inspector_allow_hosts: readonly string[];
  readonly role: RootRole;
  /** Letters, digits, _ and -. */
  readonly namespace: string;
  /** Undefined = one machine. */
  readonly planes: PlaneUrls | undefined;
  /** Empty = the host's. */
  readonly machine_name: string;
};

export type ResumeSettings = {
  readonly grace_ms: number;
  readonly keep_ms: number;
  readonly hangups: boolean;
};

/** Names and units of PolicyClass in actors/router. */
export type PolicyClassSettings = {
  readonly name: string;
  readonly weight: number;
  /** Undefined: only the queue's own limit. */
  readonly requests_max?: number;
};

/** Of mode kv. */
export type RouterSettings = {
  readonly policy: RouterPolicy;
  readonly objective: RouterObjective;
  /** -1 = the policy's own. */
  readonly queue_threshold: number;
  /** Requests that may wait in one router. */
  readonly queue_requests: number;
  /** "" = the policy's own. */
  readonly queue_policy: "" | "shortest" | "fcfs" | "wspt";
  readonly classes: readonly PolicyClassSettings[];
  /** Share of a worker's blocks in use above which it gets nothing; 1 = never. */
  readonly decode_blocks_max: number;
  readonly prefill_tokens_max: number;
  readonly temperature: number;
  /** 0 = sessions are not kept together. */
  readonly session_ttl_ms: number;
  readonly session_mode: "hard" | "soft";
};

/** Names and units of actors/engine/mocker/options.ts. */
export type MockerSettings = {
  readonly workers_per_process: number;
  readonly speedup_ratio: number;
  readonly decode_speedup_ratio: number;
  readonly block_size: number;
  readonly num_gpu_blocks: number;
  readonly max_num_batched_tokens: number;
  readonly preemption_mode: "lifo" | "fifo";
  readonly dp_size: number;
  /** Seconds. */
  readonly startup_time: number;
  /** Empty = polynomials. */
  readonly profile: string;
};

const MIB = 1024 * 1024;

/** The first layer that has a name wins. `keys` are the lines of --api-key-file. */
export function settle(layers: readonly Values[], keys: readonly string[]): Settings {
  const get = (name: FlagName): Value | undefined => {
    const layer = layers.find((values) => values[name] !== undefined);
    const spec = specOf(name);
    return layer?.[name] ?? (spec && "default" in spec ? spec.default : undefined);
  };
  const text = (name: FlagName) => String(get(name) ?? "");
  const number = (name: FlagName) => Number(get(name));
  const list = (name: FlagName) => (get(name) as readonly string[] | undefined) ?? [];
  const engine = text("engine") as EngineName;
  const isGiven = (name: FlagName) => layers.some((values) => values[name] !== undefined);
  const llama = llamaSettings(engine, number, isGiven);
  checkSharing(engine, number("workers-per-process"));
  const models = modelSettings(list("model"), text("model-name"));
  return {
    host: text("host"),
    port: doorPort(text, number),
    engine,
    models,
    chat_templates: chatTemplates(list, models),
    workers: number("workers"),
    worker_labels: marks("worker-label", list, number("workers") * models.length),
    worker_taints: marks("worker-taint", list, number("workers") * models.length),
    frontends: number("frontends"),
    routers: number("routers"),
    router_mode: text("router-mode") as RouterMode,
    router: {
      policy: text("router-policy") as RouterPolicy,
      objective: text("router-objective") as RouterObjective,
      queue_threshold: number("router-queue-threshold"),
      queue_requests: number("router-queue-requests"),
      queue_policy: text("router-queue-policy") as RouterSettings["queue_policy"],
      classes: policyClasses(list("router-policy-class")),
      decode_blocks_max: number("active-decode-blocks-threshold"),
      prefill_tokens_max: number("active-prefill-tokens-threshold"),
      temperature: number("router-temperature"),
      session_ttl_ms: number("router-session-affinity-ttl-secs") * 1000,
      session_mode: text("router-session-affinity-mode") as "hard" | "soft",
    },
    api_keys: [...checkKeys(list("api-key"), "--api-key"), ...checkKeys(keys, "--api-key-file")],
    cors_origin: checkOrigins(text("cors-origin")),
    drain_timeout_ms: number("drain-timeout") * 1000,
    request_timeout_ms: number("request-timeout") * 1000,
    sse_heartbeat_ms: number("sse-heartbeat") * 1000,
    resume: {
      grace_ms: number("resume-grace") * 1000,
      keep_ms: number("resume-keep") * 1000,
      hangups: get("resume-hangups") === true,
    },
    migration_limit: number("migration-limit"),
    tokenizer_prefix_cache_bytes: number("tokenizer-prefix-cache") * MIB,
    log_level: text("log-level") as Settings["log_level"],
    cache_dir: text("cache-dir"),
    context_length: number("context-length"),
    max_num_seqs: number("max-num-seqs"),
    threads: number("threads"),
    llama,
    mocker: {
      workers_per_process: number("workers-per-process"),
      speedup_ratio: number("speedup-ratio"),
      decode_speedup_ratio: number("decode-speedup-ratio"),
      block_size: number("block-size"),
      num_gpu_blocks: number("num-blocks"),
      max_num_batched_tokens: number("max-num-batched-tokens"),
      preemption_mode: text("preemption-mode") as "lifo" | "fifo",
      dp_size: number("data-parallel-size"),
      startup_time: number("startup-time"),
      profile: text("planner-profile-data"),
    },
    ignore_unknown_fields: get("ignore-unknown-fields") === true,
    parse_special_in_content: get("parse-special-in-content") === true,
    inspector_host: text("inspector-host"),
    inspector_port: number("inspector-port"),
    inspector_allow_hosts: checkHosts(list("inspector-allow-host")),
    ...planeSettings(text),
  };
}

function doorPort(text: (name: FlagName) => string, number: (name: FlagName) => number): number {
  const port = number("port");
  const [host, inspector_host] = [text("host"), text("inspector-host")];
  const serves = ["all", "frontend"].includes(text("role"));
  if (serves) checkPorts({ host, port, inspector_host, inspector_port: number("inspector-port") });
  return port;
}

function checkSharing(engine: EngineName, workers_per_process: number): void {
  if (engine !== "llama" || workers_per_process === 1) return;
  throw new SettingsError(
    "--workers-per-process is for --engine mocker or echo: a real engine has its process for " +
      "itself, so that its end takes no other along; leave the flag out",
  );
}

function modelSettings(given: readonly string[], name: string): readonly ModelSetting[] {
  if (given.length === 0) return [{ source: "", ...(name === "" ? {} : { name }) }];
  const models = given.map((text): ModelSetting => {
    if (/^[^/]+=\s*$/.test(text)) {
      throw new SettingsError(`--model ${text.trim()} names no source: give ${text.trim()}SOURCE`);
    }
    // "name=source"; a path may hold "=" itself, but then after a slash.
    const equals = text.indexOf("=");
    const named = equals > 0 && !text.slice(0, equals).includes("/");
    return named
      ? { name: text.slice(0, equals), source: text.slice(equals + 1) }
      : { source: text };
  });
  if (name !== "") {
    if (models.length > 1) {
      throw new SettingsError("--model-name names one model; with several use --model name=source");
    }
    return [{ name, source: models[0]?.source ?? "" }];
  }
  const unnamed = models.filter((model) => model.name === undefined);
  if (models.length > 1 && unnamed.length > 0) {
    throw new SettingsError(`several models need names: --model name=${unnamed[0]?.source ?? ""}`);
  }
  const names = models.map((model) => model.name);
  const twice = names.find((item, index) => item !== undefined && names.indexOf(item) !== index);
  if (twice !== undefined) throw new SettingsError(`two models are named "${twice}"`);
  return models;
}

const NAME_RULE = "is made of letters, digits, _ and -, at most 63 of them";
const isName = (text: string) => /^[\w-]{1,63}$/.test(text);

function planeSettings(text: (name: FlagName) => string) {
  const role = text("role") as RootRole;
  const namespace = text("namespace");
  const machine_name = text("machine-name");
  const [nats, redis] = [text("nats"), text("redis")];
  if (!isName(namespace)) throw new SettingsError(`--namespace ${NAME_RULE}`);
  if (machine_name !== "" && !isName(machine_name)) {
    throw new SettingsError(`--machine-name ${NAME_RULE}`);
  }
  if ((nats === "") !== (redis === "")) {
    const [given, missing] = nats === "" ? ["--redis", "--nats"] : ["--nats", "--redis"];
    throw new SettingsError(
      `${given} needs ${missing} too: NATS carries what machines say to each other, Redis their names`,
    );
  }
  if (nats === "" && role !== "all") {
    throw new SettingsError(`--role ${role} joins a cluster: name it by --nats and --redis`);
  }
  try {
    if (nats !== "") [planeUrls(nats, natsSchemes), planeUrl(redis, redisSchemes)];
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error));
  }
  return { role, namespace, machine_name, planes: nats === "" ? undefined : { nats, redis } };
}

/** A URL as a person may see it. */
const hidden = (url: string) => url.replace(/\/\/[^@/]*@/g, "//<hidden>@");

/** The effective settings as YAML that `--config` reads back; keys are shown by their length only. */
export function dumpConfig(settings: Settings): string {
  const model = settings.models.map((item) =>
    item.name === undefined ? item.source : `${item.name}=${item.source}`,
  );
  return stringifyYaml({
    host: settings.host,
    port: settings.port,
    engine: settings.engine,
    ...(model.length === 1 && model[0] === "" ? {} : { model }),
    ...listConfig("chat-template", settings.chat_templates.map(templateText)),
    workers: settings.workers,
    ...marksConfig("worker-label", settings.worker_labels),
    ...marksConfig("worker-taint", settings.worker_taints),
    frontends: settings.frontends,
    routers: settings.routers,
    "router-mode": settings.router_mode,
    ...(settings.router_mode === "kv" ? routerConfig(settings.router) : {}),
    ...(settings.api_keys.length === 0
      ? {}
      : { "api-key": settings.api_keys.map(() => HIDDEN_KEY) }),
    "cors-origin": settings.cors_origin,
    "drain-timeout": settings.drain_timeout_ms / 1000,
    "request-timeout": settings.request_timeout_ms / 1000,
    "sse-heartbeat": settings.sse_heartbeat_ms / 1000,
    "resume-grace": settings.resume.grace_ms / 1000,
    "resume-keep": settings.resume.keep_ms / 1000,
    "resume-hangups": settings.resume.hangups,
    "migration-limit": settings.migration_limit,
    "tokenizer-prefix-cache": settings.tokenizer_prefix_cache_bytes / MIB,
    "log-level": settings.log_level,
    ...(settings.cache_dir === "" ? {} : { "cache-dir": settings.cache_dir }),
    "context-length": settings.context_length,
    "max-num-seqs": settings.max_num_seqs,
    threads: settings.threads,
    ...(settings.engine === "llama" ? llamaConfig(settings.llama) : {}),
    ...(settings.engine === "mocker" ? mockerConfig(settings.mocker) : {}),
    "ignore-unknown-fields": settings.ignore_unknown_fields,
    "parse-special-in-content": settings.parse_special_in_content,
    "inspector-host": settings.inspector_host,
    "inspector-port": settings.inspector_port,
    ...listConfig("inspector-allow-host", settings.inspector_allow_hosts),
    ...planesConfig(settings),
  });
}

function marks(
  name: "worker-label" | "worker-taint",
  list: (name: FlagName) => readonly string[],
  workers: number,
): readonly WorkerMark[] {
  const read = list(name).map((text) => {
    const mark = readMark(text);
    if (typeof mark === "string") throw new SettingsError(`--${name} ${mark}`);
    return mark;
  });
  const stray = strayMark(read, workers);
  if (stray === undefined) return read;
  throw new SettingsError(`--${name}: there is no ${stray} among --workers ${workers}`);
}

const listConfig = (name: FlagName, given: readonly string[]) =>
  given.length === 0 ? {} : { [name]: given };

const marksConfig = (name: "worker-label" | "worker-taint", given: readonly WorkerMark[]) =>
  given.length === 0 ? {} : { [name]: given.map(markText) };

const planesConfig = ({ planes, role, namespace, machine_name }: Settings) => ({
  ...(planes === undefined ? {} : { nats: hidden(planes.nats), redis: hidden(planes.redis), role }),
  namespace,
  ...(machine_name === "" ? {} : { "machine-name": machine_name }),
});

const routerConfig = (router: RouterSettings) => ({
  "router-policy": router.policy,
  "router-objective": router.objective,
  "router-queue-threshold": router.queue_threshold,
  "router-queue-requests": router.queue_requests,
  ...(router.queue_policy === "" ? {} : { "router-queue-policy": router.queue_policy }),
  ...(router.classes.length === 0
    ? {}
    : { "router-policy-class": router.classes.map(policyClassText) }),
  "active-decode-blocks-threshold": router.decode_blocks_max,
  "active-prefill-tokens-threshold": router.prefill_tokens_max,
  "router-temperature": router.temperature,
  "router-session-affinity-ttl-secs": router.session_ttl_ms / 1000,
  "router-session-affinity-mode": router.session_mode,
});

const mockerConfig = (mocker: MockerSettings) => ({
  "workers-per-process": mocker.workers_per_process,
  "speedup-ratio": mocker.speedup_ratio,
  "decode-speedup-ratio": mocker.decode_speedup_ratio,
  "block-size": mocker.block_size,
  "num-blocks": mocker.num_gpu_blocks,
  "max-num-batched-tokens": mocker.max_num_batched_tokens,
  "preemption-mode": mocker.preemption_mode,
  "data-parallel-size": mocker.dp_size,
  "startup-time": mocker.startup_time,
  ...(mocker.profile === "" ? {} : { "planner-profile-data": mocker.profile }),
});

const CLASS_FORM = /^([A-Za-z0-9._-]+):(\d+(?:\.\d+)?)(?::(\d+))?$/;

function policyClasses(given: readonly string[]): PolicyClassSettings[] {
  const classes = given.map((text) => {
    const [, name = "", weight, most] = CLASS_FORM.exec(text) ?? [];
    if (!(Number(weight) > 0)) {
      const rule = "use NAME:WEIGHT or NAME:WEIGHT:MOST, for example batch:0.2:500, weight above 0";
      throw new SettingsError(`--router-policy-class ${text}: ${rule}`);
    }
    const limit = most === undefined ? {} : { requests_max: Number(most) };
    return { name, weight: Number(weight), ...limit };
  });
  const names = classes.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new SettingsError(`--router-policy-class: ${twice} is there twice`);
  return classes;
}

const policyClassText = ({ name, weight, requests_max }: PolicyClassSettings) =>
  requests_max === undefined ? `${name}:${weight}` : `${name}:${weight}:${requests_max}`;
