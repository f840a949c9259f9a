/** The added tokens of a `tokenizer.json`, and those of its tokens that mean something. */
import type { AddedToken } from "../added-tokens.ts";
import { looksSpecial } from "./control-texts.ts";
import type { NamedTokens } from "./json-named-tokens.ts";
import { isTokenId, objectOf } from "./json-values.ts";
import { resolveSpecials } from "./special-ids.ts";
import type { TokenTable } from "./token-table.ts";
import { type SpecialIds, VocabError } from "./vocab.ts";

export const FILE = "tokenizer.json";
const encoder = new TextEncoder();

/**
 * Added tokens with the ids that `tokenizers` gives them: the one that the model's vocabulary has
 * for the spelling, else the next behind all, whatever the file says.
 */
export function readAdded(value: unknown, vocab: TokenTable, size: number): AddedToken[] {
  if (!Array.isArray(value)) return [];
  const ids = new Map<string, number>();
  let last = -1;
  return value.map((entry: unknown) => {
    const {
      id: stated,
      content,
      special,
      lstrip,
      rstrip,
      single_word,
      normalized,
    } = objectOf(entry);
    if (!isTokenId(stated) || typeof content !== "string") {
      throw corrupt("an added token has no id");
    }
    const utf8 = encoder.encode(content);
    const own = vocab.find(utf8, 0, utf8.length);
    const id = own >= 0 ? own : (ids.get(content) ?? Math.max(last + 1, size));
    ids.set(content, id);
    last = Math.max(last, id);
    return {
      id,
      content,
      special: special === true,
      normalized: normalized === true,
      lstrip: lstrip === true,
      rstrip: rstrip === true,
      single_word: single_word === true,
    };
  });
}

/**
 * Tokens with a meaning, as `resolveSpecials` finds them for a GGUF; but only control tokens are
 * found by their spelling, since other tokens of a folder are text.
 */
export function folderSpecials(
  specials: NamedTokens,
  tokens: TokenTable,
  added: readonly AddedToken[],
): SpecialIds {
  const named_so = added.filter((token) => token.special || looksSpecial(token.content));
  const known = new Set(named_so.map((token) => token.id));
  const attrs = new Uint16Array(tokens.count);
  const found = resolveSpecials(new Map(specials.ids), tokens, attrs, {});
  const { bos, eos, unk, pad, sep } = found;
  const ifKnown = (id: number | undefined) => (id !== undefined && known.has(id) ? id : undefined);
  const eot = ifKnown(found.eot);
  const gap = {
    fim_pre: ifKnown(found.fim_pre),
    fim_suf: ifKnown(found.fim_suf),
    fim_mid: ifKnown(found.fim_mid),
  };
  const ends = found.eog.filter((id) => known.has(id) || id === eos);
  const named = specials.end_ids.filter((id) => id < tokens.count);
  const eog = [...new Set([...ends, ...named])].sort((a, b) => a - b);
  return { bos, eos, eot, unk, pad, sep, eog, ...gap };
}

export function corrupt(what: string): VocabError {
  const message = `${FILE} is damaged, ${what}: get the model's files again`;
  return new VocabError("vocab_corrupt", message);
}
