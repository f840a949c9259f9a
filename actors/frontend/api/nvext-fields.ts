/** Every field of `nvext`, where clients of Dynamo say who may take their request. */
import { z } from "zod";
import { isTaintName, TAINT_RULE } from "../../names/names.ts";
import {
  count,
  type Fields,
  ignored,
  just,
  type NestedFields,
  number,
  objectOf,
  refused,
  saltField,
  tokenIds,
  used,
} from "./request-fields.ts";

export const TAINTS_MAX = 64;
export const ALLOWED_WORKERS_MAX = 1_024;
export const WORKER_NAME_MAX = 256;

const taint = z.string().refine(isTaintName, { error: `a label or taint ${TAINT_RULE}` });
const taints = z.array(taint).max(TAINTS_MAX).nullish();
const workerName = z.string().min(1).max(WORKER_NAME_MAX);

/** As many tokens as one request may name. */
const TOKENS_GIVEN_MAX = 1_048_576;
const NAMES_MAX = 64;

const agentHints = z.object({
  priority: z.int().min(-1_000_000).max(1_000_000).nullish(),
  strict_priority: z.int().min(-1_000_000).max(1_000_000).nullish(),
});

const constraints = z.strictObject({
  required_taints: taints,
  tolerated_taints: taints,
  preferred_taints: z
    .record(taint, number(-100, 100))
    .refine((weights) => Object.keys(weights).length <= TAINTS_MAX, {
      error: `at most ${TAINTS_MAX} labels or taints`,
    })
    .nullish(),
});

export const nvextFields = {
  backend_instance_id: used(
    workerName.nullish(),
    "Only this worker, by name; `x-dynamo-worker-instance-id` wins over it.",
  ),
  allowed_worker_ids: used(
    z.array(workerName).min(1).max(ALLOWED_WORKERS_MAX).nullish(),
    "Only these workers, by name; 1–1024.",
    ALLOWED_WORKERS_MAX,
  ),
  routing_constraints: used(
    constraints.nullish(),
    "`required_taints`: labels or taints that the worker has, all of them. `tolerated_taints`: a tainted worker takes only who names its taints (here or as required). `preferred_taints`: label → weight, -100–100, positive draws. At most 64 each.",
  ),
  max_thinking_tokens: used(count(0).nullish(), "Chats: as the field of the same name beside it."),
  decode_worker_id: used(workerName.nullish(), "The same as `backend_instance_id`, which wins."),
  prefill_worker_id: used(
    workerName.nullish(),
    "The worker that computes the prompt, by name; `x-dynamo-prefill-instance-id` wins over it. Where that one answers by itself, it makes the answer, too. 503 while it is not there.",
  ),
  greed_sampling: used(z.boolean().nullish(), "True: `temperature` is 0, whatever else is said."),
  token_data: used(
    tokenIds.nullish(),
    "Token ids that are the prompt, in the place of what the messages or `prompt` would make.",
    TOKENS_GIVEN_MAX,
  ),
  annotations: used(
    z.array(z.string().max(256)).nullish(),
    "Events of a stream beside its chunks, whose value is a comment: `request_id`, `formatted_prompt` and `token_ids` at its begin, `llm_metrics` at its end, with `cached_tokens` where the stream tells its usage. Other names are ignored, and all of them by `/v1/responses`.",
    NAMES_MAX,
  ),
  extra_fields: used(
    z.array(z.string().max(256)).nullish(),
    "Members of `nvext` in the answer, and in the last chunk of each choice: `worker_id`, `timing` (`request_received_ms`, `ttft_ms`, `itl_ms`, `total_time_ms`), `stop_reason`. Other names are ignored, and all of them by `/v1/responses`.",
    NAMES_MAX,
  ),
  agent_hints: used(
    agentHints.nullish(),
    "`priority` and `strict_priority`, as the headers, which win. `osl`, `speculative_prefill` and others are ignored.",
  ),
  session_control: used(
    z.object({ session_id: z.string().max(256) }).nullish(),
    "`session_id`, as the header, which wins. `action` and `timeout` are ignored.",
  ),
  agent_context: ignored("It changes no answer."),
  request_timestamp_ms: ignored("Requests count from when they come."),
  dp_rank: ignored("Each rank is a worker of its own."),
  prefill_dp_rank: ignored("One worker makes all of an answer."),
  use_raw_prompt: refused(
    "Chat templates write all chats, and the text of a completion is always raw.",
    just(false),
  ),
  cache_salt: saltField,
} as const satisfies Fields;

const shape = objectOf(nvextFields);
export type Nvext = z.infer<typeof shape>;

/** The names inside of the field `nvext`, for the dialects that take it. */
export const nvextNames: NestedFields = {
  name: "nvext",
  fields: nvextFields,
  is_list: false,
  ignores_unknown: false,
};

export const nvextField = used(
  shape.nullish(),
  "Who may take the request, and what is told beside the answer: see *nvext* below. Router modes other than `kv` know no preference.",
);
