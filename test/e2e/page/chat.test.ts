/**
 * The chat on the inspector's page in a real browser, against the bundled model on two workers: the
 * answering worker is killed from the page, the connection is lost, the reader stops.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { Browser, Locator, Page } from "playwright-core";
import { type Cluster, pidOfWorker, startCluster, until } from "../../support/cluster.ts";
import { cutProxy } from "../../support/inspector/cut-proxy.ts";
import { describeWith } from "../../support/needs.ts";
import { browserLack, openBrowser, openPage } from "../../support/page.ts";

/** Letters alone, so that Markdown has nothing to read in them. */
const WORDS = 120;
const schema = {
  type: "array",
  items: { type: "string", pattern: "^[a-z]{4,12}$" },
  minItems: WORDS,
  maxItems: WORDS,
};

let cluster: Cluster;
let browser: Browser;
let opened: { page: Page; faults: string[]; close: () => Promise<void> } | undefined;

beforeAll(async () => {
  if (browserLack !== undefined) return;
  [cluster, browser] = await Promise.all([startCluster(["--workers", "2"]), openBrowser()]);
}, 90_000);
afterEach(async () => {
  await opened?.close();
  opened = undefined;
});
afterAll(async () => {
  await browser?.close();
  await cluster?.[Symbol.asyncDispose]();
});

async function openChat(url: string): Promise<Page> {
  opened = await openPage(browser, url);
  const { page } = opened;
  await page.locator("option", { hasText: "troupe-tiny" }).waitFor(attached);
  return page;
}
const attached = { state: "attached", timeout: 30_000 } as const;
const slow = { timeout: 60_000 } as const;

async function ask(page: Page, question: string): Promise<void> {
  await page.getByLabel("Your message").fill(question);
  await page.keyboard.press("Enter");
}

async function askForWords(page: Page): Promise<void> {
  await page.getByLabel("JSON schema of the answer").fill(JSON.stringify(schema));
  await ask(page, "Write a list of words.");
}

const answered = (page: Page) => page.getByRole("button", { name: "Send" }).waitFor(slow);
const textOf = async (found: Locator): Promise<string> => (await found.textContent()) ?? "";
const figures = (page: Page) => textOf(page.locator(".said.assistant .figures").last());

/** What was said, without what the page says of it. */
async function said(page: Page): Promise<string> {
  const answer = page.locator(".said.assistant .markdown").last();
  const seams = await answer.locator(".seam").allTextContents();
  return seams.reduce((text, seam) => text.replace(seam, ""), await textOf(answer));
}

async function expectWords(page: Page): Promise<void> {
  const words = JSON.parse(await said(page)) as unknown;
  expect(Array.isArray(words) && words.length).toBe(WORDS);
}

/** Of the last answer: what its spans say of its time. */
async function expectWaterfall(page: Page): Promise<void> {
  await page.locator(".said.assistant").last().getByRole("link", { name: "Request" }).click();
  const sum = page.locator("[data-sum-ms]");
  await sum.waitFor(slow);
  const [sum_ms, took_ms] = await Promise.all(
    ["data-sum-ms", "data-duration-ms"].map(async (name) => Number(await sum.getAttribute(name))),
  );
  expect(took_ms).toBeGreaterThan(0);
  expect(Math.abs(sum_ms! - took_ms!) / took_ms!).toBeLessThan(0.05);
  const spans = await page.locator(".waterfall .span").allTextContents();
  for (const name of ["validate", "tokenize", "route", "prefill", "decode"]) {
    expect(spans).toContain(name);
  }
}

describeWith(browserLack, "the chat", () => {
  test("an answer streams in, with its worker, figures and reasoning folded away", async () => {
    const page = await openChat(`${cluster.inspector}/#/chat`);
    await page.getByLabel("Temperature").fill("0");
    await ask(page, "What is a lease? Think step by step.");
    await answered(page);
    expect(await said(page)).toContain("10 seconds");
    expect(await figures(page)).toMatch(
      /worker-\d · TTFT .*tokens\/s · answer \d+ tokens · prompt/,
    );
    const reasoning = page.locator(".reasoning");
    expect(await reasoning.getAttribute("open")).toBeNull();
    await reasoning.locator("summary").click();
    expect((await textOf(reasoning)).length).toBeGreaterThan(20);
    await expectWaterfall(page);
    expect(opened?.faults).toEqual([]);
  }, 90_000);

  test("the answering worker is killed, and the answer goes on", async () => {
    const page = await openChat(`${cluster.inspector}/#/chat`);
    await askForWords(page);
    const kill = page.getByRole("button", { name: /^Kill worker-\d$/ });
    await kill.waitFor(slow);
    const worker = (await textOf(kill)).replace("Kill ", "");
    const pid = await pidOfWorker(cluster, worker);
    await kill.click();
    await page.getByRole("dialog").getByRole("button", { name: "kill -9" }).click();
    const seam = page.locator(".seam");
    await seam.waitFor(slow);
    expect(await textOf(seam)).toMatch(new RegExp(`^${worker} → worker-\\d$`));
    await answered(page);
    // Nothing is lost or twice at the seam: the whole is still what the schema asks for.
    await expectWords(page);
    expect(await seam.count()).toBe(1);
    await expectWaterfall(page);
    expect(await page.locator(".waterfall .span.mark").count()).toBeGreaterThan(0);
    // The decision of the router, with the cost of each of the two workers.
    await page
      .getByRole("heading", { name: /^Who answers it: worker-/ })
      .first()
      .waitFor();
    expect(await page.getByLabel("Costs of 2 workers").count()).toBeGreaterThan(0);
    await until("the worker to come back with another pid", 30_000, async () => {
      const now = await pidOfWorker(cluster, worker).catch(() => pid);
      return now !== pid && now !== 0;
    });
    expect(opened?.faults).toEqual([]);
  }, 120_000);

  test("a connection that is lost is taken up behind the last event", async () => {
    using proxy = cutProxy(cluster.inspector);
    const page = await openChat(`${proxy.url}/#/chat`);
    await askForWords(page);
    await page.locator(".said.assistant .markdown").waitFor(slow);
    proxy.cut();
    await page.locator(".said.assistant.reconnecting").waitFor(slow);
    proxy.mend();
    await answered(page);
    await expectWords(page);
    expect(await figures(page)).toContain("reconnected");
  }, 120_000);

  test("the conversation is there after the page was loaded again", async () => {
    const page = await openChat(`${cluster.inspector}/#/chat`);
    await page.getByLabel("Temperature").fill("0");
    await ask(page, "What is Troupe?");
    await answered(page);
    await page.reload();
    expect(await said(page)).toContain("supervised actor system");
    await page.getByRole("button", { name: "New chat" }).click();
    await page.getByText("Ask the cluster something").waitFor();
    expect(await page.locator(".said").count()).toBe(0);
  }, 90_000);

  test("what is wrong in the settings is said beside the field", async () => {
    const page = await openChat(`${cluster.inspector}/#/chat`);
    await page.getByLabel("Temperature").fill("9");
    await page.getByLabel("Tools (JSON)").fill("{");
    await ask(page, "What is Troupe?");
    await page.getByText("A number from 0 to 2.").waitFor();
    await page.getByText("This is not JSON").waitFor();
    expect(await page.locator(".said").count()).toBe(0);
  }, 60_000);

  test("the API's own port serves the chat, which leads to the inspector", async () => {
    const page = await openChat(`${cluster.url}/`);
    await askForWords(page);
    await page.locator(".said.assistant .markdown").waitFor(slow);
    expect(await page.getByRole("button", { name: /^Kill/ }).count()).toBe(0);
    expect(await page.locator(".composer").getByRole("link").count()).toBe(1);
    await page.getByRole("button", { name: "Stop" }).click();
    await answered(page);
    expect(await figures(page)).toContain("stopped");
    expect(opened?.faults).toEqual([]);
  }, 90_000);
});
