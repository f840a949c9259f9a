/**
 * `bun run bench kv-types`: what the numbers of the KV cache cost and save. Perplexity is of the
 * bundled text (what the tiny model's facts say), in parts of 1,024 tokens of which the second half
 * counts, each token by each type: so the difference has an error of its own. Speed is of 4 streams
 * behind 1,024 tokens each, the types in turn.
 *
 *   TROUPE_BENCH_MODEL=path or source   TROUPE_BENCH_ROUNDS=3 (of speed; 0: perplexity alone)
 */
import { readFileSync } from "node:fs";
import { type LlamaEngine, openLlama } from "../../../actors/engine/llama/llama.ts";
import { EngineDriver, request } from "../../support/engine/engine-driver.ts";
import { grammarParts } from "../../support/engine/grammar-parts.ts";
import type { Report } from "../bench.ts";
import { median, rounded } from "../statistics.ts";
import { default_source, modelPath } from "./engine.ts";

const TYPES = ["f16", "q8_0", "q4_0"] as const;
type KvType = (typeof TYPES)[number];
const TEXT = `${import.meta.dir}/../../../deploy/models/tiny/training/facts.txt`;
const PART = 1_024;
const STREAMS = 4;
const DEPTH = 1_024;
const TOKENS = 32;
const ROUNDS = Number(process.env["TROUPE_BENCH_ROUNDS"] ?? 3);

export async function benchKvTypes(report: Report): Promise<void> {
  const model = await modelPath(process.env["TROUPE_BENCH_MODEL"] ?? default_source);
  const { tokenizer } = grammarParts(model);
  const text = saidIn(readFileSync(TEXT, "utf8"));
  const ids = [...tokenizer.encode(text, { add_special: true, parse_special: false })];
  const engines = new Map<KvType, LlamaEngine>();
  const losses = new Map<KvType, readonly number[]>();
  for (const kv_type of TYPES) {
    // Blocks in the cache would have been computed by the answer before.
    const sizes = { context_length: 2_048, kv_tokens: 8_192, prefix_cache: false };
    const engine = await openLlama({ model, kv_type, ...sizes });
    engines.set(kv_type, engine);
    losses.set(kv_type, await lossesOf(engine, ids));
  }
  const rates = new Map<KvType, number[]>(TYPES.map((type) => [type, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [type, engine] of engines) rates.get(type)!.push(await rate(engine, ids));
  }
  const whole = losses.get("f16")!;
  for (const type of TYPES) {
    const own = losses.get(type)!;
    const added = own.map((loss, i) => loss - whole[i]!);
    const ratios = rates.get(type)!.map((value, i) => value / rates.get("f16")![i]!);
    report({
      case: type,
      bytes_of_f16: { f16: 1, q8_0: 34 / 64, q4_0: 18 / 64 }[type],
      tokens: own.length,
      perplexity: rounded(Math.exp(mean(own)), 3),
      perplexity_ratio: rounded(Math.exp(mean(added)), 4),
      ratio_error: rounded(Math.exp(mean(added)) * errorOfMean(added), 4),
      ...(ROUNDS === 0
        ? {}
        : {
            tokens_per_s: rounded(median(rates.get(type)!), 1),
            speed_ratio: rounded(median(ratios), 3),
          }),
    });
  }
  for (const engine of engines.values()) await engine.close();
}

/** Sentences alone: without the questions and the marks of the file. */
const saidIn = (facts: string): string =>
  [...facts.matchAll(/^(?:say|more): (.*)$/gm)].map(([, said]) => said).join("\n");

/** −ln of the probability of each token that counts. */
async function lossesOf(engine: LlamaEngine, ids: readonly number[]): Promise<readonly number[]> {
  const driver = new EngineDriver(engine);
  const losses: number[] = [];
  for (let from = 0; from + PART <= ids.length; from += PART) {
    const wanted = { logprobs: 0, scores_from: PART / 2 };
    const tokens = ids.slice(from, from + PART);
    const [answer] = await driver.run([request(++handle, tokens, 0, wanted)]);
    for (const { logprob } of answer!.scores) losses.push(-logprob);
  }
  return losses;
}

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Standard error, as if tokens were independent of each other. */
function errorOfMean(values: readonly number[]): number {
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}

let handle = 0;

/** Tokens a second of all streams, from the moment that each has begun. */
async function rate(engine: LlamaEngine, ids: readonly number[]): Promise<number> {
  const driver = new EngineDriver(engine);
  const asked = Array.from({ length: STREAMS }, (_, i) => {
    const tokens = Array.from({ length: DEPTH }, (_none, at) => ids[(i * 97 + at) % ids.length]!);
    return request(++handle, tokens, TOKENS);
  });
  const answers = asked.map((each) => driver.answer(each.handle));
  for (const each of asked) engine.submit(each);
  await driver.until(() => answers.every(({ tokens }) => tokens.length > 0));
  const made = () => answers.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const [before, began_ms] = [made(), performance.now()];
  await driver.until(() => answers.every(({ finished }) => finished !== undefined));
  return ((made() - before) / (performance.now() - began_ms)) * 1_000;
}
