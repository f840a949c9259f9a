/** The page for everybody and under load: axe finds no serious fault, many changes stay smooth. */
import { afterAll, beforeAll, expect } from "bun:test";
import type { Browser } from "playwright-core";
import { type Cluster, startCluster } from "../../support/cluster.ts";
import { describeWith, testWith } from "../../support/needs.ts";
import {
  browserLack,
  type Fault,
  openBrowser,
  openPage,
  seriousFaults,
} from "../../support/page.ts";
import { drawn } from "../../support/page-feed.ts";

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
        const found: [view: string, fault: Fault][] = [];
        for (const view of [...views, actor]) {
          const { page, close } = await openPage(
            browser,
            `${cluster.inspector}/#/${view}`,
            options,
          );
          await page.locator("main h1, main [role=treegrid], .history-list li").first().waitFor({
            timeout: SHOWS_MS,
          });
          for (const fault of await seriousFaults(page)) found.push([view, fault]);
          const wide = await page.evaluate(TOO_WIDE);
          expect([view, wide]).toEqual([view, false]);
          await close();
        }
        expect(found).toEqual([]);
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
