/** KServe over gRPC with a client of `@grpc/grpc-js`; `bun run e2e:python` has Triton's own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { codecs } from "../../../proto/index.ts";
import { type Cluster, runCluster, startCluster, until } from "../../support/cluster.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-kserve-"));
const freePort = (): number => {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
};
const port = freePort();
const flags = ["--engine", "mocker", "--speedup-ratio", "1", "--kserve-grpc-port", `${port}`];

type Codec = {
  encode(message: never): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
};
const method = (name: string, ask: Codec, answer: Codec, streams = false) => ({
  path: `/inference.GRPCInferenceService/${name}`,
  ...{ requestStream: streams, responseStream: streams },
  requestSerialize: (message: unknown) => Buffer.from(ask.encode(message as never).finish()),
  requestDeserialize: (bytes: Buffer) => ask.decode(bytes),
  responseSerialize: (message: unknown) => Buffer.from(answer.encode(message as never).finish()),
  responseDeserialize: (bytes: Buffer) => answer.decode(bytes),
});
const service = {
  ServerReady: method("ServerReady", codecs.KserveModelRef, codecs.KserveServerReady),
  ModelReady: method("ModelReady", codecs.KserveModelRef, codecs.KserveModelReady),
  ModelMetadata: method("ModelMetadata", codecs.KserveModelRef, codecs.KserveModelMetadata),
  ModelInfer: method("ModelInfer", codecs.KserveInferRequest, codecs.KserveInferResponse),
  ModelStreamInfer: method(
    ...([
      "ModelStreamInfer",
      codecs.KserveInferRequest,
      codecs.KserveStreamResponse,
      true,
    ] as const),
  ),
};

let cluster: Cluster;
let client: grpc.Client &
  Record<string, (...args: unknown[]) => grpc.ClientDuplexStream<object, object>>;
beforeAll(async () => {
  const keys = join(folder, "keys.yaml");
  writeFileSync(
    keys,
    "keys:\n  - { name: a, key: sk-a }\n  - { name: b, key: sk-b, requests_per_minute: 1 }\n",
  );
  cluster = await startCluster([...flags, "--api-key-file", keys]);
  const Client = grpc.makeGenericClientConstructor(service, "inference.GRPCInferenceService");
  client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure()) as never;
}, 60_000);
afterAll(async () => {
  client.close();
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const metadata = (key: string | undefined) => {
  const given = new grpc.Metadata();
  if (key !== undefined) given.set("authorization", `Bearer ${key}`);
  return given;
};
const text = (prompt: string) => ({
  ...{ name: "text_input", datatype: "BYTES", shape: [1], parameters: [] },
  contents: { bool_contents: [], bytes_contents: [Buffer.from(prompt)] },
});
const streaming = {
  ...{ name: "streaming", datatype: "BOOL", shape: [1], parameters: [] },
  contents: { bool_contents: [true], bytes_contents: [] },
};
const ask = (tokens: number, more: object = {}) => ({
  ...{ model_name: "troupe-tiny", model_version: "", id: "7", outputs: [] },
  ...{ inputs: [text("Hello")], raw_input_contents: [] },
  parameters: [{ key: "max_tokens", value: { int64_param: tokens } }],
  ...more,
});

type Infer = {
  outputs: { name: string; contents: { bytes_contents: Uint8Array[] } }[];
  id: string;
};
const valuesOf = ({ outputs }: Infer) =>
  outputs.map(({ contents }) =>
    contents.bytes_contents.map((bytes) => Buffer.from(bytes).toString()),
  );

const call = (name: string, message: object, key?: string, options: object = {}) =>
  new Promise<{ error?: grpc.ServiceError; value?: object }>((resolve) => {
    const done = (error: grpc.ServiceError | null, value?: object) =>
      resolve(error === null ? { value: value ?? {} } : { error });
    client[name]!(message, metadata(key), options, done);
  });

test("it is ready, knows its model, and answers", async () => {
  expect(await call("ServerReady", {})).toEqual({ value: { ready: true } });
  const name = { name: "troupe-tiny", version: "" };
  expect(await call("ModelReady", name, "sk-a")).toEqual({ value: { ready: true } });
  const { value } = await call("ModelMetadata", name, "sk-a");
  expect(value).toMatchObject({ inputs: [{ name: "text_input" }, { name: "streaming" }] });
  const answer = (await call("ModelInfer", ask(3), "sk-a")).value as Infer;
  expect(answer.id).toBe("7");
  expect(valuesOf(answer)[1]).toEqual(["length"]);
  expect(valuesOf(answer)[0]?.[0]?.length).toBeGreaterThan(0);
});

test("errors are statuses of gRPC, with what a client may do", async () => {
  const { code } = (await call("ModelInfer", ask(3))).error!;
  expect(code).toBe(grpc.status.UNAUTHENTICATED);
  const codeOf = async (message: object, key = "sk-a", options = {}) =>
    (await call("ModelInfer", message, key, options)).error?.code;
  expect(await codeOf(ask(3, { model_name: "nobody" }))).toBe(grpc.status.NOT_FOUND);
  expect(await codeOf(ask(3, { inputs: [] }))).toBe(grpc.status.INVALID_ARGUMENT);
  expect(await codeOf(ask(-3))).toBe(grpc.status.INVALID_ARGUMENT);
  expect(await codeOf(ask(3), "sk-b")).toBeUndefined();
  const { error } = await call("ModelInfer", ask(3), "sk-b");
  expect(error?.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  expect(Number(error?.metadata.get("retry-after")[0])).toBeGreaterThan(0);
});

const liveAnswers = async () => {
  const page = await (await fetch(`${cluster.url}/metrics`)).text();
  return Number(/^dynamo_frontend_inflight_requests\{.*\} (\d+)$/m.exec(page)?.[1] ?? -1);
};

test("a stream answers its requests in turn; an error of one is told in its place", async () => {
  const stream = client["ModelStreamInfer"]!(metadata("sk-a"));
  const got: { error_message: string; infer_response?: Infer }[] = [];
  stream.on("data", (message) => got.push(message));
  const ended = new Promise((resolve) => stream.on("status", resolve));
  stream.write(ask(4, { inputs: [text("Hello"), streaming], id: "one" }));
  stream.write(ask(4, { model_name: "nobody", id: "two" }));
  stream.write(ask(4, { id: "three" }));
  stream.end();
  expect(await ended).toMatchObject({ code: grpc.status.OK });
  const ids = got.map(({ infer_response }) => infer_response?.id ?? "error");
  expect(ids.filter((id) => id === "one").length).toBeGreaterThan(3);
  expect(ids.slice(ids.lastIndexOf("one") + 1)).toEqual(["error", "three"]);
  const last = got[ids.lastIndexOf("one")]!.infer_response!;
  expect(valuesOf(last)[1]).toEqual(["length"]);
});

test("who cancels or has no more time ends the work", async () => {
  const late = await call("ModelInfer", ask(4_000), "sk-a", { deadline: Date.now() + 300 });
  expect(late.error?.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  await until("its answer's end", 5_000, async () => (await liveAnswers()) === 0);
  const stream = client["ModelStreamInfer"]!(metadata("sk-a"));
  const ended = new Promise((resolve) => stream.on("status", resolve));
  stream.on("error", () => {});
  stream.once("data", () => stream.cancel());
  stream.write(ask(4_000, { inputs: [text("Hello"), streaming] }));
  expect(await ended).toMatchObject({ code: grpc.status.CANCELLED });
  await until("its answer's end", 5_000, async () => (await liveAnswers()) === 0);
});

test("a port that is taken stops the start with one line", async () => {
  const { code, stderr } = await runCluster([...flags, "--port", "0", "--inspector-port", "0"]);
  expect(code).toBe(2);
  expect(stderr.trim().split("\n").at(-1)).toContain(`--kserve-grpc-port ${port}: `);
}, 30_000);
