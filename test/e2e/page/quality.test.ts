/** The page for everybody and under load: axe finds no serious fault, many changes stay smooth. */
import { afterAll, beforeAll, expect } from "bun:test";
import { readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { type Cluster, startCluster } from "../../support/cluster.ts";
import { describeWith, testWith } from "../../support/needs.ts";
import { browserLack, openBrowser, openPage } from "../../support/page.ts";
import { drawn } from "../../support/page-feed.ts";

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

type Found = {
  readonly id: string;
  readonly impact: string;
  readonly help: string;
  readonly nodes: string[];
};

/** Faults that WCAG 2.2 AA calls ones, by axe, with the elements that have them. */
async function faultsOf(page: Page): Promise<Found[]> {
  await page.evaluate(axe);
  return (await page.evaluate(`axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }).then(({ violations }) => violations.map(({ id, impact, help, nodes }) => ({
    id, impact, help, nodes: nodes.slice(0, 5).map((node) => node.html.slice(0, 200)),
  })))`)) as Found[];
}

/** Runs in the browser: whether the page has to be scrolled sideways to be read. */
const TOO_WIDE = `[document.documentElement, document.querySelector("main")].some(
  (box) => box.scrollWidth > box.clientWidth,
)`;

const views = ["tree", "requests", "kv", "load", "planner", "chat", "operate"] as const;
const actor = `actor/${encodeURIComponent("frontend-0/frontend/door")}`;
const SHOWS_MS = 20_000;

describeWith(browserLack, "the page", () => {
  let cluster: Cluster;
  let browser: Browser;

  beforeAll(async () => {
    [cluster, browser] = await Promise.all([
      startCluster(["--engine", "mocker", "--prefill", "1", "--decode", "1"]),
      openBrowser(),
    ]);
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await cluster?.[Symbol.asyncDispose]();
  });

  const looks = { light: {}, dark: { dark: true }, phone: { width: 390, height: 844 } };
  for (const [look, options] of Object.entries(looks)) {
    testWith(
      undefined,
      `has no serious fault of access in any view (${look})`,
      async () => {
        const found: [view: string, fault: Found][] = [];
        for (const view of [...views, actor]) {
          const { page, close } = await openPage(
            browser,
            `${cluster.inspector}/#/${view}`,
            options,
          );
          await page.locator("main h1, main [role=treegrid], .history-list li").first().waitFor({
            timeout: SHOWS_MS,
          });
          for (const fault of await faultsOf(page)) found.push([view, fault]);
          const wide = await page.evaluate(TOO_WIDE);
          expect([view, wide]).toEqual([view, false]);
          await close();
        }
        const serious = found.filter(([, { impact }]) => ["serious", "critical"].includes(impact));
        expect(serious).toEqual([]);
      },
      120_000,
    );
  }

  testWith(
    undefined,
    "draws only what is on the screen, and the latest of many changes",
    async () => {
      const { frames, rows_most, last_shown, last_sent } = await drawn({
        rows: 10_000,
        seconds: 2,
      });
      expect(frames).toBeGreaterThan(0);
      expect(rows_most).toBeLessThan(100);
      expect(last_shown).toBe(last_sent);
    },
  );
});
