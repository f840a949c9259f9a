/** A text completion, whole or a chunk of it → KServe's response, as Dynamo maps it. Pure. */
import type { KserveInferResponse, KserveOutputTensor } from "../../../proto/index.ts";
import type { InferRequest } from "./kserve-request.ts";

type Choice = { readonly text?: string; readonly finish_reason?: string | null };
export type Completion = { readonly model?: string; readonly choices?: readonly Choice[] };

const VERSION = "1";
const encoder = new TextEncoder();

/** Outputs `text_output` and `finish_reason`, one value a choice that has one. */
export function inferResponse(
  { id, model, raw }: InferRequest,
  completion: Completion,
): KserveInferResponse {
  const choices = completion.choices ?? [];
  const texts = choices.map(({ text = "" }) => encoder.encode(text));
  const reasons = choices.flatMap(({ finish_reason }) =>
    typeof finish_reason === "string" ? [encoder.encode(finish_reason)] : [],
  );
  const values = [texts, reasons];
  const outputs = values.map((bytes, at): KserveOutputTensor => {
    const name = at === 0 ? "text_output" : "finish_reason";
    const tensor = { name, datatype: "BYTES", shape: [bytes.length], parameters: [] };
    return raw ? tensor : { ...tensor, contents: { bool_contents: [], bytes_contents: bytes } };
  });
  return {
    ...{ model_name: completion.model ?? model, model_version: VERSION, id, parameters: [] },
    outputs,
    raw_output_contents: raw ? values.map(joined) : [],
  };
}

/** Each value with its length before it, 32 bits, little-endian. */
function joined(values: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(values.reduce((sum, { length }) => sum + 4 + length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const value of values) {
    view.setUint32(at, value.length, true);
    bytes.set(value, at + 4);
    at += 4 + value.length;
  }
  return bytes;
}
