/**
 * A client's wishes for routing, by headers (with Dynamo's names where it has one) or by `nvext`.
 * If both are given the header wins, because a gateway sets headers.
 */
import type { RouteHints } from "../../../proto/index.ts";
import { isTaintName, TAINT_RULE } from "../../names/names.ts";
import { LOWEST_PRIORITY } from "../../router/router.ts";
import type { KeyRule } from "../access/key-rule.ts";
import { ApiError } from "../api/api-error.ts";
import {
  ALLOWED_WORKERS_MAX,
  type Nvext,
  TAINTS_MAX,
  WORKER_NAME_MAX,
} from "../api/nvext-fields.ts";

const PIN = "x-dynamo-worker-instance-id";
const PIN_SHORT = "x-worker-instance-id";
const PREFILL = "x-dynamo-prefill-instance-id";
const PREFILL_SHORT = "x-prefill-instance-id";
const SESSION = "x-dynamo-session-id";
const PRIORITY = "x-dynamo-request-priority";
const STRICT_PRIORITY = "x-dynamo-request-strict-priority";
const POLICY_CLASS = "x-dynamo-meta-policy-class";
const TOLERATED = "x-troupe-tolerated-taints";
const REQUIRED = "x-troupe-required-taints";
const ALLOWED = "x-troupe-allowed-workers";

const names = [
  ...[SESSION, PRIORITY, STRICT_PRIORITY, POLICY_CLASS, TOLERATED, REQUIRED, ALLOWED],
  ...[PREFILL, PREFILL_SHORT],
];
const TEXT_MAX = 256;
const STRICT_PRIORITY_MAX = -LOWEST_PRIORITY;
/** Seconds: a day. */
const PRIORITY_MAX = 86_400;

type Given = Nvext | null | undefined;

/** Name of the one worker that may take it; "" when none is named. */
export function pinOf(headers: Headers, nvext: Given): string {
  const named = nvext?.backend_instance_id ?? nvext?.decode_worker_id ?? "";
  return headers.get(PIN) ?? headers.get(PIN_SHORT) ?? named;
}

/** undefined when nothing is said. Throws ApiError (400) for a header that is not as it must be. */
export function routeHintsOf(headers: Headers, nvext?: Given): RouteHints | undefined {
  const constraints = nvext?.routing_constraints ?? undefined;
  const allowed = nvext?.allowed_worker_ids ?? undefined;
  const agent = nvext?.agent_hints ?? undefined;
  const session = nvext?.session_control?.session_id;
  const prefill = nvext?.prefill_worker_id ?? undefined;
  const said = constraints ?? allowed ?? agent ?? session ?? prefill;
  if (said === undefined && names.every((name) => headers.get(name) === null)) return undefined;
  return {
    session: shortText(SESSION, headers.get(SESSION) ?? session ?? null),
    strict_priority:
      headers.get(STRICT_PRIORITY) === null
        ? (agent?.strict_priority ?? 0)
        : wholeNumber(
            STRICT_PRIORITY,
            headers.get(STRICT_PRIORITY),
            -STRICT_PRIORITY_MAX,
            STRICT_PRIORITY_MAX,
          ),
    priority_jump_ms:
      headers.get(PRIORITY) === null
        ? 1_000 * Math.min(PRIORITY_MAX, Math.max(0, agent?.priority ?? 0))
        : 1_000 * wholeNumber(PRIORITY, headers.get(PRIORITY), 0, PRIORITY_MAX),
    policy_class: shortText(POLICY_CLASS, headers.get(POLICY_CLASS)),
    tolerated_taints:
      taintsIn(TOLERATED, headers.get(TOLERATED)) ?? constraints?.tolerated_taints ?? [],
    required_taints:
      taintsIn(REQUIRED, headers.get(REQUIRED)) ?? constraints?.required_taints ?? [],
    preferred_taints: Object.entries(constraints?.preferred_taints ?? {}).map(
      ([taint, weight]) => ({ taint, weight }),
    ),
    allowed_workers: workersIn(headers.get(ALLOWED)) ?? allowed ?? [],
    prefill_worker: shortText(
      PREFILL,
      headers.get(PREFILL) ?? headers.get(PREFILL_SHORT) ?? prefill ?? null,
    ),
  };
}

/**
 * What the key of a request says of its class and priority stands for what the request says. Only
 * the least priority, which lines of batches have, is nobody's to raise.
 */
export function hintsOfKey(
  hints: RouteHints | undefined,
  key: Pick<KeyRule, "policy_class" | "strict_priority"> | undefined,
): RouteHints | undefined {
  if (key?.policy_class === undefined && key?.strict_priority === undefined) return hints;
  return {
    ...(hints ?? NO_HINTS),
    ...(key.policy_class === undefined ? {} : { policy_class: key.policy_class }),
    ...(key.strict_priority === undefined || hints?.strict_priority === LOWEST_PRIORITY
      ? {}
      : { strict_priority: key.strict_priority }),
  };
}

export const NO_HINTS: RouteHints = {
  session: "",
  strict_priority: 0,
  priority_jump_ms: 0,
  policy_class: "",
  tolerated_taints: [],
  required_taints: [],
  preferred_taints: [],
  allowed_workers: [],
  prefill_worker: "",
};

function taintsIn(name: string, value: string | null): readonly string[] | undefined {
  if (value === null) return undefined;
  const taints = listOf(value);
  if (taints.length <= TAINTS_MAX && taints.every(isTaintName)) return taints;
  throw badHeader(name, `has at most ${TAINTS_MAX} taints with commas between; each ${TAINT_RULE}`);
}

function workersIn(value: string | null): readonly string[] | undefined {
  if (value === null) return undefined;
  const workers = listOf(value);
  const fit = workers.every((worker) => worker.length <= WORKER_NAME_MAX);
  // An empty list is refused: it could mean that no worker is allowed, or that any is.
  if (fit && workers.length > 0 && workers.length <= ALLOWED_WORKERS_MAX) return workers;
  throw badHeader(ALLOWED, `names 1 to ${ALLOWED_WORKERS_MAX} workers with commas between`);
}

const listOf = (text: string): string[] =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");

function shortText(name: string, value: string | null): string {
  if (value === null) return "";
  if (value.length <= TEXT_MAX) return value;
  throw badHeader(name, `has at most ${TEXT_MAX} characters`);
}

function wholeNumber(name: string, value: string | null, min: number, max: number): number {
  if (value === null) return 0;
  const number = /^[+-]?\d+$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw badHeader(name, `is a whole number from ${min} to ${max}`);
}

function badHeader(name: string, rule: string): ApiError {
  return new ApiError(400, "invalid_header", `The header '${name}' ${rule}.`, name);
}
