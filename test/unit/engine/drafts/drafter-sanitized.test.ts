/** An engine with a draft model under the address sanitizer: no byte is read after its end. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLlama } from "../../../../native/build.ts";
import { randomGguf, VOCAB } from "../../../support/engine/random-gguf.ts";
import { describeWith, lacksProgram } from "../../../support/needs.ts";

const SOURCE = join(import.meta.dir, "../../../support/llama/drafter-run.c");
const FLAGS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

describeWith(lacksProgram("cc"), "under the address sanitizer", () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-sanitized-"));
  const program = join(folder, "drafter-run");
  const file = (name: string) => join(folder, `${name}.gguf`);
  beforeAll(async () => {
    const built = Bun.spawn(["cc", ...FLAGS, SOURCE, "-o", program, "-lpthread", "-ldl", "-lm"], {
      stderr: "pipe",
    });
    const said = await built.stderr.text();
    if ((await built.exited) !== 0) throw new Error(said);
    const order = Array.from({ length: VOCAB }, (_, i) =>
      i < VOCAB - 2 ? (i * 7 + 3) % (VOCAB - 2) : i,
    );
    const spelling = new Map(Array.from({ length: 64 }, (_, i) => [64 + i, `<strange ${i}>`]));
    await Bun.write(file("same"), randomGguf());
    await Bun.write(file("alike"), randomGguf([], { drift: 0.1 }));
    await Bun.write(file("mixed"), randomGguf([], { order, spelling }));
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  async function run(draft: string, speculate: number, fail_at: number) {
    const { library, folder: llama } = findLlama();
    const models = [file("same"), draft, String(speculate), String(fail_at)];
    const one = Bun.spawn([program, llama, library, ...models], {
      env: { ...process.env, LD_LIBRARY_PATH: llama },
      ...{ stdout: "pipe", stderr: "pipe" },
    });
    const [said, complained] = await Promise.all([one.stdout.text(), one.stderr.text()]);
    return { said, complained, code: await one.exited };
  }

  test.each([
    ["the model itself", "same", 4, 0],
    ["one that thinks alike", "alike", 2, 0],
    ["one with another vocabulary", "mixed", 4, 0],
    ["one that is weighed", "alike", 1, 0],
    ["one that fails", "alike", 4, 30],
  ])(
    "%s guesses",
    async (_who, draft, speculate, fail_at) => {
      const { said, complained, code } = await run(file(draft), speculate, fail_at);
      expect(complained).toBe("");
      expect(code).toBe(0);
      const counted = JSON.parse(said);
      expect(counted).toMatchObject({ used: 0, told: fail_at > 0 ? 1 : 0 });
      expect(counted.made).toBeGreaterThan(2_000);
      if (speculate > 1 && fail_at === 0) expect(counted.right).toBeGreaterThan(100);
    },
    120_000,
  );

  test("a draft model that is not there leaves nothing behind", async () => {
    const { said, complained, code } = await run(file("none"), 4, 0);
    expect(said).toMatch(/^cannot read the model .*none\.gguf/);
    expect(complained).toBe("");
    expect(code).toBe(1);
  }, 60_000);
});
