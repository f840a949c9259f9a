/**
 * A KServe v2 inference request → the body of a text completion, as Dynamo maps it: `text_input` is
 * the prompt, `streaming` (or `stream`) asks for one response a piece. Parameters of the request are
 * fields of the completion (`max_tokens`, `temperature`, …). Pure.
 */
import type {
  KserveInferRequest,
  KserveInputTensor,
  KserveParameter,
} from "../../../proto/index.ts";
import { GrpcFailure } from "../../../runtime/grpc.ts";
import { checkStructure } from "../http/read-body.ts";

export type InferRequest = {
  readonly model: string;
  readonly id: string;
  readonly stream: boolean;
  /** Answers go as raw contents where the request's inputs came so, as in Triton. */
  readonly raw: boolean;
  readonly body: Readonly<Record<string, unknown>>;
};

const INPUTS = "text_input, streaming";
/** Triton's own clients put these beside those of the model. */
const OF_TRITON = ["triton_enable_empty_final_response", "sequence_id", "priority", "timeout"];

/** Throws GrpcFailure. */
export function inferRequest(request: KserveInferRequest): InferRequest {
  const { model_name: model, id, inputs, raw_input_contents } = request;
  let prompt: string | undefined;
  let stream = false;
  inputs.forEach((input, at) => {
    if (inputs.findIndex(({ name }) => name === input.name) !== at) {
      throw wrong(`the input '${input.name}' comes twice: send one`);
    }
    const raw = raw_input_contents[at];
    if (input.name === "text_input") prompt = textOf(input, raw);
    else if (input.name === "streaming" || input.name === "stream") stream = flagOf(input, raw);
    else throw wrong(`there is no input '${input.name}'; inputs are ${INPUTS}`);
  });
  if (prompt === undefined) throw wrong("the input 'text_input' is missing: add it");
  const fields = new Map<string, unknown>();
  for (const { key, value } of request.parameters) {
    if (OF_TRITON.includes(key)) continue;
    if (key === "model" || key === "prompt" || key === "stream") {
      throw wrong(`the parameter '${key}' is said by the request itself: remove it`);
    }
    fields.set(key, valueIn(key, value));
  }
  const body = {
    ...Object.fromEntries(fields),
    prompt,
    ...(model === "" ? {} : { model }),
    stream,
  };
  return { model, id, stream, raw: raw_input_contents.length > 0, body };
}

function valueIn(key: string, value: KserveParameter | undefined): unknown {
  const { bool_param, int64_param, string_param, double_param, uint64_param } = value ?? {};
  const given = bool_param ?? int64_param ?? double_param ?? uint64_param ?? string_param;
  // Lists and objects come as JSON in a text: no other kind of parameter holds them.
  if (typeof given === "number" && !Number.isFinite(given)) {
    throw wrong(`the parameter '${key}' is ${given}: send a number`);
  }
  if (typeof given !== "string" || !/^\s*[[{]/.test(given)) return given;
  checkDepth(key, given);
  try {
    return JSON.parse(given);
  } catch {
    return given;
  }
}

/** JSON.parse takes seconds for a text of brackets. */
function checkDepth(key: string, text: string): void {
  try {
    checkStructure(new TextEncoder().encode(text));
  } catch {
    throw wrong(`the parameter '${key}' holds too much, or is nested too deeply: send less`);
  }
}

function textOf(input: KserveInputTensor, raw: Uint8Array | undefined): string {
  checkTensor(input, "BYTES");
  const bytes = raw === undefined ? input.contents?.bytes_contents[0] : lengthPrefixed(raw);
  if (bytes === undefined) throw wrong("the input 'text_input' has no contents: give one text");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw wrong("the input 'text_input' is no UTF-8: encode its text so");
  }
}

function flagOf(input: KserveInputTensor, raw: Uint8Array | undefined): boolean {
  checkTensor(input, "BOOL");
  const flag = raw === undefined ? input.contents?.bool_contents[0] : raw[0] === 1;
  if (flag === undefined) throw wrong(`the input '${input.name}' has no contents: give one BOOL`);
  return flag;
}

/** Shapes [1] and [1, 1] hold one value. */
function checkTensor({ name, datatype, shape }: KserveInputTensor, wanted: string): void {
  if (datatype !== wanted) throw wrong(`the input '${name}' is ${wanted}, not '${datatype}'`);
  if (shape.length < 1 || shape.length > 2 || shape.some((size) => size !== 1)) {
    throw wrong(`the input '${name}' has the shape [1], not [${shape.join(", ")}]`);
  }
}

/** Raw contents of BYTES: each value has its length before it, 32 bits, little-endian. */
function lengthPrefixed(raw: Uint8Array): Uint8Array | undefined {
  if (raw.length < 4) return undefined;
  const length = new DataView(raw.buffer, raw.byteOffset).getUint32(0, true);
  return raw.length === 4 + length ? raw.subarray(4) : undefined;
}

const wrong = (message: string) =>
  new GrpcFailure("invalid_argument", `${message[0]?.toUpperCase()}${message.slice(1)}.`);
