/** Models and LoRA adapters of this machine: found, fetched and checked before anything starts. */
import {
  AdapterKeeper,
  type AdapterKeeperOptions,
  type KeptAdapter,
} from "../actors/adapters/adapters.ts";
import { engineKind } from "../actors/engine/engines.ts";
import {
  type CheckedModel,
  locateAdapter,
  type ModelProgress,
  type ModelWorld,
  resolveModel,
  resolveTokenizer,
  sizeText,
} from "../actors/model/model.ts";
import { contextLength, kvBytesPerToken } from "../llm/model/kv-bytes.ts";
import type { ChildSpec } from "../runtime/supervision/child-spec.ts";
import type { ModelSetting } from "./settings/model-settings.ts";
import type { Settings } from "./settings/settings.ts";
import { SettingsError } from "./settings/settings-error.ts";
import { weightBytes } from "./start-budget.ts";

export type FoundModel = {
  readonly name: string;
  readonly path: string;
  /** Bytes that its engines have to read before they can answer. */
  readonly weight_bytes: number;
  /** Keys and values of one context of full length; 0: not known. */
  readonly context_bytes: number;
};

export type Finding = {
  readonly world: ModelWorld;
  readonly bundled_model: string;
  /** Status for a person; one line. */
  readonly status: (text: string, fraction?: number) => void;
};

/** Rejects with ModelError. */
export async function findModels(
  { engine, models }: Settings,
  { world, bundled_model, status }: Finding,
): Promise<FoundModel[]> {
  const { reads_weights } = engineKind(engine.name);
  const resolve = reads_weights ? resolveModel : resolveTokenizer;
  const found: FoundModel[] = [];
  for (const setting of models) {
    const resolved = await resolve(
      { ...world, onProgress: (progress) => status(...progressText(progress)) },
      setting.source === "" ? bundled_model : setting.source,
    );
    if (resolved.kind === "refused") throw resolved.error;
    const { path } = resolved.model;
    const weight_bytes = reads_weights ? weightBytes(resolved.model) : 0;
    const name = servedName(setting, path);
    const { context_length } = engine.common;
    const context_bytes = reads_weights ? contextBytes(resolved.model, context_length) : 0;
    found.push({ name, path, weight_bytes, context_bytes });
  }
  return found;
}

/** The engine's own default where the setting is 0. */
const CONTEXT_MOST = 8_192;

function contextBytes(model: CheckedModel, context_length: number): number {
  if (model.kind !== "file") return 0;
  const { header } = model;
  const trained = contextLength(header) || CONTEXT_MOST;
  const tokens = context_length > 0 ? context_length : Math.min(CONTEXT_MOST, trained);
  return kvBytesPerToken(header) * tokens;
}

/** `hf:org/repo:quant` → org/repo, `pypi:package` → package, a path → its file name's stem. */
function servedName(setting: ModelSetting, path: string): string {
  if (setting.name !== undefined) return setting.name;
  const hub = /^hf:([^:]+)/.exec(setting.source);
  if (hub) return hub[1] ?? "";
  const wheel = /^pypi:([^=<>~ ]+)/.exec(setting.source);
  if (wheel) return wheel[1] ?? "";
  return (path.split("/").at(-1) ?? path).replace(/\.gguf$/i, "");
}

function progressText(progress: ModelProgress): [text: string, fraction?: number] {
  const { label, received_bytes, total_bytes, bytes_per_s } = progress;
  const of = total_bytes === undefined ? "" : ` of ${sizeText(total_bytes)}`;
  const text = `${label}: ${sizeText(received_bytes)}${of}, ${sizeText(bytes_per_s)}/s`;
  return total_bytes === undefined ? [text] : [text, received_bytes / total_bytes];
}

/** Rejects with ModelError, or SettingsError for a name that is a model's or no model's. */
export async function adaptersFor(
  { engine, loras }: Settings,
  models: readonly FoundModel[],
  { world, status }: Finding,
): Promise<AdapterKeeperOptions> {
  const onProgress: Finding["world"]["onProgress"] = (progress) =>
    status(...progressText(progress));
  // Engines that read no weights take an adapter by its name: there is no file to find.
  const locate = engineKind(engine.name).reads_weights
    ? (source: string) => locateAdapter({ ...world, onProgress }, source)
    : async (source: string) => source;
  const given: KeptAdapter[] = [];
  for (const { name, source, model = models[0]?.name ?? "" } of loras) {
    if (models.every((each) => each.name !== model)) {
      throw new SettingsError(`--lora ${model}:${name}=…: no model is named "${model}"`);
    }
    if (models.some((each) => each.name === name)) {
      throw new SettingsError(`--lora ${name}=…: a model has that name; give the adapter another`);
    }
    given.push({ model, name, source, path: await locate(source), required: true });
  }
  return { given, locate };
}

export const adapterSpecs = (options: AdapterKeeperOptions | undefined): readonly ChildSpec[] =>
  options === undefined ? [] : [{ id: "adapters", start: () => new AdapterKeeper(options) }];
