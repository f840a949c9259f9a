/** What is served, and how this server is: GET routes that models and probes are asked by. */
import { modelJson, readyOf } from "../../models/info-bodies.ts";
import { ApiError, clip } from "../api-error.ts";
import { type JsonRoute, jsonAnswer, type RouteScope } from "../json-route.ts";
import {
  isMessagesClient,
  messageModelJson,
  messageModelsPage,
} from "../messages/message-models.ts";

/** What a person meets who opens the address that the cluster printed. */
export const front: JsonRoute = {
  makes: "json",
  method: "GET",
  path: "/",
  access: "open",
  page: { summary: "A chat for browsers; for other clients the routes" },
  handle: ({ server, headers }) => {
    const page = server.page(headers);
    if (page !== undefined) return page;
    const { info, paths } = server.openapi();
    const routes = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    return jsonAnswer({ name: "troupe", version: info.version, routes });
  },
};

export const models: JsonRoute = {
  makes: "json",
  method: "GET",
  path: "/v1/models",
  access: "key",
  page: { summary: "The models that are served" },
  query: {
    limit: "At most so many, with the header anthropic-version",
    after_id: "Those behind this one, with the header anthropic-version",
    before_id: "Those before this one, with the header anthropic-version",
  },
  handle: ({ models, headers, query }) => {
    const served = [...models.ready(), ...models.adapters()];
    return isMessagesClient(headers)
      ? jsonAnswer(messageModelsPage(served, query))
      : jsonAnswer({ object: "list", data: served.map(modelJson) });
  },
};

export const model: JsonRoute = {
  makes: "json",
  method: "GET",
  path: "/v1/models/{id}",
  access: "key",
  page: { summary: "One model; its id may hold slashes" },
  handle: (scope) => {
    const served = scope.models.get(scope.param);
    if (served === undefined) throw noSuchModel(scope);
    return jsonAnswer(
      isMessagesClient(scope.headers) ? messageModelJson(served) : modelJson(served),
    );
  },
};

/** Body: Dynamo's ModelReadiness. */
export const modelReady: JsonRoute = {
  makes: "json",
  method: "GET",
  path: "/v1/models/{id}/ready",
  access: "key",
  page: { summary: "200 when a worker serves the model, 503 when none does" },
  handle: (scope) => {
    const { models, param, server } = scope;
    // The id of a model may end with /ready.
    const named = models.get(`${param}/ready`);
    if (named !== undefined) return jsonAnswer(modelJson(named));
    if (models.state(param) === "unknown") throw noSuchModel(scope);
    const { status, body } = readyOf(models, param, server.namespace);
    return jsonAnswer(body, status);
  },
};

export const health: JsonRoute = {
  makes: "json",
  method: "GET",
  path: "/health",
  access: "open",
  page: { summary: "200 when requests are answered, 503 while starting or draining" },
  handle: ({ server }) => {
    const { status, body } = server.health();
    return jsonAnswer(body, status);
  },
};

export const live: JsonRoute = {
  makes: "json",
  method: "GET",
  path: "/live",
  access: "open",
  page: { summary: "200 while the process lives" },
  handle: () => jsonAnswer({ status: "live" }),
};

const METRICS_TYPE = { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" };

export const metrics: JsonRoute = {
  makes: "json",
  method: "GET",
  path: "/metrics",
  access: "open",
  page: { summary: "Prometheus text" },
  handle: async ({ server }) => {
    const body = await server.metrics();
    return { status: 200, body, headers: METRICS_TYPE };
  },
};

const noSuchModel = ({ param, server }: RouteScope) =>
  new ApiError(
    404,
    "model_not_found",
    `The model '${clip(param)}' does not exist here; ${server.pathOf(models.path)} lists what is ` +
      "served.",
    "model",
  );
