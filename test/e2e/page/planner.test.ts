/** The planner's page and its report in a real browser. */
import { afterAll, beforeAll, expect } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { pageFor } from "../../../actors/inspector/page-html.ts";
import type { PlannerAnswer } from "../../../actors/inspector/planner-rows.ts";
import { plannerReport } from "../../../actors/planner/report/planner-report.ts";
import { bundlePage } from "../../../runtime/real/page/web-page.ts";
import { startCluster, until } from "../../support/cluster.ts";
import { type DoorSystem, startDoorSystem } from "../../support/inspector/door-system.ts";
import { describeWith, testWith } from "../../support/needs.ts";
import { browserLack, openBrowser, openPage, seriousFaults } from "../../support/page.ts";
import { TellingPlanner } from "../../support/planner/telling-planner.ts";
import { toldConfig, toldDecisions, toldHead } from "../../support/planner/told-decisions.ts";

const SHOWS_MS = 20_000;
const entry = join(import.meta.dir, "../../../actors/inspector/page/main.tsx");
const KNOWN = 150;

/** Runs in the browser: how many of each chart's pixels are drawn. */
const DRAWN = `[...document.querySelectorAll(".chart canvas")].map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let drawn = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) drawn += 1;
  return drawn;
})`;

/** Runs in the browser: of each plot, how wide and how high its lines are. */
const PLOTS = `[...document.querySelectorAll("figure svg")].map((plot) =>
  [...plot.querySelectorAll("polyline")].map((line) => {
    const { width, height } = line.getBBox();
    return { width, height };
  }))`;

describeWith(browserLack, "the planner's page", () => {
  let door: DoorSystem;
  let browser: Browser;
  const planner = new TellingPlanner();
  const from_ms = Date.now() - KNOWN * 5_000;
  const told = toldDecisions(KNOWN + 10, from_ms);

  beforeAll(async () => {
    const page = pageFor(() => bundlePage(entry), { mode: "inspector", inspector: null });
    for (const decision of told.slice(0, KNOWN)) planner.history.push(decision);
    [door, browser] = await Promise.all([startDoorSystem({ page }), openBrowser()]);
    await door.system.spawnReady(() => planner, { name: "tiny", role: "planner" });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await door?.[Symbol.asyncDispose]();
  });

  const listed = (page: Page) => page.locator("ol.decisions li");

  testWith(
    undefined,
    "charts are drawn, decisions say why, and news come by themselves",
    async () => {
      const { page, faults, close } = await openPage(browser, `${door.url}/#/planner`);
      await page.locator(".chart canvas").first().waitFor({ timeout: SHOWS_MS });
      const drawn = (await page.evaluate(DRAWN)) as number[];
      expect(drawn).toHaveLength(7);
      for (const pixels of drawn) expect(pixels).toBeGreaterThan(500);
      await page.getByRole("button", { name: "15 min" }).click();
      const serving = page.locator(".summary tr", { hasText: "serving" }).last();
      expect(await serving.locator("td").nth(3).textContent()).toBe("6");
      expect(await listed(page).first().textContent()).toContain("requests/s are predicted");
      const latest = page.locator("ul.decisions li").first();
      expect(await latest.textContent()).toBe(await listed(page).first().textContent());
      expect(await page.locator(".planner .chip:not([title])").count()).toBe(0);
      await page.locator("text=Charts and sums begin at").waitFor({ timeout: SHOWS_MS });
      const before = await listed(page).count();
      const next = told.slice(KNOWN);
      const change = next.find(({ actions }) => actions.length > 0);
      if (change === undefined) throw new Error("no decision changes anything");
      for (const decision of next) planner.history.push(decision);
      const action = { kind: "add", role: "decode", count: 2 } as const;
      const pending = [{ change: "plan-tiny-3-9-0", decision: 9, action, asked_ms: change.at_ms }];
      planner.head = { ...toldHead, pending };
      await page.locator("text=start 2 decode workers").waitFor({ timeout: SHOWS_MS });
      expect(await listed(page).count()).toBeGreaterThan(before);
      planner.head = { ...toldHead, standing: "waits" };
      await page.locator("text=has the model's name").waitFor({ timeout: SHOWS_MS });
      expect(faults).toEqual([]);
      await close();
    },
  );

  const looks = { light: {}, dark: { dark: true }, phone: { width: 390, height: 844 } };
  for (const [look, options] of Object.entries(looks)) {
    testWith(undefined, `can be used by everybody (${look})`, async () => {
      const { page, close } = await openPage(browser, `${door.url}/#/planner`, options);
      await page.locator(".chart canvas").first().waitFor({ timeout: SHOWS_MS });
      expect(await seriousFaults(page)).toEqual([]);
      const main = page.locator("main");
      expect(await main.evaluate((box) => box.scrollWidth > box.clientWidth)).toBe(false);
      const list = page.locator("ol.decisions");
      await list.focus();
      await page.keyboard.press("End");
      await until("the end of the list", SHOWS_MS, async () =>
        list.evaluate((box) => box.scrollTop > 0),
      );
      await close();
    });
  }

  testWith(undefined, "its report draws every plot and asks nobody for anything", async () => {
    const { page, faults, close } = await openPage(browser, `${door.url}/#/planner`);
    await page.locator(".view-head a").click({ timeout: SHOWS_MS });
    await page.locator("figure svg").first().waitFor({ timeout: SHOWS_MS });
    await checkPlots(page);
    expect(await seriousFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
    await close();
  });

  testWith(undefined, "a report of a replay is a file that needs no network", async () => {
    const facts = { title: "A replay", config: toldConfig, clock: "virtual" } as const;
    const context = await browser.newContext({ offline: true });
    const page = await context.newPage();
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.setContent(plannerReport(toldDecisions(KNOWN, 5_000), facts));
    await checkPlots(page);
    expect(asked).toEqual([]);
    await context.close();
  });
});

/** Nine plots: load, tokens, workers by role, two times, attainment, waiting, cost. */
async function checkPlots(page: Page): Promise<void> {
  const plots = (await page.evaluate(PLOTS)) as { width: number; height: number }[][];
  expect(plots).toHaveLength(9);
  for (const lines of plots) {
    expect(Math.max(...lines.map(({ width }) => width))).toBeGreaterThan(300);
    expect(Math.max(...lines.map(({ height }) => height))).toBeGreaterThanOrEqual(0);
  }
  const varied = plots.filter((lines) => lines.some(({ height }) => height > 50));
  expect(varied.length).toBeGreaterThanOrEqual(7);
  expect(await page.locator("table").count()).toBe(3);
}

testWith(
  undefined,
  "a cluster's planner is told by its inspector, and writes its report",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "troupe-planner-"));
    const file = join(folder, "planner.yaml");
    writeFileSync(file, `report_output_dir: ${folder}\nreport_interval_hours: 0.001\n`);
    await using cluster = await startCluster([
      ...["--engine", "mocker", "--planner", "sla", "--ttft-ms", "200", "--itl-ms", "20"],
      ...["--planner-config", file, "--planner-advisory", "--max-workers", "2"],
    ]);
    const row = async () => {
      const answer = await fetch(`${cluster.inspector}/api/planner`);
      return ((await answer.json()) as PlannerAnswer).planners[0];
    };
    await until("two ticks of the planner", SHOWS_MS, async () => {
      return ((await row())?.points.length ?? 0) >= 2;
    });
    const planner = await row();
    expect(planner).toMatchObject({ node: "planner-0", standing: "advises", others: [] });
    expect(planner?.config).toMatchObject({ ttft_ms: 200, itl_ms: 20, max_workers: 2 });
    expect(planner?.points.at(-1)?.roles.aggregated).toMatchObject({ serving: 1 });
    const report = await fetch(`${cluster.inspector}/api/planner/report`);
    expect(await report.text()).toContain("<figure>");
    await until("its report in a file", SHOWS_MS, async () =>
      readdirSync(folder).includes("planner-troupe-tiny.html"),
    );
    expect(readFileSync(join(folder, "planner-troupe-tiny.html"), "utf8")).toContain("<figure>");
    rmSync(folder, { recursive: true });
  },
  90_000,
);
