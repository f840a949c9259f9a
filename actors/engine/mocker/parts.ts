/** What a simulated engine is made of beside its options: the same for all engines of a process. */
import { textTokens } from "../../../llm/tokens/text-tokens.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import type { Files } from "../../../runtime/capabilities.ts";
import type { Drawable } from "./drawn-token.ts";
import { readProfile } from "./profile.ts";
import { type MockerTiming, polynomialTiming, profileTiming } from "./timing.ts";

export type MockerParts = {
  /** Default: 32,000 tokens, any of them drawn. */
  readonly drawable?: Drawable;
  /** Default: Dynamo's polynomials. */
  readonly timing?: MockerTiming;
};

export async function readParts(
  profile: string,
  tokenizer: Tokenizer,
  files: Files,
): Promise<MockerParts> {
  const timing =
    profile === "" ? polynomialTiming : profileTiming(await readProfile(files, profile));
  // Drawn tokens must read as text: every one of them alone is whole characters.
  const drawable = { vocab_size: tokenizer.vocab_size, tokens: textTokens(tokenizer) };
  return { timing, drawable };
}
