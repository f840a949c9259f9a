/** What an engine keeps of its costs (native/drafts/known-costs.c), read and changed by tests. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** As known-costs.c has them: a key, ms of batches of 0 to 128 tokens, prompts, a sum. */
const PROMPT_AT = 512 + 129 * 8;
const PROMPT_DEPTHS = 32;
const SUM_AT = PROMPT_AT + PROMPT_DEPTHS * 8;

/** ms of a prompt's token by depth. @param folder that has the file of one engine */
export function promptCostIn(folder: string): number[] {
  const bytes = readFileSync(pathIn(folder));
  return Array.from({ length: PROMPT_DEPTHS }, (_, i) => bytes.readDoubleLE(PROMPT_AT + i * 8));
}

/** As if prompts' tokens had been seen to take so many ms; from the last on all are alike. */
export function changePromptCost(folder: string, token_ms: readonly number[]): void {
  const bytes = readFileSync(pathIn(folder));
  for (let i = 0; i < PROMPT_DEPTHS; i++)
    bytes.writeDoubleLE(token_ms[i] ?? token_ms.at(-1) ?? 0, PROMPT_AT + i * 8);
  bytes.writeBigUInt64LE(sumOf(bytes.subarray(0, SUM_AT)), SUM_AT);
  writeFileSync(pathIn(folder), bytes);
}

function pathIn(folder: string): string {
  const [name, ...others] = readdirSync(folder);
  if (name === undefined || others.length > 0)
    throw new Error(`${folder} has no one file of costs`);
  return join(folder, name);
}

function sumOf(bytes: Uint8Array): bigint {
  let hash = 14_695_981_039_346_656_037n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 1_099_511_628_211n);
  return hash ^ (hash >> 32n);
}
