import type { Tokenizer } from "./tokenizer.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const PRINTABLE = /^[\p{L}\p{N}\p{P}\p{S} ]+$/u;

/**
 * The tokens that are whole printable text each, so that any row of them reads as text; ascending.
 * None is blank or could begin a tag: a row of them has no reasoning and no call in it. Simulated
 * engines answer with them. Empty for a vocabulary without such tokens.
 */
export function textTokens(tokenizer: Tokenizer): Uint32Array {
  const tokens: number[] = [];
  for (let token = 0; token < tokenizer.vocab_size; token++) {
    if (tokenizer.isControl(token) || tokenizer.isEog(token)) continue;
    if (isText(tokenizer.tokenBytes(token))) tokens.push(token);
  }
  return Uint32Array.from(tokens);
}

function isText(bytes: Uint8Array): boolean {
  if (bytes.length === 0) return false;
  try {
    const text = strict.decode(bytes);
    return PRINTABLE.test(text) && text.trim() !== "" && !text.includes("<");
  } catch {
    return false;
  }
}
