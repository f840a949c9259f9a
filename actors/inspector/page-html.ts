/**
 * The page as one HTML file: script and style stand in it, and the browser is told to run and load
 * nothing else.
 */
import { createHash } from "node:crypto";
import { guarded, pageHeaders } from "./door/answers.ts";

/** As the bundler made them; `runtime/real/page/web-page.ts` does. */
export type PageParts = { readonly script: string; readonly style: string };

export type PageConfig = {
  /** `chat`: this is the port of the OpenAI API, and only the chat is there. */
  readonly mode: "inspector" | "chat";
  /** Where the inspector is; null: the page need not know. */
  readonly inspector: string | null;
};

type Ready = {
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly zipped: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
};

/** Undefined: the client wants no page. Rejects when the page cannot be bundled. */
export type Page = (request: Headers) => Promise<Response> | undefined;

/** Makes nothing before a browser asks for it, and keeps what it made. */
export function pageFor(parts: () => Promise<PageParts>, config: PageConfig): Page {
  let ready: Ready | undefined;
  return (request) => (wantsPage(request) ? answer(request) : undefined);

  async function answer(request: Headers): Promise<Response> {
    ready ??= readyOf(await parts(), JSON.stringify(config));
    const { plain, zipped, headers } = ready;
    const isZipped = /\bgzip\b/.test(request.get("accept-encoding") ?? "");
    const response = isZipped
      ? new Response(zipped, { headers: { ...headers, "content-encoding": "gzip" } })
      : new Response(plain, { headers });
    return guarded(response);
  }
}

/** A browser that follows a link asks for HTML; programs ask for anything. */
const wantsPage = (headers: Headers): boolean =>
  (headers.get("accept") ?? "").includes("text/html");

/** Once in a process's life: 20 ms for a twentieth less to fetch. */
const ZIP = { library: "libdeflate", level: 10 } as const;

function readyOf({ script, style }: PageParts, config: string): Ready {
  const page = { script: inScript(script), style };
  const plain = new TextEncoder().encode(pageHtml(page, config));
  const headers = {
    ...pageHeaders([hashOf(page.script)], [hashOf(page.style)]),
    vary: "accept, accept-encoding",
  };
  return { plain, zipped: Bun.gzipSync(plain, ZIP), headers };
}

/** The text must not end its own element; the escaped form means the same in it. */
const inScript = (text: string): string =>
  text.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");

function pageHtml({ script, style }: PageParts, config: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Troupe</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(MARK)}">
<style>${style}</style>
</head>
<body>
<div id="app"></div>
<noscript>This page needs JavaScript. What it shows is JSON, at /api/tree and beside it.</noscript>
<script type="application/json" id="troupe">${config.replaceAll("<", "\\u003c")}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}

const MARK =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20"><g fill="#0b6e6e">' +
  '<path d="M10 6v3M4 14v-2.5q0-2.5 2.5-2.5h7q2.5 0 2.5 2.5V14M10 9v5" fill="none" ' +
  'stroke="#0b6e6e" stroke-width="1.4"/><circle cx="10" cy="4" r="2.4"/>' +
  '<circle cx="4" cy="16" r="2"/><circle cx="10" cy="16" r="2"/><circle cx="16" cy="16" r="2"/>' +
  "</g></svg>";

const hashOf = (text: string) => createHash("sha256").update(text).digest("base64");
