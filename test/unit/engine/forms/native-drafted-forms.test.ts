/**
 * Answers whose tokens are guessed are the answers that would have been made without guesses, those
 * that keep to a form too: on a stand-in for libllama, whose logits are the same in every batch.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TEST_MODEL } from "../../../support/engine/engine-model.ts";
import { grammarParts } from "../../../support/engine/grammar-parts.ts";
import { buildStandInLlama } from "../../../support/llama/stand-in.ts";
import { describeWith, lacksProgram } from "../../../support/needs.ts";

const PROGRAM = join(import.meta.dir, "../../../support/llama/same-answers.ts");

describeWith(lacksProgram("cc"), "token for token", () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-llama-"));
  beforeAll(() => buildStandInLlama(folder, grammarParts(TEST_MODEL).tokenizer), 60_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each([
    ["always", false],
    ["ngram", false],
    ["model", true],
    ["always", true],
    ["ngram", true],
  ])(
    "alone and together, moved and cancelled, greedy and drawn; guessed: %s, by a model: %p",
    async (when, drafts) => {
      const draft = join(folder, "draft.gguf");
      await copyFile(TEST_MODEL, draft);
      const command = [process.execPath, PROGRAM, folder, when, ...(drafts ? [draft] : [])];
      const run = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
      const [said, complained] = await Promise.all([run.stdout.text(), run.stderr.text()]);
      expect(complained).toBe("");
      expect(await run.exited).toBe(0);
      const seen = JSON.parse(said);
      const always = when !== "ngram";
      expect(seen.right).toBeGreaterThan(always ? 500 : 100);
      expect(seen.wrong).toBeGreaterThan(always ? 100 : 0);
      // Where it has to pay, the machine's load decides.
      if (drafts && always) expect(seen.by_model).toBeGreaterThan(when === "model" ? 500 : 0);
      if (!drafts) expect(seen.by_model).toBe(0);
      expect(seen.guessing_steps).toBeLessThan(seen.plain_steps);
      expect(seen.blocks).toBeGreaterThan(0);
      expect(seen.together).toBe(60);
    },
    120_000,
  );
});
