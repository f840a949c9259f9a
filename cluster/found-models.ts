/** Models and LoRA adapters of this machine: found, fetched and checked before anything starts. */
import {
  AdapterKeeper,
  type AdapterKeeperOptions,
  type KeptAdapter,
} from "../actors/adapters/adapters.ts";
import type { EngineFit, MemoryWishes } from "../actors/engine/engine-kind.ts";
import { engineKind } from "../actors/engine/engines.ts";
import {
  type CheckedModel,
  locateAdapter,
  type ModelProgress,
  type ModelWorld,
  resolveModel,
  resolveTokenizer,
} from "../actors/model/model.ts";
import { contextLength, kvBytesPerToken } from "../llm/model/kv-bytes.ts";
import { sizeText } from "../runtime/size-text.ts";
import type { ChildSpec } from "../runtime/supervision/child-spec.ts";
import { draftFor, type ModelSetting } from "./settings/model-settings.ts";
import type { Settings } from "./settings/settings.ts";
import { SettingsError } from "./settings/settings-error.ts";
import { totalOf } from "./settings/worker-counts.ts";
import { type FitWish, fitModels } from "./settings/workers/fit-memory.ts";
import { weightBytes } from "./start-budget.ts";

export type FoundModel = {
  readonly name: string;
  readonly path: string;
  /** Of its draft model; undefined: it has none. */
  readonly draft_path?: string;
  /** Bytes that its engines have to read before they can answer. */
  readonly weight_bytes: number;
  /** Keys and values of one context of full length; 0: not known. */
  readonly context_bytes: number;
  /** Absent: its engines take no memory that depends on it. */
  readonly fit?: EngineFit;
};

export type Finding = {
  readonly world: ModelWorld;
  readonly bundled_model: string;
  /** Bytes that this machine's processes may still take; undefined: not known. */
  readonly freeMemory: (() => number | undefined) | undefined;
  /** Status for a person; one line. */
  readonly status: (text: string, fraction?: number) => void;
};

/** Rejects with ModelError. */
export async function findModels(
  { engine, models, draft_models, workers }: Settings,
  { world, bundled_model, freeMemory, status }: Finding,
): Promise<FoundModel[]> {
  const kind = engineKind(engine.name);
  const resolve = kind.reads_weights ? resolveModel : resolveTokenizer;
  const wishes = kind.memory?.(engine.own, engine.common);
  const found: FoundModel[] = [];
  const fits: (FitWish & { readonly own_token_bytes: number })[] = [];
  const told: ModelWorld = {
    ...world,
    onProgress: (progress) => status(...progressText(progress)),
  };
  for (const setting of models) {
    const resolved = await resolve(told, setting.source === "" ? bundled_model : setting.source);
    if (resolved.kind === "refused") throw resolved.error;
    const { path } = resolved.model;
    const draft = await draftOf(told, draftFor(draft_models, setting.name));
    const read = [resolved.model, ...(draft === undefined ? [] : [draft])];
    const weight_bytes = kind.reads_weights
      ? read.reduce((sum, model) => sum + weightBytes(model), 0)
      : 0;
    const guesses = draft === undefined ? {} : { draft_path: draft.path };
    found.push({
      ...{ name: servedName(setting, path), path, ...guesses, weight_bytes, context_bytes: 0 },
    });
    if (wishes === undefined) continue;
    const count = totalOf(workers);
    fits.push({ ...fitWish(read, wishes), workers: count, weight_bytes });
  }
  return fitted(found, fits, { free_bytes: freeMemory?.(), asked: engine.common.context_length });
}

/** Of a model, and behind it what is computed beside it. */
function fitWish(read: readonly CheckedModel[], { number_bytes, ...wishes }: MemoryWishes) {
  const headers = read.flatMap((model) => (model.kind === "file" ? [model.header] : []));
  const [own] = headers;
  return {
    ...wishes,
    trained: own === undefined ? 0 : contextLength(own),
    token_bytes: headers.reduce((sum, each) => sum + kvBytesPerToken(each, number_bytes), 0),
    own_token_bytes: own === undefined ? 0 : kvBytesPerToken(own, number_bytes),
  };
}

/** `asked`: the context's length; 0: nobody said it. */
function fitted(
  found: readonly FoundModel[],
  wishes: readonly (FitWish & { readonly own_token_bytes: number })[],
  { free_bytes, asked }: { readonly free_bytes: number | undefined; readonly asked: number },
): FoundModel[] {
  const fits = fitModels(wishes, free_bytes);
  return found.map((model, i) => {
    const [fit, wish] = [fits[i], wishes[i]];
    if (fit === undefined || wish === undefined) return model;
    const context_bytes = wish.own_token_bytes * (asked || fit.context_length);
    return { ...model, fit, context_bytes };
  });
}

async function draftOf(
  world: ModelWorld,
  source: string | undefined,
): Promise<CheckedModel | undefined> {
  if (source === undefined) return undefined;
  const resolved = await resolveModel(world, source, "--draft-model");
  if (resolved.kind === "refused") throw resolved.error;
  return resolved.model;
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
