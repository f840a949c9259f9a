/**
 * Answers to random schemas are valid for them. `bun run bench constrain --schemas N` draws more
 * of them, from another seed.
 */
import { expect, test } from "bun:test";
import type { Engine } from "../../actors/engine/engine.ts";
import { openLlama } from "../../actors/engine/llama/llama.ts";
import { EngineDriver } from "../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../support/engine/engine-model.ts";
import { type GrammarParts, grammarParts } from "../support/engine/grammar-parts.ts";
import { mockerWithGrammars } from "../support/engine/mocker-with-grammars.ts";
import { answerSchemas } from "../support/engine/random-schemas.ts";

const SCHEMAS = 40;

const OPEN: Readonly<Record<string, (grammar: GrammarParts) => Promise<Engine>>> = {
  llama: (grammar) => {
    return openLlama({ model: TEST_MODEL, context_length: 512, kv_tokens: 8_192, grammar });
  },
  mocker: async (parts) => mockerWithGrammars(parts),
};

test.each(Object.keys(OPEN))(
  "answers of %s to random schemas are valid",
  async (name) => {
    const parts = { ...grammarParts(TEST_MODEL), stage_ms: 4_000 };
    const engine = await OPEN[name]!(parts);
    const { tokenizer } = parts;
    const driver = new EngineDriver(engine);
    const outcome = await answerSchemas({ engine, driver, tokenizer }, SCHEMAS, 20_261);
    await engine.close();
    expect(outcome.wrong).toEqual([]);
    expect(outcome.refused).toEqual([]);
    expect(outcome.stopped).toBeGreaterThan(SCHEMAS * 0.7);
  },
  30_000,
);
