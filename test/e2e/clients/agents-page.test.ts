/** The TypeScript programs of docs/agents.md run as they stand there. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, startCluster } from "../../support/cluster.ts";

const ROOT = join(import.meta.dir, "../../..");
const PAGE = readFileSync(join(ROOT, "docs/agents.md"), "utf8");
/** Inside of the repository, so that packages are found. */
const FOLDER = join(ROOT, "dist", `agents-page-${process.pid}`);

const programs = [...PAGE.matchAll(/^## (.*)\n+```ts\n([\s\S]*?)^```$/gm)].map(
  ([, title, text]) => [title!, text!] as const,
);

let cluster: Cluster;
beforeAll(async () => {
  mkdirSync(FOLDER, { recursive: true });
  cluster = await startCluster([]);
}, 60_000);
afterAll(async () => {
  rmSync(FOLDER, { recursive: true });
  await cluster[Symbol.asyncDispose]();
});

test("the page has programs in TypeScript", () => {
  expect(programs.map(([title]) => title)).toEqual(["Vercel's `ai`", "LangChain"]);
});

test.each(programs)(
  "%s",
  async (title, text) => {
    const file = join(FOLDER, `${title.replace(/\W/g, "")}.ts`);
    writeFileSync(file, text.replaceAll("http://127.0.0.1:8000", cluster.url));
    const child = Bun.spawn([process.execPath, file], { stdout: "pipe", stderr: "pipe" });
    const [out, complaints] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect([await child.exited, complaints]).toEqual([0, ""]);
    // The tool was called, and its result is among what is printed.
    expect(out).toContain("a clear sky");
  },
  30_000,
);
