/**
 * `bun run bench watch`: what pages that are open cost, as a ratio of rates with and without one, in
 * turn: the front door under load; ten thousand idle actors beside busy ones in one process; and a
 * tree of which a thousand rows a second change.
 */
import { openPage } from "../support/inspector/live-page.ts";
import type { Report } from "./bench.ts";
import { type Door, startDoor } from "./frontend.ts";
import { doorCases, doorPlan, nameOf } from "./load/front-door.ts";
import { runLoad } from "./load/run-load.ts";
import { summarize } from "./load/summary.ts";
import { benchWatchedActors, benchWatchedUpdates } from "./parts/watched-actors.ts";
import { median, rounded } from "./statistics.ts";

const rounds = 6;
const phase_ms = 5_000;
/** Compilers and connections are warm already. */
const warm_up = 500;
/** What a page of the inspector may show at once. */
const watch = ["tree", "requests", "load", "kv", "acts"];

export async function benchWatch(report: Report): Promise<void> {
  for (const row of await benchWatchedActors()) report(row);
  report(await benchWatchedUpdates());
  await using door = await startDoor();
  const target = { url: door.url, model: door.model };
  const one = doorCases.find(({ concurrency }) => concurrency === 64)!;
  await runLoad(doorPlan(target, one, 1_000));
  const rates: { alone: number; watched: number }[] = [];
  let frames = 0;
  let bytes = 0;
  for (let round = 0; round < rounds; round++) {
    const rate = { alone: 0, watched: 0 };
    // Who is first changes from round to round.
    for (const which of round % 2 === 0 ? order : order.toReversed()) {
      if (which === "alone") {
        rate.alone = await reqPerS(target, one);
        continue;
      }
      using page = openPage(door.cluster.inspector, { watch });
      await page.until("tree", () => true);
      const before = { frames: page.frames, bytes: page.bytes };
      rate.watched = await reqPerS(target, one);
      frames += page.frames - before.frames;
      bytes += page.bytes - before.bytes;
      page[Symbol.dispose]();
      await restOf(door);
    }
    rates.push(rate);
  }
  const watched_s = (rounds * phase_ms) / 1_000;
  report({
    case: `front door, ${nameOf(one)}`,
    ratio: rounded(median(rates.map(({ alone, watched }) => watched / alone)), 3),
    req_per_s: rounded(median(rates.map(({ alone }) => alone)), 0),
    req_per_s_watched: rounded(median(rates.map(({ watched }) => watched)), 0),
    ratios: rates.map(({ alone, watched }) => rounded(watched / alone, 3)).join(" "),
    frames_per_s: rounded(frames / watched_s, 1),
    kb_per_s: rounded(bytes / 1_000 / watched_s, 1),
  });
}

const order = ["alone", "watched"] as const;

async function reqPerS(
  target: { readonly url: string; readonly model: string },
  one: (typeof doorCases)[number],
): Promise<number> {
  const plan = { ...doorPlan(target, one, phase_ms), warm_up };
  const { req_per_s, errors } = summarize(plan, await runLoad(plan));
  if (errors > 0) throw new Error(`${errors} requests failed: their rate says nothing`);
  return req_per_s;
}

/** Processes measure on for a while after the last page has left. */
async function restOf(door: Door): Promise<void> {
  const id = encodeURIComponent("frontend-0/frontend/inspector");
  for (let tries = 0; tries < 120; tries++) {
    const response = await fetch(`${door.cluster.inspector}/api/actors/${id}/snapshot`);
    const { snapshot } = (await response.json()) as { snapshot?: { watches?: number } };
    if (snapshot?.watches === 0) return;
    await Bun.sleep(250);
  }
  throw new Error("the frontend is still watched half a minute after the page has left");
}
