/** What a simulated engine is made of beside its options: the same for all engines of a process. */
import { textTokens } from "../../../llm/tokens/text-tokens.ts";
import { bytesAt } from "../../../native/kv/memory.ts";
import type { BlockMemory } from "../block-port.ts";
import type { EngineParts } from "../engine-kind.ts";
import { ThreadedGrammars } from "../grammar/threaded-grammars.ts";
import type { MockerGrammar } from "./constrained-draws.ts";
import { closersOf } from "./constrained-token.ts";
import type { Drawable } from "./drawn-token.ts";
import { readProfile } from "./profile.ts";
import { type MockerTiming, polynomialTiming, profileTiming } from "./timing.ts";

export type MockerParts = {
  /** Default: 32,000 tokens, any of them drawn. */
  readonly drawable?: Drawable;
  /** Default: Dynamo's polynomials. */
  readonly timing?: MockerTiming;
  /** Needs `drawable`, of the same tokenizer. */
  readonly grammar?: MockerGrammar;
  /** Where blocks go and come from; absent: addresses mean nothing. */
  readonly memory?: BlockMemory;
};

export async function readParts(
  profile: string,
  { tokenizer, files, facts, threads, clock, memory = bytesAt }: EngineParts,
): Promise<MockerParts> {
  const timing =
    profile === "" ? polynomialTiming : profileTiming(await readProfile(files, profile));
  // Drawn tokens must read as text: every one of them alone is whole characters.
  const drawable = { vocab_size: tokenizer.vocab_size, tokens: textTokens(tokenizer) };
  const tokenizer_blob = facts.blobs.get(facts.tokenizer_blob);
  if (threads === undefined || tokenizer_blob === undefined) return { timing, drawable, memory };
  const { vocab_size } = tokenizer;
  const grammars = new ThreadedGrammars({ clock, threads, vocab: { tokenizer_blob, vocab_size } });
  return { timing, drawable, memory, grammar: { grammars, closers: closersOf(tokenizer) } };
}
