/** GET and POST /busy_threshold: from when on workers get no requests. Shapes: Dynamo's. */
import type { BusyIs, ModelBusy } from "../../../../proto/index.ts";
import { ApiError, modelNotFound } from "../api-error.ts";
import { checkShape } from "../check-body.ts";
import { type JsonRoute, jsonAnswer, type RouteScope } from "../json-route.ts";
import { busyFields, busyShape } from "./busy-fields.ts";

const PATH = "/busy_threshold";

export const busyThresholds: JsonRoute = {
  makes: "json",
  method: "GET",
  path: PATH,
  access: "key",
  page: { summary: "The busy thresholds of each model" },
  handle: async (scope) => {
    const { busy } = await asked(scope, undefined);
    const names = scope.models.ready().map(({ name }) => name);
    return jsonAnswer({ thresholds: names.map((name) => thresholdsOf(name, busy)) });
  },
};

export const setBusyThreshold: JsonRoute = {
  makes: "json",
  method: "POST",
  path: PATH,
  access: "key",
  page: { summary: "Sets busy thresholds of a model", schema: "BusyThresholdRequest" },
  body: { fields: busyFields, nested: [] },
  handle: async (scope) => {
    const body = checkShape(scope.body, busyShape);
    const { model } = body;
    if (scope.models.state(model) === "unknown") {
      throw modelNotFound(
        model,
        scope.models.ready().map(({ name }) => name),
      );
    }
    const change = {
      ...named("decode_blocks", body.active_decode_blocks_threshold),
      ...named("prefill_tokens", body.active_prefill_tokens_threshold),
      ...named("prefill_frac", body.active_prefill_tokens_threshold_frac),
    };
    const sets = Object.keys(change).length > 0;
    const { busy } = await asked(scope, sets ? { model, ...change, set_ms: 0 } : undefined);
    return jsonAnswer(thresholdsOf(model, busy));
  },
};

const named = <Name extends string>(name: Name, value: number | null | undefined) =>
  (value == null ? {} : { [name]: value }) as { readonly [Key in Name]?: number };

async function asked(scope: RouteScope, change: ModelBusy | undefined): Promise<BusyIs> {
  const said = await scope.server.busy(change);
  if (said === undefined) {
    throw new ApiError(
      503,
      "router_away",
      "The router does not answer now. Try again in a moment.",
      null,
      { "Retry-After": "1" },
    );
  }
  if (said.supported) return said;
  throw new ApiError(
    400,
    "not_supported",
    "Only the router mode 'kv' knows busy thresholds; this server runs in another one.",
  );
}

/** Flags that are set to never, or to no limit, count as not set. */
const NEVER_BLOCKS = 1;
const NEVER_TOKENS = 1_000_000_000;

function thresholdsOf(model: string, busy: readonly ModelBusy[]) {
  const flags = busy.find((one) => one.model === "");
  const set = busy.find((one) => one.model === model);
  const blocks = set?.decode_blocks ?? flags?.decode_blocks ?? NEVER_BLOCKS;
  const tokens = set?.prefill_tokens ?? flags?.prefill_tokens ?? NEVER_TOKENS;
  return {
    model,
    active_decode_blocks_threshold: blocks >= NEVER_BLOCKS ? null : blocks,
    active_prefill_tokens_threshold: tokens >= NEVER_TOKENS ? null : tokens,
    active_prefill_tokens_threshold_frac: set?.prefill_frac ?? null,
  };
}
