import { type GgufValue, ggufNumber } from "../../model/gguf.ts";
import type { TokenTable } from "./token-table.ts";
import {
  ATTR_CONTROL,
  ATTR_NORMAL,
  ATTR_UNUSED,
  ATTR_USER_DEFINED,
  type SpecialIds,
} from "./vocab.ts";

/**
 * Finds the tokens with a meaning: by metadata where the file says them, else by their spelling, as
 * llama.cpp does (`llama_vocab::impl::load`, MIT). Corrects attributes in place where a control
 * token is not marked as one. Where llama.cpp takes whichever of several spellings its hash map
 * yields first, the first in these lists is taken; the set of end tokens is the same either way.
 */
const EOT = [
  ..."<|eot_id|> <|im_end|> <|end|> <end_of_turn> <|endoftext|> <|end_of_text|> <EOT>".split(" "),
  ..."_<EOT> [EOT] <｜end▁of▁sentence｜> <end_of_utterance>".split(" "),
];
const EOM = ["<|eom_id|>"];
const FIM_PRE =
  "<|fim_prefix|> <fim-prefix> <fim_prefix> <｜fim▁begin｜> <PRE> ▁<PRE> <|code_prefix|> <|prefix|>";
const FIM_SUF =
  "<|fim_suffix|> <fim-suffix> <fim_suffix> <｜fim▁hole｜> <SUF> ▁<SUF> <|code_suffix|> <|suffix|>";
const FIM_MID =
  "<|fim_middle|> <fim-middle> <fim_middle> <｜fim▁end｜> <MID> ▁<MID> <|code_middle|> <|middle|>";
const FIM_PAD = "<|fim_pad|> <fim-pad> <fim_pad> <PAD> [PAD]";
const FIM_REP = "<|fim_repo|> <|repo_name|> <fim-repo> <REPO> <reponame>";
const FIM_SEP = "<|file_sep|>";
const EOG = [
  ..."<|eot_id|> <|im_end|> <|end|> <|return|> <|call|> <|flush|> <|calls|> <end_of_turn>".split(
    " ",
  ),
  ..."<|endoftext|> </s> <|eom_id|> <EOT> _<EOT> [EOT] [EOS] <|end_of_text|>".split(" "),
  ..."<end_of_utterance> <eos> <turn|> <|tool_response> <｜end▁of▁sentence｜> [e~[".split(" "),
];
/** gpt-oss: these structure the answer, so they are always shown. */
const ALWAYS_SHOWN = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

type Tokens = { readonly table: TokenTable; readonly attrs: Uint16Array };

/** Ids that are taken where nothing says better. */
export type DefaultIds = { readonly bos?: number; readonly eos?: number; readonly unk?: number };

export function resolveSpecials(
  metadata: ReadonlyMap<string, GgufValue>,
  table: TokenTable,
  attrs: Uint16Array,
  defaults: DefaultIds,
): SpecialIds {
  const tokens: Tokens = { table, attrs };
  const given = (names: string[], fallback: number | undefined): number | undefined => {
    for (const name of names) {
      const id = ggufNumber(metadata, `tokenizer.ggml.${name}_token_id`);
      if (id !== undefined && id >= 0 && id < table.count) return id;
    }
    return fallback !== undefined && fallback < table.count ? fallback : undefined;
  };
  const spelled = (texts: readonly string[]): number | undefined => markControl(tokens, texts);
  const bos = given(["bos"], defaults.bos);
  const eos = given(["eos"], defaults.eos);
  const eot = given(["eot"], undefined) ?? spelled(EOT);
  const eom = given(["eom"], undefined) ?? spelled(EOM);
  const fim_pre = given(["fim_pre", "prefix"], undefined) ?? spelled(FIM_PRE.split(" "));
  const fim_suf = given(["fim_suf", "suffix"], undefined) ?? spelled(FIM_SUF.split(" "));
  const fim_mid = given(["fim_mid", "middle"], undefined) ?? spelled(FIM_MID.split(" "));
  const fim_pad = given(["fim_pad"], undefined) ?? spelled(FIM_PAD.split(" "));
  const fim_rep = given(["fim_rep"], undefined) ?? spelled(FIM_REP.split(" "));
  const fim_sep = given(["fim_sep"], undefined) ?? spelled([FIM_SEP]);
  markUnused(tokens);
  const eog = endTokens(tokens, [fim_pad, fim_rep, fim_sep, eos, eot, eom]);
  return {
    bos,
    eos,
    eot,
    unk: given(["unknown"], defaults.unk),
    pad: given(["padding"], undefined),
    sep: given(["seperator", "separator"], undefined), // the format's own spelling is the first
    fim_pre,
    fim_suf,
    fim_mid,
    eog,
  };
}

/** Ids that llama.cpp assumes where a file names none. */
export function defaultIds(kind: "bpe" | "spm", model: string, pre_name: string): DefaultIds {
  if (kind === "spm") return { bos: 1, eos: 2, unk: 0 };
  if (model === "gemma4") return {};
  if (pre_name === "glm4" || pre_name === "chatglm-bpe") return { eos: 11 };
  return { bos: 11, eos: 11 };
}

function find(tokens: Tokens, text: string): number | undefined {
  const bytes = encoder.encode(text);
  const token = tokens.table.find(bytes, 0, bytes.length);
  return token < 0 ? undefined : token;
}

/** The first of these spellings that is a token, marked as control. */
function markControl(tokens: Tokens, texts: readonly string[]): number | undefined {
  for (const text of texts) {
    const token = find(tokens, text);
    if (token === undefined) continue;
    tokens.attrs[token] = tokens.attrs[token]! | ATTR_CONTROL;
    return token;
  }
  return undefined;
}

function markUnused(tokens: Tokens): void {
  for (let token = 0; token < tokens.table.count; token++) {
    const attr = tokens.attrs[token]!;
    if ((attr & ATTR_CONTROL) === 0) continue;
    if (decoder.decode(tokens.table.at(token)).includes("unused")) {
      tokens.attrs[token] = attr | ATTR_UNUSED;
    }
  }
}

function endTokens(tokens: Tokens, named: readonly (number | undefined)[]): number[] {
  const eog = new Set<number>();
  for (const token of named) if (token !== undefined) eog.add(token);
  for (const text of EOG) {
    const token = markControl(tokens, [text]);
    if (token !== undefined) eog.add(token);
  }
  for (const text of ALWAYS_SHOWN) {
    const token = find(tokens, text);
    if (token !== undefined) tokens.attrs[token] = ATTR_USER_DEFINED;
  }
  const has = (text: string): boolean => {
    const token = find(tokens, text);
    return token !== undefined && eog.has(token);
  };
  const call = has("<|call|>") || has("<|calls|>");
  if (call && (has("<|return|>") || has("<|flush|>"))) {
    drop(tokens, eog, "<|end|>", ATTR_USER_DEFINED); // it ends a message there, not the answer
  }
  if (has("<|tool_response>")) drop(tokens, eog, "</s>", ATTR_NORMAL);
  return [...eog].sort((a, b) => a - b);
}

function drop(tokens: Tokens, eog: Set<number>, text: string, attr: number): void {
  const token = find(tokens, text);
  if (token === undefined || !eog.delete(token)) return;
  tokens.attrs[token] = attr;
}
