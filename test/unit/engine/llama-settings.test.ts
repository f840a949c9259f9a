/** The flags of engines: read from three places, refused where they cannot hold. */

import { expect, test } from "bun:test";
import { dumpConfig } from "../../../cluster/settings/dump-config.ts";
import { helpText } from "../../../cluster/settings/flags.ts";
import {
  parseConfig,
  parseEnvironment,
  parseFlags,
  type Values,
} from "../../../cluster/settings/read-values.ts";
import { settle } from "../../../cluster/settings/settings.ts";

const defaults = { kv_tokens: 0, gpu_layers: -1, batch_size: 0, prefill_chunk: 0 };
const given = { kv_tokens: 32_768, gpu_layers: 0, batch_size: 256, prefill_chunk: 128 };
const names = ["kv-tokens", "gpu-layers", "batch-size", "prefill-chunk"] as const;
const llamaOf = (values: Values) => settle([values], []).engine.own;

test("flag, environment and YAML say the same, and the dump reads back", () => {
  expect(llamaOf({})).toEqual(defaults);
  const texts = Object.values(given).map(String);
  const flags = names.flatMap((name, i) => [`--${name}`, texts[i]!]);
  expect(llamaOf(parseFlags(flags))).toEqual(given);
  const env = names.map((name, i) => [
    `TROUPE_${name.toUpperCase().replaceAll("-", "_")}`,
    texts[i]!,
  ]);
  expect(llamaOf(parseEnvironment(Object.fromEntries(env)))).toEqual(given);
  const yaml = names.map((name, i) => `${name}: ${texts[i]}`).join("\n");
  expect(llamaOf(parseConfig(yaml, "c.yaml"))).toEqual(given);
  const dump = dumpConfig(settle([parseFlags(flags)], []));
  expect(llamaOf(parseConfig(dump, "c.yaml"))).toEqual(given);
  for (const name of names) expect(helpText()).toContain(`--${name} `);
});

test.each([
  ["--kv-tokens 4096 --context-length 8192", /--kv-tokens 4096 cannot hold one answer .* 8192/],
  ["--batch-size 64", /--batch-size 64 .* give at least 80/],
  ["--batch-size 20 --max-num-seqs 8", /--batch-size 20 .* give at least 24/],
  ["--prefill-chunk 513", /--prefill-chunk 513 is more than .* --batch-size 512/],
  ["--prefill-chunk 200 --batch-size 128", /--prefill-chunk 200 .* --batch-size 128/],
  ["--max-num-seqs 65", /at most 64/],
  ["--kv-tokens -1", /from 0 to/],
  ["--gpu-layers -2", /from -1 to/],
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
  ]) {
    expect(() => settle([parseFlags(flags.split(" "))], [])).not.toThrow();
  }
});
