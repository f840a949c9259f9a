/** Every field of `nvext`, where clients of Dynamo say who may take their request. */
import { z } from "zod";
import { isTaintName, TAINT_RULE } from "../../names/names.ts";
import {
  type Fields,
  ignored,
  type NestedFields,
  number,
  objectOf,
  used,
} from "./request-fields.ts";

export const TAINTS_MAX = 64;
export const ALLOWED_WORKERS_MAX = 1_024;
export const WORKER_NAME_MAX = 256;

const taint = z.string().refine(isTaintName, { error: `a label or taint ${TAINT_RULE}` });
const taints = z.array(taint).max(TAINTS_MAX).nullish();
const workerName = z.string().min(1).max(WORKER_NAME_MAX);

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
  annotations: ignored("No annotation events are sent."),
  extra_fields: ignored("Answers have OpenAI's fields alone."),
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
  "Who may take the request: see *nvext* below. Router modes other than `kv` know no preference.",
);
