/** `bun run build`: one file that does what `bun run cluster` does, on its own. */
import { afterAll, expect } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { startCluster } from "../support/cluster.ts";
import { lacksProgram, testWith } from "../support/needs.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-binary-"));
afterAll(() => rmSync(folder, { recursive: true }));

testWith(
  lacksProgram("cc"),
  "the compiled binary serves its own model from an empty cache",
  async () => {
    const built = join(folder, "built");
    const script = join(import.meta.dir, "../../deploy/build-binary.ts");
    const build = Bun.spawnSync([process.execPath, script, "--outfile", built]);
    expect(build.exitCode, build.stderr.toString()).toBe(0);
    // Moved, so that nothing is found beside it by chance.
    const binary = join(folder, "troupe");
    copyFileSync(built, binary);
    const env = { XDG_CACHE_HOME: join(folder, "cache"), PATH: "/usr/bin:/bin" };
    await using cluster = await startCluster([], { env, command: [binary], cwd: folder });
    const client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none", maxRetries: 0 });
    const model = (await client.models.list()).data[0]?.id ?? "";
    const answer = await client.chat.completions.create({
      model,
      messages: [{ role: "user", content: "What is Troupe?" }],
      max_tokens: 24,
    });
    expect(answer.usage?.completion_tokens ?? 0).toBeGreaterThan(3);
    // The page was bundled when the binary was built.
    for (const url of [cluster.url, cluster.inspector]) {
      const page = await (await fetch(url, { headers: { accept: "text/html" } })).text();
      expect(page).toContain('<script type="module">');
    }
  },
  120_000,
);
