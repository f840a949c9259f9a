import { expect, test } from "bun:test";
import { inferResponse } from "../../../../actors/frontend/grpc/kserve-answer.ts";
import { inferRequest } from "../../../../actors/frontend/grpc/kserve-request.ts";
import { codecs, type KserveInferRequest, type KserveParameter } from "../../../../proto/index.ts";
import { GrpcFailure } from "../../../../runtime/grpc.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const raw = (text: string) => Uint8Array.of(bytes(text).length, 0, 0, 0, ...bytes(text));
const input = (name: string, datatype: string, more: object = {}) => ({
  ...{ name, datatype, shape: [1], parameters: [] },
  contents: { bool_contents: [], bytes_contents: [] },
  ...more,
});
const text = input("text_input", "BYTES", {
  contents: { bool_contents: [], bytes_contents: [bytes("Hi")] },
});
const streams = input("streaming", "BOOL", {
  contents: { bool_contents: [true], bytes_contents: [] },
});
const request = (more: Partial<KserveInferRequest> = {}): KserveInferRequest => ({
  ...{ model_name: "toy", model_version: "", id: "7", parameters: [], inputs: [text] },
  ...{ outputs: [], raw_input_contents: [] },
  ...more,
});
const parameter = (key: string, value: KserveParameter) => ({ key, value });

test("inputs and parameters become the fields of a completion", () => {
  const parameters = [
    parameter("max_tokens", { int64_param: 4 }),
    parameter("temperature", { double_param: 0.5 }),
    parameter("stop", { string_param: '["a","b"]' }),
    parameter("user", { string_param: "me" }),
    parameter("echo", { bool_param: true }),
    parameter("triton_enable_empty_final_response", { bool_param: true }),
  ];
  expect(inferRequest(request({ parameters, inputs: [text, streams] }))).toEqual({
    ...{ model: "toy", id: "7", stream: true, raw: false },
    body: {
      ...{ model: "toy", prompt: "Hi", stream: true, max_tokens: 4, temperature: 0.5 },
      ...{ stop: ["a", "b"], user: "me", echo: true },
    },
  });
  const inputs = [input("stream", "BOOL"), input("text_input", "BYTES", { shape: [1, 1] })];
  const contents = { raw_input_contents: [Uint8Array.of(0), raw("Hé")] };
  expect(inferRequest(request({ inputs, ...contents }))).toMatchObject({
    ...{ stream: false, raw: true, body: { prompt: "Hé" } },
  });
});

const wrong: readonly (readonly [Partial<KserveInferRequest>, string])[] = [
  [{ inputs: [] }, "'text_input' is missing"],
  [{ inputs: [text, input("image", "BYTES")] }, "no input 'image'"],
  [{ inputs: [input("text_input", "FP32")] }, "'text_input' is BYTES, not 'FP32'"],
  [{ inputs: [{ ...text, shape: [2] }] }, "shape [1], not [2]"],
  [{ inputs: [input("text_input", "BYTES")] }, "has no contents"],
  [{ raw_input_contents: [Uint8Array.of(9, 0, 0, 0, 1)] }, "has no contents"],
  [{ inputs: [text, text] }, "'text_input' comes twice"],
  [
    {
      inputs: [
        { ...text, contents: { bool_contents: [], bytes_contents: [Uint8Array.of(0xff, 0xfe)] } },
      ],
    },
    "'text_input' is no UTF-8",
  ],
  [{ parameters: [parameter("top_p", { double_param: Number.NaN })] }, "'top_p' is NaN"],
  [
    { parameters: [parameter("stop", { string_param: "[".repeat(3_000_000) })] },
    "'stop' holds too much",
  ],
  [{ parameters: [parameter("prompt", { string_param: "x" })] }, "'prompt' is said by the request"],
];

test("no name of a parameter is lost", () => {
  const { body } = inferRequest(
    request({ parameters: [parameter("__proto__", { string_param: "x" })] }),
  );
  expect(JSON.stringify(body)).toContain('"__proto__":"x"');
});

test.each(wrong.map(([more, says]) => [says, more] as const))(
  "%s: an invalid argument that names it",
  (says, more) => {
    const thrown = () => inferRequest(request(more));
    expect(thrown).toThrow(GrpcFailure);
    expect(thrown).toThrow(says);
  },
);

test("a completion becomes text_output and finish_reason, as contents or raw", () => {
  const choices = [
    { text: "a", finish_reason: null },
    { text: "bc", finish_reason: "stop" },
  ];
  const asked = inferRequest(request());
  const plain = inferResponse(asked, { model: "toy", choices });
  expect(plain).toMatchObject({ model_name: "toy", model_version: "1", id: "7" });
  expect(plain.outputs.map(({ name, shape }) => [name, shape])).toEqual([
    ["text_output", [2]],
    ["finish_reason", [1]],
  ]);
  expect(plain.outputs[0]?.contents?.bytes_contents).toEqual([bytes("a"), bytes("bc")]);
  const { raw_output_contents } = inferResponse({ ...asked, raw: true }, { choices });
  expect([...raw_output_contents[0]!]).toEqual([1, 0, 0, 0, 97, 2, 0, 0, 0, 98, 99]);
  expect([...raw_output_contents[1]!]).toEqual([...raw("stop")]);
});

test("numbers beyond 31 bits, a negative size: as the wire has them", () => {
  const { KserveTensorMetadata } = codecs;
  const tensor = { name: "t", datatype: "BYTES", shape: [-1] };
  const sent = KserveTensorMetadata.encode(tensor).finish();
  // An int64 of -1 has ten bytes, and so has an int32.
  expect(sent.length).toBe(2 + 1 + 2 + 5 + 2 + 10);
  expect(KserveTensorMetadata.decode(sent).shape).toEqual([-1]);
});
