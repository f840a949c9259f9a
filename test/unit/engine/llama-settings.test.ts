/** The flags of engines: read from three places, refused where they cannot hold. */

import { expect, test } from "bun:test";
import { dumpConfig } from "../../../cluster/settings/dump-config.ts";
import { helpText } from "../../../cluster/settings/flags.ts";
import { draftFor } from "../../../cluster/settings/model-settings.ts";
import {
  parseConfig,
  parseEnvironment,
  parseFlags,
  type Values,
} from "../../../cluster/settings/read-values.ts";
import { settle } from "../../../cluster/settings/settings.ts";

const defaults = {
  ...{ kv_tokens: 0, gpu_layers: -1, batch_size: 0, prefill_chunk: 0, speculate: "ngram" },
  kv_type: "f16",
  weights: "auto",
  itl_target_ms: -1,
  draft_models: [],
} as const;
const given = {
  ...{ kv_tokens: 32_768, gpu_layers: 0, batch_size: 256, prefill_chunk: 128 },
  speculate: "off",
  kv_type: "q8_0",
  weights: "shared",
  itl_target_ms: 40,
} as const;
const taken = { ...given, draft_models: [] };
const names = [
  "kv-tokens",
  "gpu-layers",
  "batch-size",
  "prefill-chunk",
  "speculate",
  "kv-type",
  "weights",
  "itl-target-ms",
] as const;
const llamaOf = (values: Values) => settle([values], []).engine.own;
const draftsOf = (text: string) => settle([parseFlags(text.split(" "))], []).draft_models;

test("flag, environment and YAML say the same, and the dump reads back", () => {
  expect(llamaOf({})).toEqual(defaults);
  const texts = Object.values(given).map(String);
  const flags = names.flatMap((name, i) => [`--${name}`, texts[i]!]);
  expect(llamaOf(parseFlags(flags))).toEqual(taken);
  const env = names.map((name, i) => [
    `TROUPE_${name.toUpperCase().replaceAll("-", "_")}`,
    texts[i]!,
  ]);
  expect(llamaOf(parseEnvironment(Object.fromEntries(env)))).toEqual(taken);
  const yaml = names.map((name, i) => `${name}: ${texts[i]}`).join("\n");
  expect(llamaOf(parseConfig(yaml, "c.yaml"))).toEqual(taken);
  const dump = dumpConfig(settle([parseFlags(flags)], []));
  expect(llamaOf(parseConfig(dump, "c.yaml"))).toEqual(taken);
  for (const name of names) expect(helpText()).toContain(`--${name} `);
});

test.each([
  ["--kv-tokens 4096 --context-length 8192", /--kv-tokens 4096 cannot hold one answer .* 8192/],
  ["--batch-size 64", /--batch-size 64 .* give at least 80/],
  ["--batch-size 20 --max-num-seqs 8", /--batch-size 20 .* give at least 24/],
  ["--prefill-chunk 513", /--prefill-chunk 513 is more than .* --batch-size 512/],
  ["--prefill-chunk 200 --batch-size 128", /--prefill-chunk 200 .* --batch-size 128/],
  ["--max-num-seqs 65", /at most 64/],
  ["--block-size 48", /^--block-size is one of 16, 32, 64 for the llama engine, not 48$/],
  ["--block-size 128", /^--block-size is one of 16, 32, 64 /],
  ["--block-size -1", /from 0 to/],
  ["--engine echo --block-size 32", /^--block-size says nothing to the echo engine: leave it out$/],
  ["--speculate off --draft-model a.gguf", /a.gguf guesses nothing .* leave one of the two out$/],
  ["--speculate a.gguf", /--speculate is one of off, ngram, not "a.gguf"; .* --draft-model$/],
  ["--draft-model a.gguf --draft-model b.gguf", /one is given twice/],
  ["--model a=a.gguf --model b=b.gguf --draft-model c.gguf", /MODEL=SOURCE, MODEL one of a, b$/],
  ["--model a=a.gguf --draft-model a=", /names no source: give a=SOURCE/],
  ["--engine mocker --draft-model c.gguf", /--draft-model is for --engine llama, not mocker/],
  ["--kv-tokens -1", /from 0 to/],
  ["--gpu-layers -2", /from -1 to/],
  ["--itl-target-ms -2", /from -1 to/],
  ["--kv-tokens 1.5", /a whole number/],
  ["--engine mocker --kv-tokens 4096", /--kv-tokens is for --engine llama, not mocker/],
  ["--engine echo --gpu-layers 0", /--gpu-layers is for --engine llama, not echo/],
  ["--speedup-ratio 3", /^--speedup-ratio is for --engine mocker, not llama: leave it away$/],
  ["--engine echo --startup-time 0", /--startup-time is for --engine mocker, not echo/],
])("%s is refused in one line", (flags, message) => {
  expect(() => settle([parseFlags(flags.split(" "))], [])).toThrow(message);
});

test("what holds is taken", () => {
  for (const flags of [
    "--batch-size 80",
    "--batch-size 24 --max-num-seqs 8 --prefill-chunk 24",
    "--kv-tokens 4096 --context-length 4096",
    "--prefill-chunk 512",
    "--block-size 32",
    "--engine mocker --block-size 48",
  ]) {
    expect(() => settle([parseFlags(flags.split(" "))], [])).not.toThrow();
  }
});

test("a draft model is of the only model, or of the one that is named", () => {
  expect(draftsOf("--draft-model hf:org/small:Q4_K_M")).toEqual([
    { source: "hf:org/small:Q4_K_M" },
  ]);
  expect(draftsOf("--model a=a.gguf --draft-model a=b.gguf")).toEqual([
    { model: "a", source: "b.gguf" },
  ]);
  const two = draftsOf("--model a=a.gguf --model b=b.gguf --draft-model b=c.gguf");
  expect(draftFor(two, "a")).toBeUndefined();
  expect(draftFor(two, "b")).toBe("c.gguf");
  expect(draftFor(draftsOf("--draft-model pypi:small==1.2"), undefined)).toBe("pypi:small==1.2");
  const asked = settle([parseFlags(["--draft-model", "a.gguf"])], []);
  expect(parseConfig(dumpConfig(asked), "c.yaml")["draft-model"]).toEqual(["a.gguf"]);
});
