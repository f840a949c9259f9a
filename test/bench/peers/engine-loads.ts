/**
 * What engines are asked when they are compared over HTTP. Prompts are token ids, so that both
 * sides compute the same; each begins with a number of its own, so that no cache has it.
 *
 *   plain   one prompt for all, a fixed number of tokens: the step alone
 *   chat    short questions
 *   repeat  summarize, edit code, answer from a text, JSON by a schema: answers repeat the prompt
 */
import { type GrammarParts, grammarParts } from "../../support/engine/grammar-parts.ts";
import { questions, tasks } from "../drafts/speculate-texts.ts";
import { HttpClient } from "../http-client.ts";

export type Load = "chat" | "repeat";

/** `schema`: the answer is JSON by it. */
type Asked = { readonly text: string; readonly schema?: object };

/** How one side is asked for JSON by a schema. */
export type SchemaField = "guided_json" | "json_schema";

const MAX_TOKENS = 64;
/** Answers of a run, at least one a stream. */
const ANSWERS = 4;

const fields = (...names: string[]) => ({
  type: "object",
  properties: Object.fromEntries(names.map((name) => [name, { type: "string", maxLength: 60 }])),
  required: names,
  additionalProperties: false,
});
const forms: readonly Asked[] = [
  {
    text: "Give the facts of this text as JSON.\n\nMaria Lopez, 34, a nurse from Lima, speaks Spanish and Quechua.",
    schema: fields("name", "occupation", "city", "languages"),
  },
  {
    text: "Give this order as JSON.\n\nTwo boxes of green tea for Tom Baker, 12 Mill Lane, York, on Friday.",
    schema: fields("product", "customer", "street", "town", "day"),
  },
];

const loads: Readonly<Record<Load, readonly Asked[]>> = {
  chat: questions.map((text) => ({ text })),
  repeat: tasks.flatMap((text, i) => (i % 4 === 3 ? [{ text }, forms[(i >> 2) % 2]!] : [{ text }])),
};

export type RanLoad = { readonly tokens_per_s: number; readonly answers: number };

export class EngineLoads {
  readonly #parts: GrammarParts;
  /** Prompts of all sides, runs and rounds differ. */
  #number = 0;

  /** @param model a GGUF file */
  constructor(model: string) {
    this.#parts = grammarParts(model);
  }

  /** Each stream asks one question after the other; what prompts take counts too. */
  async run(
    side: { readonly url: string; readonly model: string; readonly schema: SchemaField },
    load: Load,
    streams: number,
  ): Promise<RanLoad> {
    const count = Math.max(ANSWERS, streams);
    let asked = 0;
    let tokens = 0;
    const began_ms = performance.now();
    const one = async () => {
      while (asked < count) {
        const at = asked++;
        const question = loads[load][at % loads[load].length]!;
        // A connection each: llama-server may close one behind a stream without a word.
        const client = new HttpClient(side.url);
        await client.open();
        const answer = await client.post("/v1/completions", this.#body(side, question));
        client.close();
        if (answer.error !== "" || answer.completion_tokens === 0) {
          throw new Error(`${side.url} gave no answer: ${answer.error || answer.status}`);
        }
        tokens += answer.completion_tokens;
      }
    };
    await Promise.all(Array.from({ length: streams }, one));
    return { tokens_per_s: tokens / ((performance.now() - began_ms) / 1_000), answers: count };
  }

  #body(
    { model, schema }: { readonly model: string; readonly schema: SchemaField },
    { text, schema: form }: Asked,
  ) {
    const number = ++this.#number;
    const turn = `<start_of_turn>user\nNote ${number}. ${text}<end_of_turn>\n<start_of_turn>model\n`;
    const options = { add_special: true, parse_special: true };
    const prompt = [...this.#parts.tokenizer.encode(turn, options)];
    const body = { model, prompt, max_tokens: MAX_TOKENS, temperature: 0 };
    return form === undefined ? body : { ...body, [schema]: form };
  }
}
