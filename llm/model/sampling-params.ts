import { type GgufValue, ggufNumber } from "./gguf.ts";

/** How the next token is drawn; structurally the Sampling of the engine's face. */
export type SamplingValues = {
  readonly temperature: number; // 0 = greedy
  readonly top_k: number; // 0 = off
  readonly top_p: number; // 1 = off
  readonly min_p: number; // 0 = off
  readonly typical_p: number; // 1 = off
  readonly repetition_penalty: number; // 1 = off
  readonly frequency_penalty: number; // 0 = off
  readonly presence_penalty: number; // 0 = off
  readonly logit_bias: readonly (readonly [token: number, bias: number])[];
  readonly seed: bigint; // u64
};

/** The model's own defaults, where the client gives no value. */
export type GenerationDefaults = {
  readonly temperature?: number;
  readonly top_k?: number;
  readonly top_p?: number;
  readonly min_p?: number;
  readonly typical_p?: number;
  readonly repetition_penalty?: number;
};

/** OpenAI's defaults where its API has the parameter, neutral values elsewhere. */
export const NEUTRAL_SAMPLING: Omit<SamplingValues, "seed"> = {
  temperature: 1,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  typical_p: 1,
  repetition_penalty: 1,
  frequency_penalty: 0,
  presence_penalty: 0,
  logit_bias: [],
};

type Given = { readonly [Key in keyof SamplingValues]?: SamplingValues[Key] | null | undefined };

/** Request before the model's defaults before OpenAI's. `seed` is drawn by the caller. */
export function mergeSampling(
  request: Omit<Given, "seed">,
  defaults: GenerationDefaults,
  seed: bigint,
): SamplingValues {
  const merged: Record<string, unknown> = { ...NEUTRAL_SAMPLING };
  for (const layer of [defaults, request]) {
    for (const [key, value] of Object.entries(layer)) {
      if (key in NEUTRAL_SAMPLING && value !== undefined && value !== null) merged[key] = value;
    }
  }
  return { ...(merged as Omit<SamplingValues, "seed">), seed: BigInt.asUintN(64, seed) };
}

/** The keys under which GGUF files state them (llama.cpp, `src/llama-arch.cpp`). */
const GGUF_KEYS: Record<keyof GenerationDefaults, string> = {
  temperature: "general.sampling.temp",
  top_k: "general.sampling.top_k",
  top_p: "general.sampling.top_p",
  min_p: "general.sampling.min_p",
  typical_p: "general.sampling.typical_p",
  repetition_penalty: "general.sampling.penalty_repeat",
};

export function generationDefaultsFromGguf(
  metadata: ReadonlyMap<string, GgufValue>,
): GenerationDefaults {
  return defaultsOf((name) => ggufNumber(metadata, GGUF_KEYS[name]));
}

/**
 * Out of a generation_config.json, which has the same names. `do_sample` is not looked at, as in
 * vLLM: clients of an API expect its default temperature.
 */
export function generationDefaultsFromJson(
  config: Readonly<Record<string, unknown>>,
): GenerationDefaults {
  return defaultsOf((name) => {
    const value = config[name];
    return typeof value === "number" ? value : undefined;
  });
}

/** Only values that are in range; a file's nonsense is as if it were not there. */
function defaultsOf(
  read: (name: keyof GenerationDefaults) => number | undefined,
): GenerationDefaults {
  const found: Record<string, number> = {};
  for (const name of Object.keys(GGUF_KEYS) as (keyof GenerationDefaults)[]) {
    const value = read(name);
    if (value === undefined || !inRange(name, value)) continue;
    found[name] = name === "top_k" ? Math.trunc(value) : Math.round(value * 1e6) / 1e6;
  }
  return found;
}

function inRange(name: string, value: number): boolean {
  if (!Number.isFinite(value) || value < 0) return false;
  if (name === "temperature" || name === "repetition_penalty") return value <= 2;
  return name === "top_k" || value <= 1;
}
