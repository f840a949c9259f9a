/** The settings of a frontend: where it listens, who may use it, how long answers may take. */
import { portNumber, type SettingsOf } from "../../runtime/setting.ts";
import type { KeyRule } from "./access/key-rule.ts";
import type { RequestTemplate } from "./prompt/request-template.ts";

const MIB = 1024 * 1024;

export const addressFlags = {
  port: {
    name: "port",
    ...portNumber,
    default: 8000,
    env: ["DYN_HTTP_PORT"],
    help: "OpenAI HTTP port; 0 = any free one",
  },
  host: {
    name: "host",
    type: "text",
    default: "127.0.0.1",
    env: ["DYN_HTTP_HOST"],
    help: "address to listen on; nothing listens beyond loopback unless you say so",
  },
} as const;

export const grpcFlags = {
  /** 0 = none. */
  kserve_port: {
    name: "kserve-grpc-port",
    ...portNumber,
    default: 0,
    help: "port of KServe's inference protocol v2 over gRPC, at --host; 0 = none; of several frontends the first one has it",
  },
} as const;

/** Where routes are; the default is the path that the route has in its table. */
export const pathFlags = {
  chat_path: {
    name: "chat-path",
    type: "text",
    default: "/v1/chat/completions",
    env: ["DYN_HTTP_SVC_CHAT_PATH"],
    help: "path of chats",
  },
  completions_path: {
    name: "completions-path",
    type: "text",
    default: "/v1/completions",
    env: ["DYN_HTTP_SVC_CMP_PATH"],
    help: "path of text completions",
  },
  messages_path: {
    name: "messages-path",
    type: "text",
    default: "/v1/messages",
    env: ["DYN_HTTP_SVC_ANTHROPIC_PATH"],
    help: "path of Anthropic's messages; count_tokens stands below it",
  },
  embeddings_path: {
    name: "embeddings-path",
    type: "text",
    default: "/v1/embeddings",
    env: ["DYN_HTTP_SVC_EMB_PATH"],
    help: "path of embeddings",
  },
  classify_path: {
    name: "classify-path",
    type: "text",
    default: "/v1/classify",
    env: ["DYN_HTTP_SVC_CLASSIFY_PATH"],
    help: "path of classifications",
  },
  pooling_path: {
    name: "pooling-path",
    type: "text",
    default: "/v1/pooling",
    env: ["DYN_HTTP_SVC_POOLING_PATH"],
    help: "path of pooling",
  },
  models_path: {
    name: "models-path",
    type: "text",
    default: "/v1/models",
    env: ["DYN_HTTP_SVC_MODELS_PATH"],
    help: "path of the models; those of single models stand below it",
  },
  health_path: {
    name: "health-path",
    type: "text",
    default: "/health",
    env: ["DYN_HTTP_SVC_HEALTH_PATH"],
    help: "path that says whether requests are answered",
  },
  live_path: {
    name: "live-path",
    type: "text",
    default: "/live",
    env: ["DYN_HTTP_SVC_LIVE_PATH"],
    help: "path that says that the process lives",
  },
  metrics_path: {
    name: "metrics-path",
    type: "text",
    default: "/metrics",
    env: ["DYN_HTTP_SVC_METRICS_PATH"],
    help: "path of the metrics of the HTTP port",
  },
} as const;

type PathSettings = SettingsOf<typeof pathFlags>;

/** The routes that an operator put elsewhere: their paths in the tables → theirs. */
export function movedPaths(settings: PathSettings): Readonly<Record<string, string>> {
  const moved: Record<string, string> = {};
  for (const [key, flag] of Object.entries(pathFlags)) {
    const path = settings[key as keyof PathSettings];
    if (path !== flag.default) moved[flag.default] = path;
  }
  return moved;
}

export const accessFlags = {
  api_keys: {
    name: "api-key",
    type: "list",
    secret: true,
    help: "key required for /v1; repeatable",
  },
  api_key_file: {
    name: "api-key-file",
    type: "text",
    help: "file of keys: one a line, or YAML with names, models and limits (docs/operating.md); read again when it changes",
  },
  tls_cert: {
    name: "tls-cert-path",
    type: "text",
    env: ["DYN_TLS_CERT_PATH"],
    help: "certificate in PEM, with those of its signers behind it: the HTTP port speaks TLS; read again when it changes",
  },
  tls_key: {
    name: "tls-key-path",
    type: "text",
    env: ["DYN_TLS_KEY_PATH"],
    help: "private key of that certificate in PEM",
  },
  cors_origin: {
    name: "cors-origin",
    type: "text",
    default: "auto",
    help: "web pages that may use /v1: auto (any if keys are required, else local), local (those of this machine), *, none, or origins with commas",
  },
} as const;

export const traceFlags = {
  request_trace: {
    name: "request-trace",
    type: "text",
    env: ["DYN_REQUEST_TRACE_FILE_PATH", "DYN_REQUEST_TRACE_OUTPUT_PATH"],
    help: "file that gets a line for each request that has ended, as Dynamo's request traces have it; each of several frontends has its own, with its name before the ending",
  },
  request_trace_prompts: {
    name: "request-trace-prompts",
    type: "switch",
    help: "keep what clients sent in the request trace too",
  },
  request_trace_bytes: {
    name: "request-trace-size",
    type: "whole",
    min: 1,
    max: 1_048_576,
    default: 256,
    times: MIB,
    help: "MiB of one file of the request trace, after which it is FILE.1 and a new one begins",
  },
  request_trace_files: {
    name: "request-trace-files",
    type: "whole",
    min: 1,
    max: 1000,
    default: 8,
    help: "files of the request trace that are kept",
  },
} as const;

export const timeFlags = {
  request_timeout_ms: {
    name: "request-timeout",
    type: "seconds",
    min: 1,
    max: 86400,
    default: 600,
    times: 1000,
    help: "seconds from admission to the last token of one answer",
  },
  /** 0 = none. */
  sse_heartbeat_ms: {
    name: "sse-heartbeat",
    type: "seconds",
    min: 0,
    max: 3600,
    default: 15,
    times: 1000,
    help: "seconds of silence after which a stream says by a comment that it is still there; 0 = never",
  },
} as const;

export const answerFlags = {
  migration_limit: {
    name: "migration-limit",
    type: "whole",
    min: 0,
    max: 1000,
    default: 3,
    env: ["DYN_MIGRATION_LIMIT"],
    help: "workers that an answer may lose in a row and go on elsewhere; 0 = it ends with its worker",
  },
  /** Size of the prefix cache of each model's tokenizer. */
  prefix_cache_bytes: {
    name: "tokenizer-prefix-cache",
    type: "whole",
    min: 0,
    max: 4_096,
    default: 16,
    times: MIB,
    help: "MiB a model and frontend for the tokens of prompt beginnings that come again; 0 = none",
  },
} as const;

export const loraFlags = {
  lora_updates: {
    name: "allow-runtime-lora",
    type: "switch",
    env: ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"],
    help: "clients may load and unload LoRA adapters also where the server listens beyond its own machine",
  },
} as const;

export const hangupFlags = {
  resume_hangups: {
    name: "resume-hangups",
    type: "switch",
    help: "keep the stream of every client that hangs up, as if it had sent X-Resumable: true",
  },
} as const;

export const storeFlags = {
  response_keep_ms: {
    name: "response-keep",
    type: "seconds",
    min: 1,
    max: 315_360_000,
    default: 2_592_000,
    times: 1000,
    help: "seconds that stored responses and conversations stay",
  },
  response_space_bytes: {
    name: "response-space",
    type: "whole",
    min: 1,
    max: 1_048_576,
    default: 1_024,
    times: MIB,
    help: "MiB that they take together; the oldest go first",
  },
} as const;

export const fieldFlags = {
  ignore_unknown_fields: {
    name: "ignore-unknown-fields",
    type: "switch",
    env: ["DYN_IGNORE_OPENAI_FE_UNSUPPORTED_FIELDS"],
    help: "accept request fields that docs/api.md does not name",
  },
  request_template: {
    name: "request-template",
    type: "text",
    help: "JSON file with model, temperature and max_completion_tokens of requests that leave them open",
  },
  parse_special_in_content: {
    name: "parse-special-in-content",
    type: "switch",
    help: "in chat, control tokens that a message spells are tokens: users can forge turns",
  },
} as const;

export const parserFlags = {
  /** As they are given: NAME or MODEL=NAME. */
  tool_call_parsers: {
    name: "tool-call-parser",
    type: "list",
    env: ["DYN_TOOL_CALL_PARSER"],
    help: "[MODEL=]NAME|auto|none: the format of a model's tool calls, by a name of docs/parsers.md; auto (the default) finds it in the chat template; once for each model",
  },
  reasoning_parsers: {
    name: "reasoning-parser",
    type: "list",
    env: ["DYN_REASONING_PARSER"],
    help: "[MODEL=]NAME|auto|none: how a model marks its reasoning, in the same way",
  },
  reasoning_field: {
    name: "reasoning-field",
    type: "choice",
    choices: ["reasoning_content", "reasoning"],
    default: "reasoning_content",
    env: ["DYN_REASONING_FIELD_NAME"],
    help: "what the field for reasoning is called in chat answers",
  },
} as const;

export type ParserSettings = SettingsOf<typeof parserFlags>;

export const frontendFlags = {
  ...addressFlags,
  ...grpcFlags,
  ...pathFlags,
  ...accessFlags,
  ...traceFlags,
  ...timeFlags,
  ...answerFlags,
  ...hangupFlags,
  ...storeFlags,
  ...loraFlags,
  ...fieldFlags,
  ...parserFlags,
} as const;

export type KeySettings = {
  /** Of --api-key. */
  readonly given: readonly KeyRule[];
  /** Of --api-key-file, as it was at the start. */
  readonly filed: readonly KeyRule[];
  /** "": there is none. */
  readonly file: string;
};

/** `api_keys` has the lines of the file too. */
export type FrontendSettings = Omit<SettingsOf<typeof frontendFlags>, "api_key_file"> & {
  readonly keys: KeySettings;
  /** Of --request-template. */
  readonly template: RequestTemplate | undefined;
};
