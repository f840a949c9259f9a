/** `--model` and `--model-name`: which models are served, and as what. */
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
