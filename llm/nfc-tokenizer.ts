import { SpecialTokens } from "./special-tokens.ts";
import type { EncodeOptions, Tokenizer } from "./tokenizer.ts";
import type { Vocab } from "./vocab.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The tokenizer of a vocabulary whose text is brought to Unicode's composed form first, as Hugging
 * Face's does. llama.cpp has no such step, so a GGUF of the same model gives other tokens for text
 * that is not composed ("e" with a combining accent), and the same for all other text.
 */
export function withNfc(vocab: Vocab, tokenizer: Tokenizer): Tokenizer {
  const specials = new Map<boolean, SpecialTokens>();
  const compose = (text: string, parse_special: boolean): string => {
    if (text.normalize("NFC") === text) return text; // nearly always
    let special = specials.get(parse_special);
    if (special === undefined) {
      special = new SpecialTokens(vocab, parse_special);
      specials.set(parse_special, special);
    }
    // Piece by piece: a combining mark behind a special token must not dissolve it.
    const pieces = special.partition(text).map((fragment) => {
      if (fragment.kind === "token") return decoder.decode(vocab.table.at(fragment.token));
      return fragment.text.normalize("NFC");
    });
    return pieces.join("");
  };
  return {
    vocab_size: tokenizer.vocab_size,
    special: tokenizer.special,
    add_bos: tokenizer.add_bos,
    add_eos: tokenizer.add_eos,
    add_space_prefix: tokenizer.add_space_prefix,
    encode: (text: string, options: EncodeOptions) =>
      tokenizer.encode(compose(text, options.parse_special), options),
    tokenBytes: (token) => tokenizer.tokenBytes(token),
    asciiText: (token) => tokenizer.asciiText(token),
    isControl: (token) => tokenizer.isControl(token),
    isEog: (token) => tokenizer.isEog(token),
  };
}
