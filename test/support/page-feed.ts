/** The page over a feed of the test's own: a large tree that changes many times a second. */
import { join } from "node:path";
import { pageFor } from "../../actors/inspector/inspector.ts";
import { bundlePage } from "../../runtime/real/page/web-page.ts";
import { openBrowser, openPage } from "./page.ts";

const entry = join(import.meta.dir, "../../actors/inspector/page/main.tsx");

export type Drawn = {
  readonly frames: number;
  readonly seconds: number;
  readonly changes: number;
  /** The most rows that stood in the document at once. */
  readonly rows_most: number;
  /** Messages that the first actor had handled, as the page shows and as the feed said last. */
  readonly last_shown: number;
  readonly last_sent: number;
};

const GROUPS = 100;
/** 100 frames a second with 10 rows each. */
const EVERY_MS = 10;
const ROWS_A_FRAME = 10;

const row = (id: string, mailbox: number, children: readonly string[] = []) => ({
  ...{ id, node: "n", path: id.slice(1), kind: children.length > 0 ? "supervisor" : "actor" },
  ...{
    role: "load",
    pid: 1,
    state: "running",
    restarts: 0,
    mailbox,
    oldest_ms: 5,
    handled: mailbox,
  },
  ...{ rate: 1, ms_per_message: 0.1, children },
});

function treeOf(rows: number) {
  const each = Math.ceil(rows / GROUPS);
  const groups = Array.from({ length: GROUPS }, (_, g) => {
    const ids = Array.from({ length: each }, (_, i) => `n/top/g${g}/a${i}`);
    return { id: `n/top/g${g}`, ids };
  });
  return [
    row(
      "n/top",
      0,
      groups.map(({ id }) => id),
    ),
    ...groups.flatMap(({ id, ids }) => [row(id, 0, ids), ...ids.map((each) => row(each, 0))]),
  ];
}

/** Counts the browser's frames while a tree of so many rows changes 1,000 times a second. */
export async function drawn({ rows, seconds }: { rows: number; seconds: number }): Promise<Drawn> {
  const parts = await bundlePage(entry);
  const page_of = pageFor(async () => parts, { mode: "inspector", inspector: null });
  const nodes = treeOf(rows);
  const actors = nodes.filter(({ kind }) => kind === "actor").map(({ id }) => id);
  let sent = 0;
  let timer: Timer | undefined;
  const frame = (full: boolean, changed: readonly object[]) =>
    JSON.stringify({ topic: "tree", full, at_ms: Date.now(), nodes: changed, gone: [] });
  await using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, bun) {
      const { pathname } = new URL(request.url);
      if (pathname === "/api/live" && bun.upgrade(request)) return undefined;
      if (pathname === "/") return page_of(request.headers) ?? new Response("page");
      return Response.json({ error: "only the tree is here" }, { status: 404 });
    },
    websocket: {
      open(socket) {
        socket.send(frame(true, nodes));
        timer = setInterval(() => {
          const first = actors[0] ?? "";
          const changed = Array.from({ length: ROWS_A_FRAME - 1 }, (_, i) => {
            const at = (sent * ROWS_A_FRAME + i) % actors.length;
            return row(actors[at] ?? first, sent % 50);
          });
          sent += 1;
          socket.send(frame(false, [...changed, row(first, sent)]));
        }, EVERY_MS);
      },
      message() {},
      close: () => clearInterval(timer),
    },
  });
  const browser = await openBrowser();
  const { page } = await openPage(browser, `${server.url.href}#/tree`, { still: false });
  await page.locator(".tree-row[data-id]").first().waitFor();
  const before = sent;
  const found = (await page.evaluate(countFrames(seconds * 1_000))) as Pick<
    Drawn,
    "frames" | "seconds" | "rows_most"
  >;
  const changes = (sent - before) * ROWS_A_FRAME;
  clearInterval(timer);
  const last_sent = sent;
  const cell = page.locator('.tree-row[data-id="n/top/g0/a0"] [data-title="Mailbox"]');
  const shown = async () => Number((await cell.textContent())?.replaceAll(",", ""));
  // What was sent last is on its way for a moment.
  for (let tries = 0; tries < 100 && (await shown()) !== last_sent; tries += 1) await Bun.sleep(50);
  const last_shown = await shown();
  await browser.close();
  await server.stop(true);
  return { ...found, changes, last_shown, last_sent };
}

/** Runs in the browser. */
const countFrames = (for_ms: number) => `new Promise((resolve) => {
  const from = performance.now();
  let frames = 0;
  let rows_most = 0;
  const count = () => {
    frames += 1;
    rows_most = Math.max(rows_most, document.querySelectorAll(".tree-row[data-id]").length);
    const passed_ms = performance.now() - from;
    if (passed_ms < ${for_ms}) requestAnimationFrame(count);
    else resolve({ frames, rows_most, seconds: passed_ms / 1000 });
  };
  requestAnimationFrame(count);
})`;
