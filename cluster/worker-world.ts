/** The parts of a worker's tree: its engine, its model card, its place in the registry. */

import type { EngineDescription } from "../actors/engine/engine.ts";
import { engineKind } from "../actors/engine/engines.ts";
import { FaultyEngine } from "../actors/fault/fault.ts";
import { type MapSegment, nativeMapper } from "../actors/kv/kv.ts";
import {
  type CheckedModel,
  checkOwnTemplate,
  ModelError,
  modelSum,
  readFacts,
  resolveModel,
  resolveTokenizer,
} from "../actors/model/model.ts";
import {
  SharedParts,
  type TierOptions,
  type WorkerModel,
  type WorkerOptions,
} from "../actors/worker/worker.ts";
import {
  type ModelFacts,
  templateFromBlob,
  tokenFinder,
  tokenizerFromBlob,
  withTemplate,
} from "../llm/model/model-card.ts";
import { builtInTemplate, standFor, standText } from "../llm/template/built-in-templates.ts";
import type { Tokenizer } from "../llm/tokens/tokenizer.ts";
import type { AdapterMessage, ModelCapabilities, ModelHeads, Progress } from "../proto/index.ts";
import type { Files, Log } from "../runtime/capabilities.ts";
import type { Ref } from "../runtime/kernel/ref.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import { refOf } from "../runtime/remote/node.ts";
import { wellKnownRef } from "../runtime/remote/wire.ts";
import { rootPaths } from "../supervisors/paths.ts";
import type { WorkerBoot } from "./boot.ts";
import { type Discovery, keys, workerRecordBytes } from "./discovery.ts";
import type { RoleParts } from "./roles/role.ts";
import { canaryBudget_ms, startTimes, weightBytes } from "./start-budget.ts";

const CANARY_TEXT = "Hello";
const CANARY_TOKENS = 3;

/** The prompt that a worker's engine answers before it is ready. Throws ModelError. */
export function canaryPrompt(tokenizer: Pick<Tokenizer, "encode">, model: string): Uint32Array {
  const prompt = tokenizer.encode(CANARY_TEXT, { add_special: true, parse_special: false });
  if (prompt.length > 0) return prompt;
  throw new ModelError(
    "model_unsupported",
    `${model}: its vocabulary cannot write "${CANARY_TEXT}", as it has tokens neither for these ` +
      "letters, nor for single bytes, nor for what it does not know: give another model",
  );
}

function slowText(model: string, why: string): string {
  const advice = "long prompts take several times as long; a GGUF of the model has a fast one";
  return `${model} is tokenized by @huggingface/tokenizers, since its ${why}: ${advice}`;
}

type WorkerParts = Pick<
  RoleParts,
  "system" | "discovery" | "line" | "env" | "faults" | "block_memory" | "freeMemory"
>;

/** Reads the model's header; rejects with one line that says what is wrong with it. */
export async function workerWorld(
  boot: WorkerBoot,
  { system, discovery, line, env, faults, block_memory, freeMemory }: WorkerParts,
): Promise<WorkerOptions[]> {
  const { clock, files, log, net, spawn, threads } = system.capabilities;
  const world = { clock, files, net, spawn, env, cache_dir: boot.cache_folder };
  const kind = engineKind(boot.engine.name);
  const resolve = kind.reads_weights ? resolveModel : resolveTokenizer;
  const resolved = await resolve(world, boot.model_path);
  if (resolved.kind === "refused") throw resolved.error;
  const own = await readFacts(world, resolved.model, boot.model_name);
  const given = await givenTemplate(boot, files);
  const facts = given === undefined ? own : withTemplate(own, given);
  if (given === undefined) await checkOwnTemplate(world, resolved.model, own);
  const tokenizer = tokenizerFromBlob(facts.blobs.get(facts.tokenizer_blob) ?? new Uint8Array(0));
  if (boot.first) warnOf(facts, tokenizer, boot.model_name, log);
  const prompt = canaryPrompt(tokenizer, boot.model_name);
  const weight_bytes = kind.reads_weights ? weightBytes(resolved.model) : 0;
  const { model_path, draft_path, sharers, cache_folder, assets_folder, engine: settings } = boot;
  const open = kind.opener(settings.own, {
    ...{ settings: settings.common, model_path, facts, tokenizer, clock, files },
    ...{ sharers, cache_folder, assets_folder, threads, draft_path, freeMemory, fit: boot.fit },
    warn: (text) => log.log("warn", text),
    memory: block_memory && ((address, bytes) => block_memory.view(address, bytes)),
  });
  const count = boot.workers.length;
  const map = boot.tiers ? (block_memory?.map ?? (await nativeMapper(boot))) : undefined;
  const tiers = map ? { tiers: tiersOf(boot, system, discovery, resolved.model, map) } : {};
  const shared = count > 1 ? { shared: new SharedParts(clock, count) } : {};
  const timed = kind.reads_weights ? boot.workers : [];
  const times = new Map(
    timed.map((name) => [name, startTimes(name, weight_bytes, () => clock.now_ms())]),
  );
  return boot.workers.map((worker) => ({
    worker,
    role: boot.worker_role,
    ...shared,
    ...tiers,
    labels: boot.labels[worker] ?? [],
    taints: boot.taints[worker] ?? [],
    keep: boot.keep,
    open: async (progress) => {
      const engine = await open(progress);
      return faults === undefined ? engine : new FaultyEngine(engine, faults);
    },
    describe: async (description) => {
      const { build, memory } = description;
      if (memory !== undefined) {
        // What was chosen for this machine; flags may choose another.
        log.log("info", `${worker} runs on ${build}`);
        log.log("info", `${worker} holds ${boot.model_name}: ${memory}`);
      }
      return modelOf(boot, facts, description, clock.wall_ms());
    },
    canary: {
      prompt,
      max_tokens: CANARY_TOKENS,
      deadline_ms: canaryBudget_ms(weight_bytes),
    },
    registry: {
      register: async (record) => {
        if (record.ref === undefined) throw new Error("a worker's record names its actor");
        const owner = refOf(system, record.ref);
        await discovery.register(keys.worker(record.worker), workerRecordBytes(record), owner);
      },
      deregister: async (worker) => discovery.deregister(keys.worker(worker)),
    },
    // The keeper at that path now, so that a restarted one is found again.
    adapters: () =>
      refOf<AdapterMessage>(
        system,
        wellKnownRef(boot.root_node, rootPaths.adapters, boot.registry_address),
      ),
    // Only the first worker reports: thousands of workers would say the same.
    progress: (progress) => {
      const took = times.get(worker)?.(progress.stage);
      if (took !== undefined) log.log("info", took);
      if (worker !== boot.workers[0]) return;
      (line.ref as Ref<Progress>).tell({ kind: "progress", ...progress });
    },
  }));
}

/** Of what a model lacks, once for all of its workers. */
function warnOf(facts: ModelFacts, tokenizer: Tokenizer, model: string, log: Log): void {
  if (facts.slow_tokenizer !== undefined) {
    log.log("warn", slowText(model, `tokenizer.json asks for ${facts.slow_tokenizer}`));
  }
  if (facts.template_blob !== "") return;
  const stand = standFor(tokenFinder(tokenizer));
  log.log("warn", standText(model, stand), { template: stand.template.name });
}

/** How a worker finds the keeper of its machine's blocks. */
function tiersOf(
  boot: WorkerBoot,
  { capabilities: { files, spawn } }: ActorSystem,
  discovery: Discovery,
  model: CheckedModel,
  map: MapSegment,
): TierOptions {
  const { engine, model_name, cache_folder, workers, root_node } = boot;
  const kind = engineKind(engine.name);
  const { reads_weights } = kind;
  const world = { files, spawn, cache_dir: cache_folder };
  return {
    keeper: () => discovery.kvKeeper(root_node),
    map,
    identity: async () => ({
      model: reads_weights ? await modelSum(world, model.path) : model_name,
      engine: engine.name,
      ...(kind.blockFormat?.(engine.own) ?? NO_FORMAT),
    }),
    pid: workers.length > 1 ? 0 : spawn.pid,
  };
}

const NO_FORMAT = { library: "", cache_type: "" };

/** The text of the template that replaces the model's own. */
async function givenTemplate(boot: WorkerBoot, files: Files): Promise<string | undefined> {
  const { file, name } = boot.chat_template ?? {};
  if (file !== undefined) return templateFromBlob(await files.read(file));
  return name === undefined ? undefined : builtInTemplate(name)?.source;
}

/** Of these architectures llama.cpp gives the softmax of what the head says. */
const SOFTMAXED = /^qwen3(vl)?$/;

function headsOf(facts: ModelFacts, description: EngineDescription): ModelHeads {
  const { labels, rerank_template, separates_pairs, architecture } = facts;
  const { class_count: classes, capabilities } = description;
  return {
    vectors: capabilities.pools.includes("vector"),
    tokens: capabilities.pools.includes("tokens"),
    classes,
    labels: labels.length === classes ? [...labels] : [],
    rerank_template,
    separates_pairs,
    classes_are_probabilities: SOFTMAXED.test(architecture),
    pools_only: !capabilities.generates,
  };
}

function wireCapabilities({ capabilities }: EngineDescription): ModelCapabilities {
  const { constrains, adapters, salts } = capabilities;
  return { constrains, adapters, salts };
}

function modelOf(
  boot: WorkerBoot,
  facts: ModelFacts,
  description: EngineDescription,
  wall_ms: number,
): WorkerModel {
  return {
    card: {
      name: boot.model_name,
      architecture: facts.architecture,
      engine: description.engine,
      context_length: description.context_length,
      block_size: description.block_size,
      total_blocks: description.total_blocks,
      max_num_seqs: description.max_num_seqs,
      max_num_batched_tokens: description.max_num_batched_tokens,
      embedding_size: description.embedding_size,
      vocab_size: description.vocab_size,
      tokenizer_blob: facts.tokenizer_blob,
      template_blob: facts.template_blob,
      defaults_blob: facts.defaults_blob,
      created_s: Math.floor(wall_ms / 1000),
      build: description.build,
      heads: headsOf(facts, description),
      capabilities: wireCapabilities(description),
    },
    blobs: facts.blobs,
  };
}
