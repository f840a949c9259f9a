/** Bodies of /health, /v1/models and /v1/models/ID/ready. */
import { type Stand, standText } from "../../../llm/template/built-in-templates.ts";
import type { WorkerRole } from "../../../proto/index.ts";
import type { PlaneState } from "../../../runtime/planes.ts";
import type { ServedModels } from "../access/allowed-models.ts";
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

/** Dynamo's ModelReadiness. The status follows `ready`, so that a probe need not read the body. */
export type Readiness = {
  readonly status: 200 | 503;
  readonly body: {
    readonly model: string;
    readonly ready: boolean;
    /** Why not; absent when it is ready. */
    readonly reason?: string;
    /** By the namespace of the workers, of which a frontend knows its own. */
    readonly namespaces: Readonly<Record<string, NamespaceReadiness>>;
  };
};

type NamespaceReadiness = {
  readonly ready: boolean;
  readonly reason?: string;
  /** By role. `needs`: lists of other roles, one of which has to be there whole. */
  readonly worker_types: Readonly<
    Record<string, { readonly workers: number; readonly needs: readonly (readonly string[])[] }>
  >;
  readonly present: readonly string[];
  readonly missing_worker_types: readonly string[];
};

/** A worker that computes prompts needs one that answers. */
const needs: Readonly<Record<WorkerRole, readonly (readonly WorkerRole[])[]>> = {
  aggregated: [],
  prefill: [["decode", "aggregated"]],
  decode: [],
};

/** Of a model that the directory knows. */
export function readyOf(models: ServedModels, name: string, namespace: string): Readiness {
  const workers = models.workers(name);
  const reason = notReady(models, name, workers);
  const ready = reason === undefined;
  const why = ready ? {} : { reason };
  const roles = models.roles(name);
  const present = (Object.keys(roles) as WorkerRole[]).filter((role) => roles[role] > 0);
  const lacking: WorkerRole = present.includes("prefill") ? "decode" : "aggregated";
  const types = present.map(
    (role) => [role, { workers: roles[role], needs: needs[role] }] as const,
  );
  const here: NamespaceReadiness = {
    ready,
    ...why,
    worker_types: Object.fromEntries(types),
    present,
    missing_worker_types: workers === 0 ? [lacking] : [],
  };
  const body = { model: name, ready, ...why, namespaces: { [namespace]: here } };
  return { status: ready ? 200 : 503, body };
}

function notReady(models: ServedModels, name: string, workers: number): string | undefined {
  switch (models.state(name)) {
    case "broken":
      return models.whyBroken(name);
    case "ready":
      return workers === 0 ? "no worker serves it now" : undefined;
    default:
      return "its tokenizer and templates are on their way from a worker";
  }
}

export function modelJson(model: ServedModel) {
  const { name, card, stand, parsers, adapter, source } = model;
  return {
    id: name,
    object: "model",
    created: card.created_s,
    owned_by: "troupe",
    // As vLLM: an adapter's root is where it came from, its parent the model.
    ...(adapter === undefined ? { root: name, parent: null } : { root: source, parent: card.name }),
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
