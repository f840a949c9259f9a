/** native/kv under AddressSanitizer and UBSan: kv-checks.c has the checks. */
import { expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSanitized, buildStandIn } from "../../support/cuda/stand-in.ts";
import { lacksProgram, testWith } from "../../support/needs.ts";

testWith(
  lacksProgram("cc"),
  "no byte is touched that is not its own, whatever the driver and the disk do",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "troupe-kv-"));
    try {
      const [cuda, program] = await Promise.all([buildStandIn(folder), buildSanitized(folder)]);
      const run = Bun.spawn([program, cuda!, folder], { stdout: "pipe", stderr: "pipe" });
      const said = (await run.stdout.text()) + (await run.stderr.text());
      expect(said).toMatch(/^\d+ checks\n$/);
      expect(await run.exited).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  90_000,
);
