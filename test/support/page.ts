/** The page in the system's Chromium, without any download: for tests and screenshots. */
import { readFileSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { type Lack, lacksProgram } from "./needs.ts";

/** Undefined: there is a browser. */
export const browserLack: Lack = lacksProgram("chromium");

export async function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: Bun.which("chromium") ?? "chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  });
}

export type Look = {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  readonly still?: boolean;
};

/** A page that has nothing kept from others; its faults are gathered in `faults`. */
export async function openPage(browser: Browser, url: string, look: Look = {}) {
  const { width = 1280, height = 800, dark = false, still = true } = look;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: still ? "reduce" : "no-preference",
    deviceScaleFactor: 1,
  });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (line) => {
    // A route that is not there yet is the server's, and is told by the view.
    const isFetch = line.text().startsWith("Failed to load resource");
    if (line.type() === "error" && !isFetch) faults.push(line.text());
  });
  await page.goto(url);
  return { page, faults, close: () => context.close() };
}

/** Ids of the rows that the tree shows now, those on the screen alone. */
export const shownIds = (page: Page): Promise<string[]> =>
  page
    .locator(".tree-row[data-id]")
    .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-id") ?? ""));

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export type Fault = {
  readonly id: string;
  readonly impact: string;
  readonly help: string;
  readonly nodes: string[];
};

/** Serious faults that WCAG 2.2 AA calls ones, by axe, with the elements that have them. */
export async function seriousFaults(page: Page): Promise<Fault[]> {
  await page.evaluate(axe);
  const found = (await page.evaluate(`axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }).then(({ violations }) => violations.map(({ id, impact, help, nodes }) => ({
    id, impact, help, nodes: nodes.slice(0, 5).map((node) => node.html.slice(0, 200)),
  })))`)) as Fault[];
  return found.filter(({ impact }) => ["serious", "critical"].includes(impact));
}
