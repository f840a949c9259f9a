/** `--model`, `--model-name` and `--lora`: which models and adapters are served, and as what. */
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
