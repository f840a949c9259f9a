/**
 * `bun run build [--outfile PATH]`: one compiled binary that carries the llama.cpp library, the
 * shim and the tiny model, and does what `bun run cluster` does.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { $ } from "bun";
import { buildShim, findLlama } from "../native/build.ts";
import { bundlePage, PAGE_ASSETS } from "../runtime/real/page/web-page.ts";

const root = join(import.meta.dir, "..");
const dist = join(root, "dist");
mkdirSync(dist, { recursive: true });

const outfile = Bun.argv.includes("--outfile")
  ? (Bun.argv[Bun.argv.indexOf("--outfile") + 1] ?? "")
  : join(dist, "troupe");

const { folder: libraries } = findLlama();
// A system compiler is needed here, once; the binary needs none anywhere.
const { source: shim, choice } = await buildShim({ compiler: "cc" });
console.log(`shim: ${choice}`);
const page = await bundlePage(join(root, "actors/inspector/page/main.tsx"));
const pagePath = (part: "script" | "style") => join(dist, basename(PAGE_ASSETS[part]));
for (const part of ["script", "style"] as const) writeFileSync(pagePath(part), page[part]);
const assets: [name: string, path: string][] = [
  ["models/troupe-tiny.gguf", join(root, "deploy/models/tiny/troupe-tiny.gguf")],
  ...readdirSync(libraries)
    .filter((name) => /^lib(llama|ggml).*\.(so|dylib|dll)$/.test(name) && !name.includes("common"))
    .map((name): [string, string] => [`lib/${name}`, join(libraries, name)]),
  ["lib/_nlcBuildMetadata.json", join(libraries, "_nlcBuildMetadata.json")],
  ["lib/libtroupe.so", shim.path],
  [PAGE_ASSETS.script, pagePath("script")],
  [PAGE_ASSETS.style, pagePath("style")],
];

const hash = createHash("sha256");
for (const [name, path] of assets) hash.update(name).update(readFileSync(path));
const content_hash = hash.digest("hex").slice(0, 16);

// The entry is generated: every asset must be a static import for the compiler to carry it.
const entry = join(dist, "binary-entry.ts");
const from = (path: string) => JSON.stringify(`./${relative(dist, path)}`);
writeFileSync(
  entry,
  [
    `import { carry } from ${from(join(root, "runtime/real/assets.ts"))};`,
    ...assets.map(([, path], i) => `import a${i} from ${from(path)} with { type: "file" };`),
    `carry({ ${assets.map(([name], i) => `${JSON.stringify(name)}: a${i}`).join(", ")} }, "${content_hash}");`,
    `await import(${from(join(root, "cluster.ts"))});`,
    "",
  ].join("\n"),
);
/** Entries of threads, by the names that `runtime/real/threads/threads.ts` gets. */
const threads = ["actors/engine/grammar/grammar-thread.ts"];
const command = [process.execPath, "build", "--compile", "--minify-syntax", "--root", root];
await $`${command} --outfile ${outfile} ${entry} ${threads}`.cwd(root);
rmSync(entry);
console.log(`${outfile}: ${(Bun.file(outfile).size / 1e6).toFixed(0)} MB, assets ${content_hash}`);
