/**
 * Prompts computed by another worker than the one that answers, each worker with a core and an
 * engine thread of its own.
 *
 *   hand-off       the first token of a cold prompt from a pair and from one worker alone; and from
 *                  the end of the prompt at the one worker to the first token of the other one, as
 *                  the frontend saw both: computing the prompt varies by more than the hand-off.
 *                  And from the first token to the second, at the pair and at the one worker
 *   beside prompts the rate of two running answers while a long prompt is computed, and their
 *                  longest pause, against the same answers a moment before
 *
 *   TROUPE_BENCH_ROUNDS=5
 */
import { type Cluster, startCluster } from "../../support/cluster.ts";
import type { Report } from "../bench.ts";
import { default_source, modelPath } from "../parts/engine.ts";
import { firstModel } from "../start.ts";
import { median, rounded } from "../statistics.ts";
import { ask, drawnPrompt } from "./asking.ts";
import { blockFlags } from "./block-size.ts";

const HANDED = 1_024;
const LONG = 4_000;
const ROUNDS = Number(process.env.TROUPE_BENCH_ROUNDS ?? 5);
const STREAMS = 2;
/** Of running answers before the long prompt comes. */
const SETTLED_TOKENS = 20;
const QUIET_MS = 2_000;
/** More than an answer makes meanwhile. */
const ANSWER = 2_000;

type Side = { readonly cluster: Cluster; readonly model: string };
type Beside = { readonly kept: number; readonly gap_ms: number; readonly prompt_ms: number };

async function open(flags: readonly string[]): Promise<Side> {
  const path = await modelPath(process.env.TROUPE_BENCH_MODEL ?? default_source);
  const all = ["--model", path, "--model-name", "bench", "--context-length", "8192"];
  const cluster = await startCluster([...all, "--kv-tokens", "16384", ...blockFlags, ...flags], {
    timeout_ms: 120_000,
  });
  return { cluster, model: await firstModel(cluster.url) };
}

type Seen = { readonly name: string; readonly start_ms: number; readonly end_ms: number | null };

/** From the end of a prompt at its prefill worker to the first token of the answer. */
async function handedMs({ cluster }: Side, id: string): Promise<number> {
  const page = await fetch(`${cluster.inspector}/api/requests/${encodeURIComponent(id)}`);
  if (!page.ok) throw new Error(await page.text());
  const { spans } = (await page.json()) as { spans: readonly (Seen & { inside?: string })[] };
  const computed = spans.find(({ name, inside }) => name === "prefill" && inside === "transfer");
  const decode = spans.find(({ name }) => name === "decode");
  if (typeof computed?.end_ms !== "number" || decode === undefined) {
    throw new Error(`no hand-off in ${JSON.stringify(spans)}`);
  }
  return decode.start_ms - computed.end_ms;
}

const firstGap = ([first = 0, next = Number.NaN]: readonly number[]) => next - first;

const firstTokenMs = async ({ cluster, model }: Side, prompt: readonly number[]) =>
  (await ask(cluster.url, { model, prompt, max_tokens: 2 })).ttft_ms;

/** Two answers run; a long prompt comes. */
async function beside(side: Side, round: number): Promise<Beside> {
  const { cluster, model } = side;
  const counts = Array.from({ length: STREAMS }, () => 0);
  const stop = new AbortController();
  const times: number[][] = counts.map(() => []);
  let settled = () => {};
  const running = new Promise<void>((resolve) => {
    settled = resolve;
  });
  const answers = counts.map(async (_, i) => {
    const prompt = drawnPrompt(1_000 * (round + 1) + i, 20);
    const body = { model, prompt, max_tokens: ANSWER };
    const seen = () => {
      times[i]!.push(performance.now());
      if (times.every((each) => each.length >= SETTLED_TOKENS)) settled();
    };
    await ask(cluster.url, body, { seen, signal: stop.signal }).catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
  });
  await Promise.race([running, Promise.all(answers)]);
  const quiet_ms = performance.now();
  await Bun.sleep(QUIET_MS);
  const from_ms = performance.now();
  const prompt_ms = await firstTokenMs(side, drawnPrompt(7_000 + round, LONG));
  const to_ms = performance.now();
  stop.abort();
  await Promise.all(answers);
  const rate = (from: number, to: number) => {
    const made = times.flat().filter((at) => at >= from && at < to).length;
    return made / (to - from);
  };
  const pauses = times.map((all) => {
    const within = all.filter((at) => at >= from_ms && at < to_ms);
    const edges = [from_ms, ...within, to_ms];
    return Math.max(...edges.slice(1).map((at, i) => at - edges[i]!));
  });
  return {
    kept: rate(from_ms, to_ms) / rate(quiet_ms, from_ms),
    gap_ms: Math.max(...pauses),
    prompt_ms,
  };
}

export async function benchPairs(report: Report): Promise<void> {
  const one = await open(["--workers", "1", "--cpus", "0"]);
  const pair = await open([
    ...["--prefill", "1", "--decode", "1", "--cpus", "0", "--cpus", "1"],
    ...["--router-conditional-disagg", "off", "--kv-host-bytes", "1GiB"],
  ]);
  try {
    for (const side of [one, pair]) await firstTokenMs(side, drawnPrompt(1, HANDED));
    const alone: number[] = [];
    const handed: number[] = [];
    const handed_ms: number[] = [];
    const second = { one: [] as number[], pair: [] as number[] };
    for (let round = 0; round < ROUNDS; round += 1) {
      const prompt = drawnPrompt(100 + round, HANDED + 9);
      const question = { model: pair.model, prompt, max_tokens: 3 };
      const here = await ask(one.cluster.url, question);
      alone.push(here.ttft_ms);
      second.one.push(firstGap(here.at_ms));
      const { ttft_ms, at_ms, id } = await ask(pair.cluster.url, question);
      handed.push(ttft_ms);
      second.pair.push(firstGap(at_ms));
      handed_ms.push(await handedMs(pair, id));
    }
    report({
      case: `hand-off, ${HANDED} tokens`,
      ...{ ttft_ms: rounded(median(alone), 1), ttft_pair_ms: rounded(median(handed), 1) },
      handed_ms: rounded(median(handed_ms), 1),
      second_token_ms: rounded(median(second.one), 1),
      second_token_pair_ms: rounded(median(second.pair), 1),
    });
    const sides = { aggregated: one, pair };
    const rows = { aggregated: [] as Beside[], pair: [] as Beside[] };
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const name of ["aggregated", "pair"] as const) {
        rows[name].push(await beside(sides[name], round));
      }
    }
    for (const name of ["aggregated", "pair"] as const) {
      report({
        case: `${STREAMS} answers, ${name}`,
        rate_kept: rounded(median(rows[name].map(({ kept }) => kept)), 3),
        longest_gap_ms: rounded(median(rows[name].map(({ gap_ms }) => gap_ms)), 0),
        prompt_ms: rounded(median(rows[name].map(({ prompt_ms }) => prompt_ms)), 0),
      });
    }
  } finally {
    for (const { cluster } of [one, pair]) await cluster[Symbol.asyncDispose]();
  }
}
