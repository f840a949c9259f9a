/** POST /v1/load_lora_adapter and /v1/unload_lora_adapter. Shapes and answers: vLLM's. */
import type { AdapterDone } from "../../../../proto/index.ts";
import { ApiError, clip, invalidValue } from "../api-error.ts";
import { checkShape } from "../check-body.ts";
import type { JsonRoute, RouteAnswer, RouteScope } from "../json-route.ts";
import { loadLoraFields, loadLoraShape, unloadLoraFields, unloadLoraShape } from "./lora-fields.ts";

/** Answers that still use an adapter after so long are ended. */
const UNLOAD_WAIT_MS = 30_000;

export const loadLora: JsonRoute = {
  makes: "json",
  method: "POST",
  path: "/v1/load_lora_adapter",
  access: "key",
  page: { summary: "Loads a LoRA adapter", schema: "LoadLoraRequest" },
  body: { fields: loadLoraFields, nested: [] },
  handle: async (scope) => {
    const desk = deskOf(scope);
    const {
      lora_name: name,
      lora_path,
      lora_source,
      load_inplace,
      model,
    } = checkShape(scope.body, loadLoraShape);
    const source = lora_path ?? lora_source;
    if (source == null) {
      const message =
        "Missing required parameter: 'lora_path'. Both 'lora_name' and it are needed.";
      throw new ApiError(400, "missing_required_parameter", message, "lora_path");
    }
    if (lora_path != null && lora_source != null && lora_path !== lora_source) {
      const message = "'lora_path' and 'lora_source' name different places. Send one of them.";
      throw invalidValue(message, "lora_source");
    }
    const base = scope.modelWith(model, Number.MAX_SAFE_INTEGER);
    if (base.adapter !== undefined) {
      throw invalidValue(`'${base.name}' is an adapter itself; name its model.`, "model");
    }
    const known = scope.models.get(name);
    if (known !== undefined && known.adapter === undefined) {
      throw invalidValue(
        `'${name}' is the name of a model; give the adapter another.`,
        "lora_name",
      );
    }
    const replace = load_inplace ?? false;
    check(await desk.load({ model: base.card.name, name, source, replace }), name);
    return text(`Success: LoRA adapter '${name}' added successfully.`);
  },
};

export const unloadLora: JsonRoute = {
  makes: "json",
  method: "POST",
  path: "/v1/unload_lora_adapter",
  access: "key",
  page: { summary: "Unloads a LoRA adapter", schema: "UnloadLoraRequest" },
  body: { fields: unloadLoraFields, nested: [] },
  handle: async (scope) => {
    const desk = deskOf(scope);
    const { lora_name: name } = checkShape(scope.body, unloadLoraShape);
    check(await desk.unload(name, UNLOAD_WAIT_MS), name);
    return text(`Success: LoRA adapter '${name}' removed successfully.`);
  },
};

function deskOf({ server }: RouteScope): RouteScope["server"]["lora"] {
  if (server.lora.allowed) return server.lora;
  throw new ApiError(
    403,
    "lora_updates_off",
    "This server listens beyond its own machine, so its adapters are those that it was started with " +
      "(--lora). --allow-runtime-lora lets whoever may use /v1 change them.",
  );
}

/** Throws ApiError for what was not done. */
function check({ code, message }: AdapterDone, name: string): void {
  if (code === "") return;
  if (code === "not_found") {
    const served = `The LoRA adapter '${clip(name)}' is not loaded here; /v1/models lists all.`;
    throw new ApiError(404, "model_not_found", served, "lora_name");
  }
  if (code === "exists") {
    const advice = "send 'load_inplace': true to replace it, or unload it before";
    throw invalidValue(
      `The LoRA adapter '${clip(name)}' is loaded already; ${advice}.`,
      "lora_name",
    );
  }
  if (code === "busy") throw new ApiError(409, "lora_busy", `Try again: ${message}.`, "lora_name");
  if (code === "away") throw new ApiError(503, "no_worker", message);
  throw new ApiError(
    400,
    "lora_not_loaded",
    `The adapter was not loaded: ${message}.`,
    "lora_path",
  );
}

const text = (body: string): RouteAnswer => ({
  ...{ status: 200, body, headers: { "Content-Type": "text/plain; charset=utf-8" } },
});
