import { ATTR_CONTROL, ATTR_UNKNOWN, ATTR_USER_DEFINED, type Vocab } from "./vocab.ts";

/** gpt-oss: they structure a conversation, and are shown in answers because of that. */
const STRUCTURE = ["<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>"];
/** Some files do not mark tokens that only templates write. Source: `does_token_look_special`. */
const OTHERS = ["<pad>", "<mask>", "<2mass>", "[@BOS@]", ...STRUCTURE];
const LOOKS = /^(<\|.*\|>|<｜.*｜>|<unused.*>)$/s;

/** Attributes of tokens that are found by their spelling. */
const SPELLED = ATTR_CONTROL | ATTR_UNKNOWN | ATTR_USER_DEFINED;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A token of this spelling is written by a template and not by whoever takes part. */
export function looksSpecial(content: string): boolean {
  return OTHERS.includes(content) || LOOKS.test(content);
}

/** Spellings that only a chat template may turn into tokens. */
export function controlTexts(vocab: Vocab): string[] {
  const special = new Set(
    vocab.folder?.added.filter((token) => token.special).map((token) => token.id),
  );
  const added = new Set(vocab.folder?.added.map((token) => token.id));
  const texts: string[] = [];
  for (let token = 0; token < vocab.token_count; token++) {
    const attr = vocab.attrs[token]!;
    const found = vocab.folder === undefined ? (attr & SPELLED) !== 0 : added.has(token);
    if (!found) continue;
    const text = decoder.decode(vocab.table.at(token));
    const control = (attr & (ATTR_CONTROL | ATTR_UNKNOWN)) !== 0 || special.has(token);
    if (text !== "" && (control || looksSpecial(text))) texts.push(text);
  }
  return texts;
}
