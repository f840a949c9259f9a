/**
 * `GET` and `PATCH /v1/min-endpoints`: the least numbers of workers and the budgets of a planner,
 * changed while it runs. Dynamo's API, and as there without a key, for this machine alone. With
 * several models `?model=NAME` says which one.
 */
import { z } from "zod";
import type { HttpServer, Net } from "../../../runtime/capabilities.ts";
import { errorText } from "../../../runtime/error-text.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import { PlannerConfigError } from "../pipeline/config-text.ts";
import { plannerConfigOf } from "../pipeline/read-config.ts";
import { MIN_ENDPOINTS_HOST } from "./flags.ts";

/** The planners of a process, as far as this door changes them. */
export interface LivePlans {
  models(): readonly string[];
  /** What holds now; undefined: no planner decides about this model here. */
  config(model: string): PlannerConfig | undefined;
  /** Written down, and from the next tick on what holds. Rejects when it cannot be. */
  change(model: string, config: PlannerConfig): Promise<void>;
}

export type MinEndpointsOptions = {
  readonly net: Net;
  /** 0: any free one. */
  readonly port: number;
  readonly plans: LivePlans;
};

const PATH = "/v1/min-endpoints";
const IDLE_MS = 60_000;
const BODY_BYTES_MAX = 10_000;

const least = z.int().min(0).max(100_000);
const budget = z.int().min(-1);
const fields = {
  min_endpoint: least,
  prefill_min_endpoint: least,
  decode_min_endpoint: least,
  min_gpu_budget: budget,
  max_gpu_budget: budget,
};
type Field = keyof typeof fields;
type Patch = Partial<Record<Field, number>>;

const active: Readonly<Record<PlannerConfig["mode"], readonly Field[]>> = {
  agg: ["min_endpoint"],
  prefill: ["prefill_min_endpoint"],
  decode: ["decode_min_endpoint"],
  disagg: ["prefill_min_endpoint", "decode_min_endpoint"],
};
const fieldsOf = (mode: PlannerConfig["mode"]): readonly Field[] => [
  ...active[mode],
  ...(["min_gpu_budget", "max_gpu_budget"] as const),
];

class Refusal extends Error {
  readonly code = "min_endpoints_refused";
  readonly status: number;

  constructor(status: number, why: string) {
    super(why);
    this.status = status;
  }
}

/** Rejects with TransportError when the port is taken. */
export function serveMinEndpoints({ net, port, plans }: MinEndpointsOptions): Promise<HttpServer> {
  // One change after the other, so that each is checked against what the one before made.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
    const done = turn.then(run);
    turn = done.catch(() => {});
    return done;
  };
  return net.serve({
    ...{ host: MIN_ENDPOINTS_HOST, port, share_port: false, idle_ms: IDLE_MS },
    fetch: async (request) => {
      try {
        return Response.json(await answer(request, plans, inTurn));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return Response.json({ error: error.message }, { status: error.status });
      }
    },
  });
}

async function answer(
  request: Request,
  plans: LivePlans,
  inTurn: <T>(run: () => Promise<T>) => Promise<T>,
): Promise<object> {
  const url = new URL(request.url);
  // A page of the web whose name was made to mean this machine still sends its own name.
  if (!["127.0.0.1", "localhost", "[::1]"].includes(url.hostname)) {
    throw new Refusal(
      403,
      `this is for this machine alone: ask http://${MIN_ENDPOINTS_HOST}:${url.port}${PATH}`,
    );
  }
  if (url.pathname !== PATH) throw new Refusal(404, `there is ${PATH} alone`);
  if (request.method === "GET") return said(found(plans, modelOf(url, plans)));
  if (request.method !== "PATCH") throw new Refusal(405, "GET and PATCH are possible");
  const patch = patchOf(await request.text());
  return await inTurn(async () => {
    const model = modelOf(url, plans);
    const config = changed(found(plans, model), patch);
    try {
      await plans.change(model, config);
    } catch (error) {
      throw new Refusal(503, `nothing was changed: ${errorText(error)}; try again`);
    }
    return said(config);
  });
}

function modelOf(url: URL, plans: LivePlans): string {
  const models = plans.models();
  const given = url.searchParams.get("model") ?? "";
  if (given !== "") return given;
  const [only, ...others] = models;
  if (only === undefined) throw new Refusal(503, "no planner decides about any model yet");
  if (others.length === 0) return only;
  throw new Refusal(400, `say which model: ${PATH}?model=NAME with one of ${models.join(", ")}`);
}

function found(plans: LivePlans, model: string): PlannerConfig {
  const config = plans.config(model);
  if (config !== undefined) return config;
  const models = plans.models().join(", ") || "none";
  throw new Refusal(404, `no planner decides about ${model} here; there are: ${models}`);
}

const said = (config: PlannerConfig): object => ({
  mode: config.mode,
  ...Object.fromEntries(fieldsOf(config.mode).map((name) => [name, config[name]])),
});

/** 400: no object with known keys. 422: a key's value cannot be. */
function patchOf(text: string): Patch {
  if (text.length > BODY_BYTES_MAX) throw new Refusal(413, "the body is too long");
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Refusal(400, "the body must be JSON");
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refusal(400, "the body must be a JSON object");
  }
  const names = Object.keys(fields);
  const unknown = Object.keys(body).filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new Refusal(400, `there is no ${unknown.join(", ")}; there are ${names.join(", ")}`);
  }
  if (Object.keys(body).length === 0) {
    throw new Refusal(400, `nothing is to be changed: give one of ${names.join(", ")}`);
  }
  const result = z.strictObject(fields).partial().safeParse(body);
  if (!result.success) {
    const problems = result.error.issues.map(
      ({ path, message }) => `${String(path[0])}: ${message}`,
    );
    throw new Refusal(422, problems.join("; "));
  }
  return Object.fromEntries(Object.entries(result.data).filter(([, value]) => value !== undefined));
}

/** 422: the whole would not hold together. */
function changed(config: PlannerConfig, patch: Patch): PlannerConfig {
  const possible = fieldsOf(config.mode);
  const idle = Object.keys(patch).filter((name) => !possible.includes(name as Field));
  if (idle.length > 0) {
    const why = `${idle.join(", ")} has no effect in mode ${config.mode}`;
    throw new Refusal(422, `${why}: give ${possible.join(", ")}`);
  }
  try {
    return plannerConfigOf({ ...config, ...patch }).config;
  } catch (error) {
    if (!(error instanceof PlannerConfigError)) throw error;
    throw new Refusal(422, error.message);
  }
}
