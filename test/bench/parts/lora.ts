/**
 * What LoRA adapters cost the llama engine: 4 streams of the model itself, of one adapter, of two
 * and of four, with adapters of random weights. A decode has one adapter, so streams of different
 * ones take turns.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLlama } from "../../../actors/engine/llama/llama.ts";
import { EngineDriver, request } from "../../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../../support/engine/engine-model.ts";
import { loraGguf } from "../../support/engine/lora-gguf.ts";
import type { Report } from "../bench.ts";
import { median } from "../statistics.ts";

const STREAMS = 4;
const TOKENS = 256;
const ROUNDS = 5;
const names = ["a", "b", "c", "d"] as const;
const cases = [
  ["the model itself", [undefined]],
  ["one adapter", ["a"]],
  ["two adapters", ["a", "b"]],
  ["four adapters", names],
] as const;

export async function benchLora(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "troupe-bench-lora-"));
  const model = new Uint8Array(readFileSync(TEST_MODEL));
  const engine = await openLlama({ model: TEST_MODEL, kv_tokens: 8_192, context_length: 1_024 });
  const driver = new EngineDriver(engine);
  try {
    for (const [seed, name] of names.entries()) {
      const path = join(folder, `${name}.gguf`);
      writeFileSync(path, loraGguf(model, { seed: seed + 1, rank: 16, scale: 0.01 }));
      await engine.loadAdapter!(name, path);
    }
    const rates = new Map<string, number[]>(cases.map(([label]) => [label, []]));
    // In turn, so that a busy machine is busy for all.
    for (let round = 0; round < ROUNDS; round++) {
      for (const [label, adapters] of cases) {
        const from_ms = performance.now();
        await driver.run(
          Array.from({ length: STREAMS }, (_, i) => {
            const adapter = adapters[i % adapters.length];
            const prompt = Array.from({ length: 20 }, (_item, at) => 30 + at * 3 + i);
            return request(i + 1, prompt, TOKENS, adapter === undefined ? {} : { adapter });
          }),
        );
        rates.get(label)!.push((STREAMS * TOKENS * 1_000) / (performance.now() - from_ms));
      }
    }
    const base = median(rates.get("one adapter")!);
    for (const [label, all] of rates) {
      const tokens_per_s = median(all);
      report({ case: label, tokens_per_s, of_one_adapter: tokens_per_s / base });
    }
  } finally {
    await engine.close();
    rmSync(folder, { recursive: true });
  }
}
