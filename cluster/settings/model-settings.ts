/**
 * `--model`, `--model-name`, `--lora` and `--draft-model`: which models and adapters are served, as
 * what, and which models guess for them.
 */
import { SettingsError } from "./settings-error.ts";

export type ModelSetting = {
  /** Served name, when the user gave one. */
  readonly name?: string;
  /** Empty = the model that Troupe carries. */
  readonly source: string;
};

/** Throws SettingsError. */
export function modelSettings(given: readonly string[], name: string): readonly ModelSetting[] {
  if (given.length === 0) return [{ source: "", ...(name === "" ? {} : { name }) }];
  const models = given.map((text): ModelSetting => {
    if (/^[^/]+=\s*$/.test(text)) {
      throw new SettingsError(`--model ${text.trim()} names no source: give ${text.trim()}SOURCE`);
    }
    // "name=source"; a path may hold "=" itself, but then after a slash.
    const equals = text.indexOf("=");
    const named = equals > 0 && !text.slice(0, equals).includes("/");
    return named
      ? { name: text.slice(0, equals), source: text.slice(equals + 1) }
      : { source: text };
  });
  if (name !== "") {
    if (models.length > 1) {
      throw new SettingsError("--model-name names one model; with several use --model name=source");
    }
    return [{ name, source: models[0]?.source ?? "" }];
  }
  const unnamed = models.filter((model) => model.name === undefined);
  if (models.length > 1 && unnamed.length > 0) {
    throw new SettingsError(`several models need names: --model name=${unnamed[0]?.source ?? ""}`);
  }
  const names = models.map((model) => model.name);
  const twice = names.find((item, index) => item !== undefined && names.indexOf(item) !== index);
  if (twice !== undefined) throw new SettingsError(`two models are named "${twice}"`);
  return models;
}

/** A LoRA adapter that the machine is started with. */
export type LoraSetting = {
  /** Served name of its model; undefined: the only one. */
  readonly model: string | undefined;
  readonly name: string;
  readonly source: string;
};

const NAME = /^[^\s=:]{1,128}$/;

/** Throws SettingsError. */
export function loraSettings(
  given: readonly string[],
  models: readonly ModelSetting[],
): readonly LoraSetting[] {
  const loras = given.map((text): LoraSetting => {
    const equals = text.indexOf("=");
    const left = equals < 0 ? "" : text.slice(0, equals).trim();
    const source = equals < 0 ? "" : text.slice(equals + 1).trim();
    const colon = left.lastIndexOf(":");
    const name = left.slice(colon + 1);
    if (!NAME.test(name) || source === "") {
      throw new SettingsError(`--lora "${text}": give NAME=SOURCE, or MODEL:NAME=SOURCE`);
    }
    return { model: colon < 0 ? undefined : left.slice(0, colon), name, source };
  });
  const names = loras.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new SettingsError(`two adapters are named "${twice}"`);
  const served = models.map(({ name }) => name);
  for (const { model, name } of loras) {
    if (served.includes(name)) {
      throw new SettingsError(`--lora ${name}=…: a model has that name; give the adapter another`);
    }
    if (models.length > 1 && model === undefined) {
      throw new SettingsError(`several models are served: --lora MODEL:${name}=SOURCE says whose`);
    }
    const known = models.length === 1 && served[0] === undefined;
    if (model !== undefined && !known && !served.includes(model)) {
      throw new SettingsError(`--lora ${model}:${name}=…: no model is named "${model}"`);
    }
  }
  return loras;
}

/** As the flag takes it. */
export const loraText = ({ model, name, source }: LoraSetting): string =>
  `${model === undefined ? "" : `${model}:`}${name}=${source}`;

/** `--draft-model`: a smaller model whose guesses a served one checks. */
export type DraftSetting = {
  /** Undefined = of the only model. */
  readonly model?: string;
  /** As `--model` takes it. */
  readonly source: string;
};

/**
 * Each is `SOURCE`, or `MODEL=SOURCE`. Throws SettingsError.
 * @param served with their names, where they were given one
 */
export function draftModels(
  given: readonly string[],
  served: readonly { readonly name?: string }[],
): readonly DraftSetting[] {
  const models = served.map(({ name }) => name);
  const settings = given.map((text): DraftSetting => {
    const equals = text.indexOf("=");
    const model = equals > 0 ? text.slice(0, equals) : undefined;
    if (model === undefined || !models.includes(model)) return { source: text };
    const source = text.slice(equals + 1).trim();
    if (source !== "") return { model, source };
    throw new SettingsError(`--draft-model ${text} names no source: give ${model}=SOURCE`);
  });
  const alone = settings.find(({ model }) => model === undefined);
  if (alone !== undefined && models.length > 1) {
    throw new SettingsError(
      `--draft-model ${alone.source}: say of which model: MODEL=SOURCE, MODEL one of ${models.join(", ")}`,
    );
  }
  const names = settings.map(({ model }) => model);
  if (new Set(names).size < names.length || (alone !== undefined && settings.length > 1)) {
    throw new SettingsError("--draft-model: a model has one draft model, and one is given twice");
  }
  return settings;
}

/** The source of the draft model of a served model; undefined: it has none. */
export const draftFor = (
  settings: readonly DraftSetting[],
  model: string | undefined,
): string | undefined =>
  settings.find((setting) => setting.model === undefined || setting.model === model)?.source;
