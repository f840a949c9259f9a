/** Settings of the HTTP door; every value has a default in `doorDefaults`. */
import type { UnknownFields } from "./api/check-body.ts";
import type { Paths } from "./api/paths.ts";
import type { CorsOrigins } from "./http/cors.ts";
import type { RetentionLimits } from "./kept/retention.ts";
import type { RequestTemplate } from "./prompt/request-template.ts";

export type DoorSettings = {
  /** Keys that open what spends or shows something; none: it is open. */
  readonly api_keys: readonly string[];
  readonly cors_origins: CorsOrigins;
  /** The largest request body. */
  readonly body_bytes: number;
  /** From a request's headers to the last byte of its body. */
  readonly body_ms: number;
  /** Bodies of all requests together, until they are tokens. */
  readonly bodies_bytes: number;
  /** A stream that is silent for so long says so by a comment; 0: never. See late-json.ts too. */
  readonly heartbeat_ms: number;
  readonly unknown_fields: UnknownFields;
  /** From a request's arrival to its last token. */
  readonly deadline_ms: number;
  /** Chat answers that ask for no limit of their own end here. */
  readonly default_max_tokens: number;
  /** Unsent text of one answer that is kept for a slow client. */
  readonly buffer_chars: number;
  /** Streams whose client hung up are kept as those that asked for it by X-Resumable. */
  readonly keep_hung_up: boolean;
  /** How long a model without workers is still known. */
  readonly keep_model_ms: number;
  /** What is stored of responses and conversations, and for how long. */
  readonly kept: RetentionLimits;
  readonly version: string;
  /** The cluster's, as /v1/models/ID/ready says it. */
  readonly namespace: string;
  /** Clients may load and unload LoRA adapters. */
  readonly lora_updates: boolean;
  /** Routes that are elsewhere than their tables say. */
  readonly paths: Paths;
  /** What requests get that leave it open. */
  readonly template: RequestTemplate | undefined;
};

export const doorDefaults: DoorSettings = {
  api_keys: [],
  cors_origins: ["local"],
  body_bytes: 45 * 1024 * 1024,
  body_ms: 60_000,
  bodies_bytes: 256 * 1024 * 1024,
  heartbeat_ms: 15_000,
  unknown_fields: "refuse",
  deadline_ms: 600_000,
  default_max_tokens: 16_384,
  buffer_chars: 65_536,
  keep_hung_up: false,
  keep_model_ms: 60_000,
  kept: { keep_ms: 30 * 86_400_000, bytes_max: 1024 * 1024 * 1024, count_max: 1_000_000 },
  version: "0",
  namespace: "troupe",
  lora_updates: true,
  paths: {},
  template: undefined,
};
