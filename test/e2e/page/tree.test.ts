/** The real page in a real browser, over a real cluster: tree, restarts, an actor, acting, keys. */
import { afterAll, beforeAll, expect } from "bun:test";
import type { Browser } from "playwright-core";
import { type Cluster, startCluster, tree, until } from "../../support/cluster.ts";
import { describeWith, testWith } from "../../support/needs.ts";
import { browserLack, openBrowser, openPage, shownIds } from "../../support/page.ts";

/** A page may take this long to show what the cluster tells it twice a second. */
const SHOWS_MS = 20_000;

describeWith(browserLack, "the inspector's page", () => {
  let cluster: Cluster;
  let browser: Browser;

  beforeAll(async () => {
    [cluster, browser] = await Promise.all([
      startCluster(["--engine", "mocker", "--prefill", "2", "--decode", "2"]),
      openBrowser(),
    ]);
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await cluster?.[Symbol.asyncDispose]();
  });

  const open = (hash: string, look = {}) => openPage(browser, `${cluster.inspector}/${hash}`, look);

  testWith(
    undefined,
    "its tree shows every process of the cluster, with state and pid",
    async () => {
      const { page, faults, close } = await open("#/tree", { height: 2_400 });
      const processes = (await tree(cluster)).filter(({ kind }) => kind === "process");
      expect(processes.filter(({ role }) => role === "prefill")).toHaveLength(2);
      expect(processes.filter(({ role }) => role === "decode")).toHaveLength(2);
      for (const { id, pid } of processes) {
        const row = page.locator(`.tree-row[data-id="${id}"]`);
        await row.waitFor({ timeout: SHOWS_MS });
        const text = (await row.textContent()) ?? "";
        expect(text).toContain(String(pid));
        expect(text).toContain("running");
      }
      const { nodes } = (await (await fetch(`${cluster.inspector}/api/tree`)).json()) as {
        nodes: { id: string }[];
      };
      const shown = new Set(await shownIds(page));
      // Actors of single requests come and go.
      const lacking = nodes.filter(({ id }) => !shown.has(id));
      expect(lacking).toEqual([]);
      await page.locator(".link-state.live").waitFor({ timeout: SHOWS_MS });
      expect(faults).toEqual([]);
      await close();
    },
  );

  testWith(
    undefined,
    "a process that was killed flashes when it is back, and says why it ended",
    async () => {
      const { page, close } = await open("#/tree", { height: 2_400, still: false });
      const victim = (await tree(cluster)).find(
        ({ kind, path }) => kind === "process" && path.includes("decode-1"),
      );
      if (victim === undefined) throw new Error("there is no process of decode-1");
      const row = page.locator(`.tree-row[data-id="${victim.id}"]`);
      await row.waitFor({ timeout: SHOWS_MS });
      process.kill(victim.pid, "SIGKILL");
      await page.locator(`.tree-row.flash[data-id="${victim.id}"]`).waitFor({ timeout: SHOWS_MS });
      expect(await row.textContent()).toContain("restarted");
      const animation = await page.evaluate(FLASHES);
      expect(animation).toBe("flash");
      // For those who do not see it.
      const said = page.locator('.tree-view [aria-live="polite"]');
      expect(await said.textContent()).toContain("started again");
      expect(await row.locator(".tree-crash").textContent()).toContain("SIGKILL");
      const pid = row.locator('[title="Process id"]');
      await until("the new process", SHOWS_MS, async () => {
        const text = (await pid.count()) === 0 ? "" : await pid.textContent();
        return text !== "" && text !== String(victim.pid);
      });
      await close();
    },
  );

  testWith(
    undefined,
    "keys move in the tree, close and open branches, search, and go to an actor",
    async () => {
      const { page, faults, close } = await open("#/tree", { height: 2_400 });
      const grid = page.locator('[role="treegrid"]');
      await grid.waitFor({ timeout: SHOWS_MS });
      await page.locator('.tree-row[data-id="root/cluster"]').waitFor({ timeout: SHOWS_MS });
      await grid.focus();
      const chosen = () => page.locator('.tree-row[aria-selected="true"]').getAttribute("data-id");
      await page.keyboard.press("Home");
      expect(await chosen()).toBe("root/cluster");
      await page.keyboard.press("ArrowLeft");
      await until("a closed tree", SHOWS_MS, async () => (await shownIds(page)).length === 1);
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowRight");
      expect(await chosen()).toBe("root/cluster/registry");
      await page.keyboard.press("ArrowLeft");
      expect(await chosen()).toBe("root/cluster");
      await page.keyboard.press("/");
      await page.keyboard.type("decode-0/process");
      await until("the row that was looked for", SHOWS_MS, async () =>
        (await shownIds(page)).includes("root/cluster/workers/decode-0/process"),
      );
      expect(await shownIds(page)).not.toContain("root/cluster/registry");
      await page.keyboard.press("Escape");
      await until("all rows", SHOWS_MS, async () =>
        (await shownIds(page)).includes("root/cluster/registry"),
      );
      await page.keyboard.press("?");
      await page.locator("dialog[open]").waitFor({ timeout: SHOWS_MS });
      await page.keyboard.press("Escape");
      await page.locator("dialog[open]").waitFor({ state: "detached", timeout: SHOWS_MS });
      await grid.focus();
      await page.keyboard.press("Enter");
      await page.waitForURL(/#\/actor\/root%2Fcluster$/, { timeout: SHOWS_MS });
      expect(faults).toEqual([]);
      await close();
    },
  );

  testWith(
    undefined,
    "an actor's messages are recorded while it is looked at, and can be stepped through",
    async () => {
      const { page, faults, close } = await open(
        `#/actor/${encodeURIComponent("frontend-0/frontend/door")}`,
      );
      const entries = page.locator(".history-list li");
      await until("three messages", SHOWS_MS, async () => (await entries.count()) >= 3);
      const slider = page.locator('.history-slider input[type="range"]');
      await slider.focus();
      await page.keyboard.press("Home");
      const at = page.locator(".history-at");
      await until(
        "the oldest one",
        SHOWS_MS,
        async () => (await at.textContent())?.startsWith("1/") === true,
      );
      const first = await page.locator('.history-list [aria-current="true"] time').textContent();
      await page.keyboard.press("ArrowRight");
      expect(await at.textContent()).toStartWith("2/");
      expect(await page.locator('.history-list [aria-current="true"] time').textContent()).not.toBe(
        first,
      );
      // What is chosen stays while others come.
      const before = await entries.count();
      await until("one more", SHOWS_MS, async () => (await entries.count()) > before);
      expect(await at.textContent()).toStartWith("2/");
      await page.locator('[role="tab"]', { hasText: "Message" }).click();
      expect(await page.locator('[role="tabpanel"]').textContent()).toContain("kind");
      expect(await page.locator(".relations").textContent()).toContain("frontend-0/frontend");
      expect(faults).toEqual([]);
      await close();
    },
  );

  testWith(undefined, "an act is asked for once, done, and told", async () => {
    const worker = (await tree(cluster)).find(
      ({ kind, path }) => kind === "process" && path.includes("prefill-1"),
    );
    if (worker === undefined) throw new Error("there is no process of prefill-1");
    const { page, faults, close } = await open(`#/actor/${encodeURIComponent(worker.id)}`);
    const button = page.locator(".acts button", { hasText: "Restart" });
    await button.click({ timeout: SHOWS_MS });
    const dialog = page.locator("dialog[open]");
    await dialog.waitFor({ timeout: SHOWS_MS });
    expect(await dialog.textContent()).toContain("What will happen");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached", timeout: SHOWS_MS });
    const restarts = async () =>
      (await tree(cluster)).find(({ id }) => id === worker.id)?.pid ?? worker.pid;
    expect(await restarts()).toBe(worker.pid);
    await button.click();
    await page.locator("dialog[open] button[type=submit]").click();
    await page.locator(".toast.good").waitFor({ timeout: SHOWS_MS });
    await until("another process", SHOWS_MS, async () => {
      const pid = await restarts();
      return pid !== worker.pid && pid > 0;
    });
    expect(faults).toEqual([]);
    await close();
  });

  testWith(undefined, "a page whose inspector was away comes back by itself", async () => {
    const { page, faults, close } = await open("#/tree");
    await page.locator(".link-state.live").waitFor({ timeout: SHOWS_MS });
    const sockets = page.waitForEvent("websocket", { timeout: SHOWS_MS });
    const door = encodeURIComponent("root/cluster/inspector-door");
    // Its answer may be lost with the door.
    await fetch(`${cluster.inspector}/api/actors/${door}/kill`, { method: "POST" }).catch(() => {});
    // Another socket than the one that it had.
    await sockets;
    await page.locator(".link-state.live").waitFor({ timeout: SHOWS_MS });
    const row = page.locator('.tree-row[data-id="root/cluster/inspector-door"]');
    await until("the restart in the tree", SHOWS_MS, async () =>
      /[1-9]/.test((await row.locator('[data-title="Restarts"]').textContent()) ?? ""),
    );
    expect(faults.filter((fault) => !fault.includes("WebSocket"))).toEqual([]);
    await close();
  });

  testWith(
    undefined,
    "the page is small, and a browser at the OpenAI port gets it as well",
    async () => {
      const headers = { accept: "text/html", "accept-encoding": "gzip" };
      for (const url of [cluster.inspector, cluster.url]) {
        const response = await fetch(`${url}/`, { headers, decompress: false } as RequestInit);
        expect(response.headers.get("content-encoding")).toBe("gzip");
        expect((await response.arrayBuffer()).byteLength).toBeLessThan(SMALL_BYTES);
      }
      const plain = await fetch(`${cluster.url}/`);
      const { name, routes } = (await plain.json()) as { name: string; routes: string[] };
      expect([name, routes.includes("GET /v1/models")]).toEqual(["troupe", true]);
      const { page, faults, close } = await openPage(browser, cluster.url);
      await page.locator("main").waitFor({ timeout: SHOWS_MS });
      expect(await page.locator("nav.nav").count()).toBe(0);
      expect(await page.locator(".top a[href^='http']").getAttribute("href")).toBe(
        `${cluster.inspector}/`,
      );
      expect(faults).toEqual([]);
      await close();
    },
  );
});

/** Runs in the browser. */
const FLASHES = 'getComputedStyle(document.querySelector(".tree-row.flash")).animationName';

/** Zipped; an operations page over a slow line is here in a second. */
const SMALL_BYTES = 80 * 1024;
