/**
 * `bun test/support/screenshots.ts FOLDER [VIEW …]`: starts a cluster of simulated workers under
 * load, and writes a picture of each view: light, dark, and as wide as a phone.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { type Cluster, startCluster } from "./cluster.ts";
import { openBrowser, openPage } from "./page.ts";

const [folder = "screenshots", ...only] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });

const looks = {
  light: {},
  dark: { dark: true },
  phone: { width: 390, height: 844 },
} as const;

type Shot = { readonly name: string; readonly hash: (cluster: Cluster) => Promise<string> };

const ACTOR = encodeURIComponent("frontend-0/frontend/answers");

/** One that has ended, so that its waterfall is whole. */
async function requestOf({ inspector }: Cluster): Promise<string> {
  const { requests } = (await (await fetch(`${inspector}/api/requests`)).json()) as {
    requests: { id: string; state: string }[];
  };
  return encodeURIComponent(requests.find(({ state }) => state === "done")?.id ?? "");
}

const shots: readonly Shot[] = [
  { name: "tree", hash: async () => "#/tree" },
  { name: "actor", hash: async () => `#/actor/${ACTOR}` },
  { name: "request", hash: async (cluster) => `#/requests/${await requestOf(cluster)}` },
  ...["requests", "kv", "load", "planner", "chat", "operate"].map((name) => ({
    name,
    hash: async () => `#/${name}`,
  })),
];

async function modelOf({ url }: Cluster): Promise<string> {
  const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  return data[0]?.id ?? "";
}

/** Streams without end, a few at a time. */
function load(cluster: Cluster, at_once: number): () => void {
  const stop = new AbortController();
  const one = async (n: number) => {
    const model = await modelOf(cluster);
    while (!stop.signal.aborted) {
      const content = `Request ${n} asks for a long answer. ${"word ".repeat(200)}`;
      const body = {
        model,
        stream: true,
        max_tokens: 200,
        messages: [{ role: "user", content }],
      };
      const response = await fetch(`${cluster.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: stop.signal,
      }).catch(() => undefined);
      await response?.text().catch(() => "");
      if (response === undefined || !response.ok) await Bun.sleep(200);
    }
  };
  for (let n = 0; n < at_once; n += 1) void one(n);
  return () => stop.abort();
}

async function shoot(browser: Browser, cluster: Cluster, { name, hash }: Shot): Promise<void> {
  const url = `${cluster.inspector}/${await hash(cluster)}`;
  for (const [look, options] of Object.entries(looks)) {
    const { page, faults, close } = await openPage(browser, url, options);
    await page.waitForTimeout(SETTLE_MS);
    const path = join(folder, `${name}-${look}.png`);
    await page.screenshot({ path });
    console.log(path, ...faults);
    await close();
  }
}

/** For a few frames of the feed. */
const SETTLE_MS = 3_000;
/** Until there are some decisions to see. */
const PLANNED_MS = 60_000;

const args = [
  ...["--engine", "mocker", "--prefill", "2", "--decode", "2"],
  // It only advises, so that the other pictures show what was started.
  ...["--planner", "sla", "--ttft-ms", "200", "--itl-ms", "20", "--planner-advisory"],
];
await using cluster = await startCluster(args);
const stop = load(cluster, 12);
const browser = await openBrowser();
if (only.includes("planner") || only.length === 0) await Bun.sleep(PLANNED_MS);
for (const shot of shots) {
  if (only.length === 0 || only.includes(shot.name)) await shoot(browser, cluster, shot);
}
stop();
await browser.close();
