import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../../..");

/** The page's examples as one program, and what its comments say it prints. */
function program(): { readonly code: string; readonly expected: readonly string[] } {
  const page = readFileSync(join(root, "docs/kernel.md"), "utf8");
  const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1] ?? "");
  const code = blocks.join("\n").replaceAll('from "../', `from "${root}/`);
  const expected = [...code.matchAll(/\/\/=> (.*)$/gm)].map((match) => match[1] ?? "");
  return { code, expected };
}

test("the examples of docs/kernel.md have the right types and print what they say", async () => {
  const { code, expected } = program();
  expect(expected.length).toBeGreaterThan(10);
  const folder = mkdtempSync(join(tmpdir(), "kernel-page-"));
  try {
    const file = join(folder, "page.ts");
    writeFileSync(file, code);
    const config = {
      extends: join(root, "tsconfig.json"),
      compilerOptions: { typeRoots: [join(root, "node_modules/@types")], noUnusedLocals: true },
      include: [],
      files: [file],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const [types, run] = await Promise.all([
      output([process.execPath, tsc, "--noEmit", "-p", folder]),
      output([process.execPath, file]),
    ]);
    expect(types).toBe("");
    expect(run.trimEnd().split("\n")).toEqual([...expected]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);

async function output(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return out + err;
}
