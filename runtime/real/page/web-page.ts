/**
 * The script and the style of a page that needs nothing else: bundled from source at the first use,
 * or as the compiled binary carries them.
 */
import { join } from "node:path";

export type PageParts = { readonly script: string; readonly style: string };

/** Names of the parts among the assets of a compiled binary. */
export const PAGE_ASSETS = { script: "page/page.js", style: "page/page.css" } as const;

/**
 * `assets_folder`: where the parts lie as files; empty: they are bundled from `entry`. The maker
 * keeps what it made, and tries again at the next call when it could not.
 */
export function webPage(assets_folder: string, entry: string): () => Promise<PageParts> {
  let made: Promise<PageParts> | undefined;
  return () => {
    made ??= partsOf(assets_folder, entry).catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

async function partsOf(assets_folder: string, entry: string): Promise<PageParts> {
  if (assets_folder === "") return bundlePage(entry);
  const text = (name: string) => Bun.file(join(assets_folder, name)).text();
  const [script, style] = await Promise.all([text(PAGE_ASSETS.script), text(PAGE_ASSETS.style)]);
  return { script, style };
}

/** Rejects with what the bundler found wrong. */
export async function bundlePage(entry: string): Promise<PageParts> {
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    target: "browser",
    format: "esm",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
    jsx: { runtime: "automatic", importSource: "preact", development: false },
  });
  const text = async (extension: string) =>
    (await outputs.find(({ path }) => path.endsWith(extension))?.text())?.trim() ?? "";
  return { script: await text(".js"), style: await text(".css") };
}
