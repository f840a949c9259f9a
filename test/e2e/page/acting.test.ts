/** Acting from the page, on a real cluster: what is asked, what is done, what is lost: nothing. */
import { afterAll, beforeAll, expect } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { type Cluster, startCluster, tree, until } from "../../support/cluster.ts";
import { describeWith, testWith } from "../../support/needs.ts";
import { browserLack, openBrowser, openPage } from "../../support/page.ts";
import { streamAnswer } from "../../support/streamed-answer.ts";

const SHOWS_MS = 20_000;
const ACTS_MS = 60_000;

describeWith(browserLack, "acting from the page", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser();
  }, 30_000);
  afterAll(() => browser?.close());

  const processOf = async (cluster: Cluster, worker: string) => {
    const found = (await tree(cluster)).find(
      ({ kind, path }) => kind === "process" && path.endsWith(`/${worker}/process`),
    );
    if (found === undefined) throw new Error(`there is no process of ${worker}`);
    return found;
  };

  testWith(
    undefined,
    "drain loses no answer",
    async () => {
      await using cluster = await startCluster(["--engine", "mocker", "--workers", "2"]);
      const { id } = await processOf(cluster, "worker-0");
      const { page, faults, close } = await openPage(
        browser,
        `${cluster.inspector}/#/actor/${encodeURIComponent(id)}`,
      );
      const drain = page.locator(".acts button", { hasText: "Drain" });
      await drain.click({ timeout: SHOWS_MS });
      let isOver = false;
      const ask = async (n: number) => {
        const answers = [];
        while (!isOver || answers.length < 2) {
          const prompt = `Tell number ${n} something. `.repeat(4);
          answers.push(await streamAnswer(cluster.url, { prompt, max_tokens: 60 }));
        }
        return answers;
      };
      const clients = Array.from({ length: 8 }, (_, n) => ask(n));
      const answered = async () => {
        const { requests } = (await (await fetch(`${cluster.inspector}/api/requests`)).json()) as {
          requests: { workers: string[]; state: string }[];
        };
        return requests.some(
          ({ workers, state }) => state === "live" && workers.includes("worker-0"),
        );
      };
      await until("an answer at worker-0", SHOWS_MS, answered);
      await page.locator("dialog[open] button[type=submit]").click();
      await page.locator(".toast.good").waitFor({ timeout: SHOWS_MS });
      await until(
        "the worker's next life",
        ACTS_MS,
        async () =>
          cluster.log().includes("drained") ||
          (await tree(cluster)).some(
            ({ id: each, restarts }) => each.startsWith("worker-0/") && restarts > 0,
          ),
      );
      isOver = true;
      const answers = (await Promise.all(clients)).flat();
      expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
      expect(new Set(answers.map(({ finish_reason }) => finish_reason))).toEqual(
        new Set(["length"]),
      );
      expect(faults).toEqual([]);
      await close();
    },
    180_000,
  );

  testWith(
    undefined,
    "a worker is added, undone from the log, and weights of the router change",
    async () => {
      await using cluster = await startCluster(["--engine", "mocker", "--workers", "1"]);
      const { page, faults, close } = await openPage(browser, `${cluster.inspector}/#/operate`);
      const workers = async () =>
        (await tree(cluster)).filter(({ kind, role }) => kind === "process" && role === "worker")
          .length;
      await page.locator("button", { hasText: "Add workers" }).click({ timeout: SHOWS_MS });
      await confirm(page);
      await until("two workers", ACTS_MS, async () => (await workers()) === 2);
      const undo = page.locator(".table button", { hasText: "Undo" }).first();
      await undo.click({ timeout: ACTS_MS });
      await until("one worker", ACTS_MS, async () => (await workers()) === 1);
      await page.locator(".table", { hasText: "undone" }).waitFor({ timeout: SHOWS_MS });

      const queue = page.locator(".operate-weights label", { hasText: "queue weight" });
      await queue.locator("input").fill("2.5");
      await page.locator("button", { hasText: "Change weights" }).click();
      await confirm(page);
      await page.locator(".toast.good").last().waitFor({ timeout: SHOWS_MS });
      const { weights } = (await (await fetch(`${cluster.inspector}/api/router`)).json()) as {
        weights: Record<string, number>;
      };
      expect(weights["queue_weight"]).toBe(2.5);

      await page.locator("button", { hasText: "Export configuration" }).click();
      const yaml = page.locator("dialog[open] pre");
      await yaml.waitFor({ timeout: SHOWS_MS });
      expect(await yaml.textContent()).toContain("queue_weight=2.5");
      expect(faults).toEqual([]);
      await close();
    },
    180_000,
  );

  testWith(
    undefined,
    "where the inspector is not on loopback, nothing is done without the token",
    async () => {
      const token = "a-token-of-the-test";
      await using cluster = await startCluster([
        ...["--engine", "mocker", "--workers", "1"],
        ...["--inspector-host", "0.0.0.0", "--inspector-token", token],
      ]);
      const url = cluster.inspector.replace("0.0.0.0", "127.0.0.1");
      const local = { ...cluster, inspector: url } as Cluster;
      const { id, pid } = await processOf(local, "worker-0");
      const path = `/api/actors/${encodeURIComponent(id)}/restart`;
      expect((await fetch(url + path, { method: "POST" })).status).toBe(401);
      const hash = `#/actor/${encodeURIComponent(id)}`;
      const { page, close } = await openPage(browser, `${url}/${hash}`);
      await page.locator(".acts button", { hasText: "Restart" }).click({ timeout: SHOWS_MS });
      const dialog = page.locator("dialog[open]");
      const field = dialog.locator('input[type="password"]');
      await field.fill("another one");
      await dialog.locator("button[type=submit]").click();
      await dialog.locator('[role="alert"]').waitFor({ timeout: SHOWS_MS });
      expect((await processOf(local, "worker-0")).pid).toBe(pid);
      await field.fill(token);
      await dialog.locator("button[type=submit]").click();
      await page.locator(".toast.good").waitFor({ timeout: SHOWS_MS });
      await until("another process", ACTS_MS, async () => {
        const now = (await tree(local)).find((node) => node.id === id);
        return now !== undefined && now.pid > 0 && now.pid !== pid;
      });
      await close();
      // A link with the token needs no typing, and does not keep it in the address.
      const linked = await openPage(browser, `${url}/#token=${token}`);
      await linked.page.locator("main").waitFor({ timeout: SHOWS_MS });
      expect(linked.page.url()).not.toContain(token);
      await linked.close();
    },
    120_000,
  );

  testWith(
    undefined,
    "a cluster that is read only shows everything and offers nothing",
    async () => {
      await using cluster = await startCluster([
        ...["--engine", "mocker", "--workers", "1", "--inspector-read-only"],
      ]);
      const { id } = await processOf(cluster, "worker-0");
      const hash = `#/actor/${encodeURIComponent(id)}`;
      const { page, faults, close } = await openPage(browser, `${cluster.inspector}/${hash}`);
      await page.locator(".stats").first().waitFor({ timeout: SHOWS_MS });
      await page.locator(".where", { hasText: "read only" }).waitFor({ timeout: SHOWS_MS });
      expect(await page.locator(".acts button").count()).toBe(0);
      const path = `/api/actors/${encodeURIComponent(id)}/kill`;
      expect((await fetch(cluster.inspector + path, { method: "POST" })).status).toBe(403);
      expect(faults).toEqual([]);
      await close();
    },
    60_000,
  );
});

async function confirm(page: Page): Promise<void> {
  const dialog = page.locator("dialog[open]");
  await dialog.locator("button[type=submit]").click({ timeout: SHOWS_MS });
  await dialog.waitFor({ state: "detached", timeout: ACTS_MS });
}
