/**
 * `bun run bench constrain [--schemas N]`: what structured answers cost, on the engine without
 * HTTP. Rates are tokens a second of 8 streams from the moment all have begun, free and constrained
 * in turn, once more where both are guessed (`--speculate ngram`); TTFT is from the question for the grammar to the first token.
 *
 * With --schemas N: answers to N random schemas, on the bundled model and the mocker, each checked
 * by ajv.
 */
import type { EngineRefusal, EngineRequest } from "../../../actors/engine/engine.ts";
import { openLlama } from "../../../actors/engine/llama/llama.ts";
import { constraintText } from "../../../llm/constraint/constraint.ts";
import { watchEventLoop } from "../../../runtime/observe/event-loop.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { EngineDriver, GREEDY, request } from "../../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../../support/engine/engine-model.ts";
import { type GrammarParts, grammarParts } from "../../support/engine/grammar-parts.ts";
import { mockerWithGrammars } from "../../support/engine/mocker-with-grammars.ts";
import { answerSchemas } from "../../support/engine/random-schemas.ts";
import type { Report } from "../bench.ts";
import { median, rounded } from "../statistics.ts";
import { default_source, modelPath } from "./engine.ts";

const STREAMS = 8;
const TOKENS = 64;
const ROUNDS = 3;
const NEW_SCHEMAS = 5;

/** A nested schema whose answers have more than TOKENS tokens; `name` makes it a new one. */
function nested(name: string): string {
  const place = {
    type: "object",
    properties: {
      street: { type: "string" },
      zip: { type: "string", pattern: "^[0-9]{5}$" },
      geo: {
        type: "object",
        properties: { lat: { type: "number" }, lon: { type: "number" } },
        required: ["lat", "lon"],
      },
    },
    required: ["street", "zip", "geo"],
  };
  const person = {
    type: "object",
    properties: {
      [name]: { type: "string" },
      age: { type: "integer", minimum: 0, maximum: 150 },
      role: { enum: ["admin", "user", "guest"] },
      places: { type: "array", items: place, minItems: 1, maxItems: 3 },
    },
    required: [name, "age", "role", "places"],
  };
  const json_schema = { type: "array", items: person, minItems: 20 };
  return constraintText({ format: { type: "json_schema", json_schema } });
}

export async function benchConstrain(report: Report): Promise<void> {
  const at = Bun.argv.indexOf("--schemas");
  if (at >= 0) await benchSchemas(report, Number(Bun.argv[at + 1]));
  else await benchCosts(report);
}

async function benchCosts(report: Report): Promise<void> {
  const source = process.env.TROUPE_BENCH_MODEL ?? default_source;
  const model = await modelPath(source);
  const parts = grammarParts(model);
  const engine = await openLlama({
    model,
    context_length: 2_048,
    grammar: parts,
    speculate: "off",
  });
  const driver = new EngineDriver(engine);
  const prompt = [
    ...parts.tokenizer.encode("People as JSON:\n", { add_special: true, parse_special: false }),
  ];
  let handle = 0;
  const asked = (more: Partial<EngineRequest>) => request(++handle, prompt, TOKENS, more);
  const rate = async (of: EngineDriver, streams: number, more: Partial<EngineRequest>) => {
    const requests = Array.from({ length: streams }, (_, choice) => asked({ ...more, choice }));
    const answers = requests.map((r) => of.answer(r.handle));
    for (const r of requests) of.engine.submit(r);
    await of.until(() => answers.every(({ tokens }) => tokens.length > 0));
    const made = () => answers.reduce((sum, { tokens }) => sum + tokens.length, 0);
    const [before, began_ms] = [made(), performance.now()];
    await of.until(() => answers.every(({ finished }) => finished !== undefined));
    return ((made() - before) / (performance.now() - began_ms)) * 1000;
  };
  const compare = async (of: EngineDriver, streams: number, guesses: string) => {
    const rates = { free: [] as number[], constrained: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      // Others than those before: an answer that was given is guessed from its first token on.
      const sampling = { ...GREEDY, temperature: 0.7, top_p: 0.95, seed: BigInt(handle) };
      rates.free.push(await rate(of, streams, { sampling }));
      rates.constrained.push(await rate(of, streams, { sampling, constraint }));
    }
    report({
      case: `${streams} stream(s), ${guesses}`,
      free_per_s: rounded(median(rates.free), 1),
      constrained_per_s: rounded(median(rates.constrained), 1),
      ratio: rounded(median(rates.constrained.map((value, i) => value / rates.free[i]!)), 3),
    });
  };
  const firstToken = async (constraint: string | undefined) => {
    const began_ms = performance.now();
    if (constraint !== undefined) {
      const refusal = await new Promise<EngineRefusal | undefined>((resolve) => {
        engine.prepare!(constraint, resolve);
      });
      if (refusal !== undefined) throw new Error(refusal.message);
    }
    const one = asked(constraint === undefined ? {} : { constraint });
    engine.submit(one);
    await driver.until(() => driver.answer(one.handle).tokens.length > 0);
    const ms = performance.now() - began_ms;
    engine.cancel(one.handle);
    await driver.until(() => driver.answer(one.handle).finished !== undefined);
    return ms;
  };
  const meter = watchEventLoop(realClock());
  const cold_ms = await firstToken(nested("cold"));
  report({ case: "first of a worker", model: source, ttft_ms: rounded(cold_ms, 1) });
  const constraint = nested("name");
  await firstToken(constraint);
  await compare(driver, STREAMS, "not guessed");
  const ttft = { free: [] as number[], known: [] as number[], fresh: [] as number[] };
  for (let round = 0; round < NEW_SCHEMAS; round++) {
    ttft.free.push(await firstToken(undefined));
    ttft.known.push(await firstToken(constraint));
    ttft.fresh.push(await firstToken(nested(`name_${round}`)));
  }
  const free_ms = median(ttft.free);
  report({
    case: "added TTFT",
    free_ms: rounded(free_ms, 2),
    known_schema_ms: rounded(median(ttft.known) - free_ms, 2),
    new_schema_ms: rounded(median(ttft.fresh) - free_ms, 2),
  });
  const guessing = await openLlama({
    ...{ model, context_length: 2_048, grammar: parts, speculate: "ngram" },
  });
  const guessed = new EngineDriver(guessing);
  await rate(guessed, 1, { constraint });
  for (const streams of [1, STREAMS]) await compare(guessed, streams, "guessed");
  await guessing.close();
  report({ case: "event loop", event_loop_block_ms_max: rounded(meter.block_ms_max(), 1) });
  meter.stop();
  await engine.close();
}

async function benchSchemas(report: Report, count: number): Promise<void> {
  const open = {
    llama: (grammar: GrammarParts) => {
      return openLlama({ model: TEST_MODEL, context_length: 512, kv_tokens: 8_192, grammar });
    },
    mocker: async (parts: GrammarParts) => mockerWithGrammars(parts),
  };
  for (const name of ["llama", "mocker"] as const) {
    const parts = { ...grammarParts(TEST_MODEL), stage_ms: 10_000 };
    const engine = await open[name](parts);
    const { tokenizer } = parts;
    const driver = new EngineDriver(engine);
    const seed = Math.floor(Math.random() * 2 ** 31);
    const outcome = await answerSchemas({ engine, driver, tokenizer }, count, seed);
    const { answers, stopped, refused, wrong } = outcome;
    for (const text of [...refused, ...wrong].slice(0, 10)) console.error(text);
    const counts = { answers, stopped, valid: stopped - wrong.length, refused: refused.length };
    report({ case: name, seed, ...counts });
    await engine.close();
  }
}
