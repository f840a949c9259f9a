/**
 * Requests on the inspector's page in a real browser: one that is stuck is seen at once, one is
 * followed while it runs; blocks and load of the same cluster have their views.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { type Cluster, startCluster, tree, until } from "../../support/cluster.ts";
import { describeWith } from "../../support/needs.ts";
import { browserLack, openBrowser, openPage } from "../../support/page.ts";

let cluster: Cluster;
let browser: Browser;
let opened: { page: Page; faults: string[]; close: () => Promise<void> } | undefined;

beforeAll(async () => {
  if (browserLack !== undefined) return;
  const args = ["--engine", "mocker", "--workers", "1"];
  [cluster, browser] = await Promise.all([startCluster(args), openBrowser()]);
}, 90_000);
afterEach(async () => {
  await opened?.close();
  opened = undefined;
});
afterAll(async () => {
  await browser?.close();
  await cluster?.[Symbol.asyncDispose]();
});

const slow = { timeout: 60_000 } as const;

async function open(view: string): Promise<Page> {
  opened = await openPage(browser, `${cluster.inspector}/#/${view}`);
  return opened.page;
}

/** A stream that goes on until it is left. */
async function longAnswer(content: string) {
  const leaving = new AbortController();
  const { data } = (await (await fetch(`${cluster.url}/v1/models`)).json()) as {
    data: { id: string }[];
  };
  const response = await fetch(`${cluster.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ model: data[0]?.id, stream: true, ignore_eos: true, max_tokens: 8_000 },
      messages: [{ role: "user", content }],
    }),
    signal: leaving.signal,
  });
  expect(response.status).toBe(200);
  // Who does not read holds the answer up.
  void response.text().catch(() => "");
  const id = response.headers.get("x-request-id") ?? "";
  return { id, leave: () => leaving.abort() };
}

async function toWorker(action: "suspend" | "resume"): Promise<void> {
  const worker = (await tree(cluster)).find(
    ({ kind, role }) => kind === "actor" && role === "worker",
  );
  const path = `/api/actors/${encodeURIComponent(worker?.id ?? "")}/${action}`;
  const { status } = await fetch(`${cluster.inspector}${path}`, { method: "POST" });
  expect(status).toBe(200);
}

describeWith(browserLack, "requests on the page", () => {
  test("one that makes no progress stands first and is said to be stuck", async () => {
    const old = await longAnswer("This one goes on.");
    old.leave();
    const { leave } = await longAnswer("This one is held up.");
    const page = await open("requests");
    await page.locator("tbody tr", { hasText: "live in decode" }).waitFor(slow);
    await toWorker("suspend");
    await page.getByText("One request makes no progress.").waitFor(slow);
    const first = page.locator("tbody tr").first();
    expect(await first.getAttribute("class")).toBe("stuck");
    expect(await first.textContent()).toMatch(/stuck in \w+/);
    await page.getByRole("button", { name: "Stuck 1" }).click();
    expect(await page.locator("tbody tr").count()).toBe(1);
    await toWorker("resume");
    await page.getByText("One request makes no progress.").waitFor({ ...slow, state: "detached" });
    leave();
    expect(opened?.faults).toEqual([]);
  }, 120_000);

  test("one is found by its id and followed while it runs, by keys alone", async () => {
    const { id, leave } = await longAnswer("Follow this one.");
    const page = await open("requests");
    await page.locator("tbody tr", { hasText: "live" }).first().waitFor(slow);
    await page.keyboard.press("/");
    await page.keyboard.type(id.slice(0, 12));
    const link = page.locator("tbody a");
    const rows = page.locator("tbody tr");
    await until("one row to be left", 30_000, async () => (await rows.count()) === 1);
    await link.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Answer, as it comes" }).waitFor(slow);
    const text = page.locator(".request-text").first();
    await text.waitFor(slow);
    const before = await text.textContent();
    await until("more text", 30_000, async () => (await text.textContent()) !== before);
    // Arrow keys go through the spans, and the chosen one says what it knows.
    await page.locator(".span[tabindex='0']").focus();
    await page.keyboard.press("ArrowRight");
    expect(await page.locator(".span:focus").count()).toBe(1);
    expect(await page.locator(".span-facts strong").count()).toBe(1);
    leave();
    await page.getByRole("heading", { name: "Answer", exact: true }).waitFor(slow);
    expect(await page.locator(".request-facts").textContent()).toContain("cancelled");
    expect(opened?.faults).toEqual([]);
  }, 120_000);

  test("on a phone the list and a request's page are as wide as the screen", async () => {
    const { id, leave } = await longAnswer("Seen on a phone.");
    leave();
    opened = await openPage(browser, `${cluster.inspector}/#/requests`, {
      width: 390,
      height: 844,
    });
    const { page } = opened;
    const isWide = () => page.evaluate("document.documentElement.scrollWidth > innerWidth");
    await page.locator("tbody tr").first().waitFor(slow);
    expect(await isWide()).toBe(false);
    await page.goto(`${cluster.inspector}/#/requests/${id}`);
    await page.locator(".waterfall").waitFor(slow);
    expect(await isWide()).toBe(false);
  }, 60_000);

  test("a request that nobody remembers is said to be gone", async () => {
    const page = await open("requests/AAAAAAAAAAAAAAAAAAAAAA");
    await page.getByText("This request is not here").waitFor(slow);
  }, 60_000);

  test("the blocks and the load of an answer are seen", async () => {
    const { leave } = await longAnswer(`Fill some blocks. ${"word ".repeat(400)}`);
    const page = await open("kv");
    await page.getByRole("img", { name: /G1 engine: .*complete/ }).waitFor(slow);
    await page.goto(`${cluster.inspector}/#/load`);
    await page.locator(".chart canvas").first().waitFor(slow);
    const running = page.locator(".stat", { hasText: "Running" }).locator("dd");
    await running.getByText("1", { exact: true }).waitFor(slow);
    await page.getByRole("button", { name: "By worker" }).click();
    await page.getByRole("rowheader", { name: "worker-0", exact: true }).first().waitFor(slow);
    leave();
    expect(opened?.faults).toEqual([]);
  }, 120_000);
});
