/** Bodies of /health and /v1/models. */
import { type Stand, standText } from "../../../llm/template/built-in-templates.ts";
import type { PlaneState } from "../../../runtime/planes.ts";
import type { ModelDirectory } from "./models.ts";
import type { ServedModel } from "./served-model.ts";

export type Health = {
  readonly status: 200 | 503;
  readonly body: {
    readonly status: "ready" | "starting" | "no_workers" | "draining";
    readonly models: readonly { readonly id: string; readonly workers: number }[];
    /** Only where there are several machines. */
    readonly planes?: Readonly<Record<string, "up" | "away">>;
    /** Only where routers are hosted: the one that this frontend asks, or "own". */
    readonly router?: string;
    /** Processes that keep ending; only while there are some. */
    readonly crash_loops?: readonly string[];
  };
};

/** The status does not depend on planes, routers and crash loops: requests are still answered. */
export function healthOf(
  models: ModelDirectory,
  draining: boolean,
  planes: readonly PlaneState[] = [],
  crash_loops: readonly string[] = [],
  router?: string,
): Health {
  const ready = models.ready();
  const list = ready.map(({ name }) => ({ id: name, workers: models.workers(name) }));
  const states = planes.map(({ plane, up }) => [plane, up ? "up" : "away"] as const);
  const rest = {
    models: list,
    ...(states.length === 0 ? {} : { planes: Object.fromEntries(states) }),
    ...(router === undefined ? {} : { router }),
    ...(crash_loops.length === 0 ? {} : { crash_loops }),
  };
  if (draining) return { status: 503, body: { status: "draining", ...rest } };
  if (models.canServe()) return { status: 200, body: { status: "ready", ...rest } };
  const status = ready.length === 0 ? "starting" : "no_workers";
  return { status: 503, body: { status, ...rest } };
}

export function modelJson(model: ServedModel) {
  const { name, card, stand, parsers } = model;
  return {
    id: name,
    object: "model",
    created: card.created_s,
    owned_by: "troupe",
    context_window: card.context_length,
    max_output_tokens: card.context_length,
    chat_template: stand === undefined ? { from: "model" } : standJson(name, stand),
    tool_call_parser: parsers.tool,
    reasoning_parser: parsers.reasoning,
  };
}

/** For a model without a template: which template is used instead, and what can be done. */
const standJson = (model: string, stand: Stand) => ({
  from: stand.from,
  name: stand.template.name,
  message: standText(model, stand),
});
