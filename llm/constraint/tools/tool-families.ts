/** The family of each tool parser's name. */
import type { ToolFamily } from "./family.ts";
import {
  blockFamily,
  deepseekV3Family,
  deepseekV31Family,
  eitherFamily,
  harmonyFamily,
  inklingFamily,
  kimiK2Family,
  listFamily,
  llamaFamily,
  mistralFamily,
} from "./json-families.ts";
import { minimaxM3Family } from "./minimax-m3-family.ts";
import { gemmaFamily, pythonicFamily } from "./notation-families.ts";
import {
  dsmlFamily,
  glmFamily,
  kimiK3Family,
  minimaxM2Family,
  museFamily,
  qwen3Family,
  qwenCoderFamily,
} from "./tag-families.ts";

const HERMES = blockFamily("<tool_call>", "</tool_call>");
const TOOLCALL = listFamily("<TOOLCALL>", "</TOOLCALL>");
const DEEPSEEK_V4 = dsmlFamily("｜DSML｜", "tool_calls");

export const TOOL_FAMILIES: Readonly<Record<string, ToolFamily>> = {
  "deepseek-v4": DEEPSEEK_V4,
  deepseek_v3: deepseekV3Family,
  deepseek_v3_1: deepseekV31Family,
  deepseek_v3_2: dsmlFamily("｜DSML｜", "function_calls"),
  deepseek_v4: DEEPSEEK_V4,
  deepseek_v41: dsmlFamily("｜DSML｜ ", "calls"),
  deepseekv4: DEEPSEEK_V4,
  default: eitherFamily(TOOLCALL, llamaFamily),
  "gemma-4": gemmaFamily,
  gemma4: gemmaFamily,
  glm45: glmFamily,
  glm47: glmFamily,
  harmony: harmonyFamily,
  hermes: HERMES,
  inkling: inklingFamily,
  jamba: listFamily("<tool_calls>", "</tool_calls>"),
  "kimi-k3": kimiK3Family,
  kimi_k2: kimiK2Family,
  kimi_k25: kimiK2Family,
  kimi_k3: kimiK3Family,
  llama3_json: llamaFamily,
  "minimax-m3": minimaxM3Family,
  "minimax-m3-nom": minimaxM3Family,
  minimax_m2: minimaxM2Family,
  minimax_m3: minimaxM3Family,
  minimax_m3_nom: minimaxM3Family,
  mistral: mistralFamily,
  muse: museFamily,
  muse_glimmer: museFamily,
  nemotron_deci: TOOLCALL,
  nemotron_nano: qwenCoderFamily,
  phi4: listFamily("functools[", "", true),
  pythonic: pythonicFamily,
  qwen25: HERMES,
  qwen3: qwen3Family,
  qwen3_coder: qwenCoderFamily,
};
