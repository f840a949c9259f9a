/** How much memory a model's cached keys and values take, as its file says. */
import { type GgufHeader, ggufArray, ggufNumber, ggufNumbers } from "./gguf.ts";

/** Of one token in all layers, each number in `number_bytes`; 0: the file does not say. */
export function kvBytesPerToken(
  { metadata }: Pick<GgufHeader, "metadata">,
  number_bytes: number,
): number {
  const architecture = metadata.get("general.architecture");
  const of = (key: string) => ggufNumber(metadata, `${architecture}.${key}`);
  const layers = of("block_count") ?? 0;
  const heads = of("attention.head_count") ?? 0;
  const embedding = of("embedding_length") ?? 0;
  const usual = heads === 0 ? 0 : embedding / heads;
  const key = of("attention.key_length") ?? usual;
  const value = of("attention.value_length") ?? usual;
  const array = ggufArray(metadata, `${architecture}.attention.head_count_kv`);
  const each = array && ggufNumbers(array);
  const kv_heads =
    each?.reduce((sum, count) => sum + count, 0) ??
    layers * (of("attention.head_count_kv") ?? heads);
  return number_bytes * kv_heads * (key + value);
}

/** The longest that the model was trained for, in tokens; 0: the file does not say. */
export const contextLength = ({ metadata }: Pick<GgufHeader, "metadata">): number =>
  ggufNumber(metadata, `${metadata.get("general.architecture")}.context_length`) ?? 0;
