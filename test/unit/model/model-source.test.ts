import { afterEach, expect, test } from "bun:test";
import { type ModelErrorCode, resolveModel } from "../../../actors/model/model.ts";
import { parseModelSource } from "../../../actors/model/model-source.ts";
import { chooseQuant, type HubFile } from "../../../actors/model/quant-choice.ts";
import { writeGguf } from "../../support/engine/gguf-writer.ts";
import { type HubOptions, type HubStandIn, startHub } from "../../support/engine/hub-stand-in.ts";
import { makeWorld, type TestWorld } from "../../support/engine/model-world.ts";

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const entry of open.splice(0)) await entry.stop();
});

/** A model file of about `size` bytes; `seed` makes its weights different. */
function modelFile(size: number, seed = 1): Uint8Array {
  const data = new Uint8Array(size - (size % 32));
  for (let i = 0; i < data.length; i++) data[i] = (i * 31 + seed) & 0xff;
  const tensor = { name: "weights", shape: [data.length], type: 24, data };
  return writeGguf({ "general.architecture": { type: "string", value: "llama" } }, [tensor]);
}

const REPO = "org/Some-Model-GGUF";
const MODEL = modelFile(3_000_000);
const FILES = [
  { path: "README.md", bytes: new TextEncoder().encode("# hi") },
  { path: "some-model-Q4_K_M.gguf", bytes: MODEL },
  { path: "some-model-Q8_0.gguf", bytes: modelFile(100_000, 7) },
  { path: "mmproj-some-model-F16.gguf", bytes: modelFile(1_000) },
];

type Setup = { readonly hub: HubStandIn; readonly test: TestWorld };

async function setUp(
  options: Partial<HubOptions> = {},
  env: Record<string, string> = {},
): Promise<Setup> {
  const hub = startHub({ repo: REPO, files: FILES, ...options });
  const made = await makeWorld({ HF_ENDPOINT: hub.url, ...env });
  open.push(hub, { stop: made.remove });
  return { hub, test: made };
}

async function refusal(setup: Setup, source: string): Promise<[ModelErrorCode, string]> {
  const result = await resolveModel(setup.test.world, source);
  if (result.kind !== "refused") throw new Error("a model came instead of a refusal");
  expect(result.error.message).not.toContain("\n");
  return [result.error.code, result.error.message];
}

async function bytesOf(setup: Setup, source: string): Promise<Uint8Array> {
  const result = await resolveModel(setup.test.world, source);
  if (result.kind === "refused") throw result.error;
  expect(result.model.header.metadata.get("general.architecture")).toBe("llama");
  return new Uint8Array(await Bun.file(result.model.path).arrayBuffer());
}

test("the best known quantization comes through the redirect, with progress", async () => {
  const setup = await setUp();
  expect(await bytesOf(setup, `hf:${REPO}`)).toEqual(MODEL);
  expect(setup.hub.requests).toContain("cdn GET /some-model-Q4_K_M.gguf");
  const last = setup.test.progress.at(-1);
  expect(last).toMatchObject({ received_bytes: MODEL.length, total_bytes: MODEL.length });
  expect(last?.bytes_per_s).toBeGreaterThan(0);
});

test("a cached model needs no network", async () => {
  const setup = await setUp();
  await bytesOf(setup, `hf:${REPO}:q8_0`);
  await setup.hub.stop();
  const asked = setup.hub.requests.length;
  expect(await bytesOf(setup, `hf:${REPO}:Q8_0`)).toEqual(FILES[2]!.bytes);
  expect(setup.hub.requests.length).toBe(asked);
});

test("a download that is cut goes on where it stopped", async () => {
  const setup = await setUp();
  Object.assign(setup.hub.faults, { cut_after_bytes: 1_200_000, cuts: 2 });
  expect(await bytesOf(setup, `hf:${REPO}`)).toEqual(MODEL);
  const ranges = setup.hub.requests.filter(
    (line) => line.includes("cdn") && line.includes("range="),
  );
  expect(ranges.length).toBe(2);
});

test("a later run goes on with what an earlier one left", async () => {
  const setup = await setUp();
  const left = MODEL.slice(0, 2_000_000);
  const part = `${setup.test.folder}/hub/org--Some-Model-GGUF/some-model-Q4_K_M.gguf.part`;
  await Bun.write(part, left);
  expect(await bytesOf(setup, `hf:${REPO}`)).toEqual(MODEL);
  const ranges = setup.hub.requests.filter((line) => line.startsWith("cdn"));
  expect(ranges).toEqual(["cdn GET /some-model-Q4_K_M.gguf range=bytes=2000000-"]);
});

test("a server without ranges starts over", async () => {
  const setup = await setUp();
  Object.assign(setup.hub.faults, { cut_after_bytes: 500_000, cuts: 1, no_ranges: true });
  expect(await bytesOf(setup, `hf:${REPO}`)).toEqual(MODEL);
});

test("a left-over that is not of this file fails the checksum and is thrown away", async () => {
  const setup = await setUp();
  const part = `${setup.test.folder}/hub/org--Some-Model-GGUF/some-model-Q4_K_M.gguf.part`;
  await Bun.write(part, new Uint8Array(2_000_000));
  const [code, message] = await refusal(setup, `hf:${REPO}`);
  expect(code).toBe("model_checksum");
  expect(message).toContain("run again");
  expect(await bytesOf(setup, `hf:${REPO}`)).toEqual(MODEL);
});

test("a wrong checksum on the hub is refused and leaves no model", async () => {
  const files = [{ path: "m-Q4_K_M.gguf", bytes: MODEL, sha256: "0".repeat(64) }];
  const setup = await setUp({ files });
  expect((await refusal(setup, `hf:${REPO}`))[0]).toBe("model_checksum");
  const glob = [...new Bun.Glob("**/*.gguf*").scanSync(setup.test.folder)];
  expect(glob).toEqual([]);
});

test("a busy server is asked again", async () => {
  const setup = await setUp();
  Object.assign(setup.hub.faults, { status: 503, status_times: 2 });
  expect(await bytesOf(setup, `hf:${REPO}:Q8_0`)).toEqual(FILES[2]!.bytes);
});

test("all parts of a split model come, the first is opened", async () => {
  const first = modelFile(50_000, 1);
  const second = modelFile(60_000, 2);
  const files = [
    { path: "Q4_K_M/big-Q4_K_M-00002-of-00002.gguf", bytes: second },
    { path: "Q4_K_M/big-Q4_K_M-00001-of-00002.gguf", bytes: first },
  ];
  const setup = await setUp({ files });
  expect(await bytesOf(setup, `hf:${REPO}:Q4_K_M`)).toEqual(first);
  const folder = `${setup.test.folder}/hub/org--Some-Model-GGUF/Q4_K_M`;
  const other = await Bun.file(`${folder}/big-Q4_K_M-00002-of-00002.gguf`).bytes();
  expect(Buffer.compare(other, second)).toBe(0);
});

test("a split model that lacks a part is refused", async () => {
  const files = [{ path: "big-Q4_K_M-00001-of-00002.gguf", bytes: MODEL }];
  const [code, message] = await refusal(await setUp({ files }), `hf:${REPO}`);
  expect(code).toBe("model_not_found");
  expect(message).toContain("lacks parts");
});

test("a private repository: clear words without a token, a model with it", async () => {
  const setup = await setUp({ token: "hf_secret" });
  const [code, message] = await refusal(setup, `hf:${REPO}`);
  expect(code).toBe("model_unauthorized");
  expect(message).toContain("HF_TOKEN");
  const env = { HF_ENDPOINT: setup.hub.url, HF_TOKEN: "hf_secret" };
  const allowed = await makeWorld(env);
  open.push({ stop: allowed.remove });
  expect(await bytesOf({ hub: setup.hub, test: allowed }, `hf:${REPO}:Q8_0`)).toHaveLength(
    FILES[2]!.bytes.length,
  );
  // The CDN answers 400 to a bearer token, so the token did not follow the redirect.
});

test("an unknown repository and an unknown quantization name what to do", async () => {
  const setup = await setUp();
  expect((await refusal(setup, "hf:org/other"))[0]).toBe("model_not_found");
  const [code, message] = await refusal(setup, `hf:${REPO}:Q3_K_S`);
  expect(code).toBe("model_not_found");
  expect(message).toContain("some-model-Q8_0.gguf");
});

test("no network: one line that names the host", async () => {
  const setup = await setUp({}, { HF_ENDPOINT: "http://127.0.0.1:9" });
  const [code, message] = await refusal(setup, `hf:${REPO}`);
  expect(code).toBe("model_offline");
  expect(message).toContain("127.0.0.1:9");
  const wrong = await setUp({}, { HF_ENDPOINT: "not an address" });
  expect((await refusal(wrong, `hf:${REPO}`))[1]).toContain("HF_ENDPOINT");
});

test("what is no hub is said to be none", async () => {
  const page = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("<html>") });
  open.push({ stop: () => page.stop(true) });
  const setup = await setUp({}, { HF_ENDPOINT: `http://127.0.0.1:${page.port}` });
  const [code, message] = await refusal(setup, `hf:${REPO}`);
  expect(code).toBe("model_server_error");
  expect(message).toContain("HF_ENDPOINT");
});

test("a full disk is seen before the download", async () => {
  const setup = await setUp();
  const files = { ...setup.test.world.files, free_bytes: async () => 1_000_000 };
  const full: TestWorld = { ...setup.test, world: { ...setup.test.world, files } };
  const [code, message] = await refusal({ ...setup, test: full }, `hf:${REPO}`);
  expect(code).toBe("model_disk_full");
  expect(message).toContain("--cache-dir");
});

test("a disk that fills up while writing says the same", async () => {
  const setup = await setUp();
  const append = () => Promise.reject(Object.assign(new Error("no space"), { code: "ENOSPC" }));
  const files = { ...setup.test.world.files, append };
  const full: TestWorld = { ...setup.test, world: { ...setup.test.world, files } };
  expect((await refusal({ ...setup, test: full }, `hf:${REPO}`))[0]).toBe("model_disk_full");
});

test("two at once fetch the file once", async () => {
  const setup = await setUp();
  const [left, right] = await Promise.all([
    resolveModel(setup.test.world, `hf:${REPO}`),
    resolveModel(
      { ...setup.test.world, spawn: { ...setup.test.world.spawn, pid: 1 } },
      `hf:${REPO}`,
    ),
  ]);
  expect([left.kind, right.kind]).toEqual(["model", "model"]);
  expect(setup.hub.requests.filter((line) => line.startsWith("cdn"))).toHaveLength(1);
});

test("a lock that was left behind is taken over, a live one is waited for", async () => {
  const setup = await setUp();
  const lock = `${setup.test.folder}/hub/org--Some-Model-GGUF/.lock`;
  await Bun.write(`${lock}/beat`, "process 1, beat 7");
  const real = setup.test.world.clock;
  // A hundred times as fast, so that 15 s without a beat pass in 0.15 s.
  const clock: typeof real = {
    now_ms: () => 100 * real.now_ms(),
    after: (delay_ms, run) => real.after(delay_ms / 100, run),
    cancel: (timer) => real.cancel(timer),
  };
  let beats = 0;
  const beating = setInterval(() => {
    beats++;
    if (beats < 20) void Bun.write(`${lock}/beat`, `process 1, beat ${beats}`);
    else clearInterval(beating);
  }, 20);
  const fast: TestWorld = { ...setup.test, world: { ...setup.test.world, clock } };
  expect(await bytesOf({ ...setup, test: fast }, `hf:${REPO}:Q8_0`)).toEqual(FILES[2]!.bytes);
  expect(beats).toBeGreaterThanOrEqual(20);
  expect(await Bun.file(`${lock}/beat`).exists()).toBe(false);
});

test("stopping a download ends it at once and keeps what came", async () => {
  const stop = new AbortController();
  const setup = await setUp();
  Object.assign(setup.hub.faults, { cut_after_bytes: 1_500_000, cuts: 1 });
  const world = {
    ...setup.test.world,
    signal: stop.signal,
    onProgress: () => stop.abort(),
  };
  const result = await resolveModel(world, `hf:${REPO}`);
  expect(result.kind === "refused" && result.error.code).toBe("model_cancelled");
  expect(await bytesOf(setup, `hf:${REPO}`)).toEqual(MODEL);
});

test("a path: the file, what is missing, what is no model, what is cut", async () => {
  const setup = await setUp();
  const path = `${setup.test.folder}/model.gguf`;
  await Bun.write(path, MODEL);
  expect(await bytesOf(setup, path)).toEqual(MODEL);
  expect((await refusal(setup, `${path}.not`))[0]).toBe("model_not_found");
  await Bun.write(path, MODEL.slice(0, 2_000_000));
  const [code, message] = await refusal(setup, path);
  expect(code).toBe("model_corrupt");
  expect(message).toContain("cut short");
  await Bun.write(path, "hello, this is text");
  expect((await refusal(setup, path))[0]).toBe("model_unsupported");
  await Bun.write(path, "");
  expect((await refusal(setup, path))[0]).toBe("model_corrupt");
  // Whoever opens it would wait for a writer.
  const pipe = `${setup.test.folder}/pipe.gguf`;
  expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
  expect((await refusal(setup, pipe))[0]).toBe("model_corrupt");
  expect((await refusal(setup, setup.test.folder))[1]).toContain("is a folder");
});

test("sources are read strictly", () => {
  expect(parseModelSource("hf:a/b:Q4_0")).toEqual({ kind: "hub", repo: "a/b", quant: "Q4_0" });
  expect(parseModelSource("pypi:Some_Pack.age==1.0.0")).toEqual({
    kind: "pypi",
    name: "some-pack-age",
    version: "1.0.0",
  });
  expect(parseModelSource("./a:b.gguf")).toEqual({ kind: "path", path: "./a:b.gguf" });
  for (const bad of [
    "",
    "hf:",
    "hf:one",
    "hf:a/b/c",
    "hf:../b",
    "hf:a/b:",
    "pypi:-x",
    "s3://a/b",
  ]) {
    expect(() => parseModelSource(bad)).toThrow();
  }
});

test("quantizations: whole words, any case, the shortest name", () => {
  const names = ["m-IQ4_XS.gguf", "m-Q4_K_M.gguf", "m-Q4_K_M-extra.gguf", "Q8_0/m-q8_0.gguf"];
  const files = names.map((path): HubFile => ({ path, size_bytes: 1, sha256: undefined }));
  const chosen = (quant?: string): string => {
    const choice = chooseQuant(files, quant);
    return choice.kind === "files" ? choice.files[0]!.path : choice.kind;
  };
  expect(chosen()).toBe("m-Q4_K_M.gguf");
  expect(chosen("q4_k_m")).toBe("m-Q4_K_M.gguf");
  expect(chosen("Q8_0")).toBe("Q8_0/m-q8_0.gguf");
  expect(chosen("m-IQ4_XS.gguf")).toBe("m-IQ4_XS.gguf");
  expect(chosen("Q4_K")).toBe("none");
});
