/** A mocker that keeps answers to grammars, of a model's vocabulary. */
import { ThreadedGrammars } from "../../../actors/engine/grammar/threaded-grammars.ts";
import { closersOf } from "../../../actors/engine/mocker/constrained-token.ts";
import { MockerEngine } from "../../../actors/engine/mocker/mocker.ts";
import { textTokens } from "../../../llm/tokens/text-tokens.ts";
import type { GrammarParts } from "./grammar-parts.ts";

export function mockerWithGrammars(parts: GrammarParts): MockerEngine {
  const { tokenizer, tokenizer_blob, clock, threads, stage_ms } = parts;
  const { vocab_size } = tokenizer;
  const vocab = { tokenizer_blob, vocab_size };
  const grammars = new ThreadedGrammars({ clock, threads, vocab, stage_ms });
  return new MockerEngine(
    { max_model_len: 512, speedup_ratio: 0 },
    {
      drawable: { vocab_size, tokens: textTokens(tokenizer) },
      grammar: { grammars, closers: closersOf(tokenizer) },
    },
  );
}
