/** Builds the stand-in for libllama, for a process of its own: the real one is not beside it. */
import { join } from "node:path";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";

/** `folder` then holds it, as openLlama's `lib_dir`. Needs cc. */
export async function buildStandInLlama(folder: string, tokenizer: Tokenizer): Promise<void> {
  const { vocab_size, special } = tokenizer;
  const facts = [`-DVOCAB=${vocab_size}`, `-DENDS=${special.eog.join(",")}`];
  const sources = ["stand-in.c", "stand-in-rest.c"].map((name) => join(import.meta.dir, name));
  const command = ["cc", "-O2", "-fPIC", "-shared", ...facts, ...sources, "-lm", "-o"];
  const run = Bun.spawn([...command, join(folder, "libllama.so")], { stderr: "pipe" });
  const said = await run.stderr.text();
  if ((await run.exited) !== 0) throw new Error(said);
}
