/**
 * What running answers wait for a long prompt: seven streams decode, a prompt of 4,000 tokens
 * arrives. Our engine as it is and without its bound, and llama-server as it is and with smaller
 * batches, both over HTTP, in turn, with the same model and the same token ids.
 *
 *   seven streams   ─┬─┬─┬─┬──┬──┬──┬──┬──┬─┬─┬─▶   the gaps from «sent» to «first» are counted
 *   long prompt              └sent        └first
 */
import { startCluster } from "../../support/cluster.ts";
import { HttpClient } from "../http-client.ts";
import { default_source, modelPath } from "../parts/engine.ts";
import { firstModel } from "../start.ts";
import { median, quantile, rounded } from "../statistics.ts";
import { installLlamaServer } from "./install.ts";
import { startLlamaServer } from "./llama-server.ts";
import type { ComparedRow } from "./ratio-table.ts";
import { gapsWithin } from "./token-gaps.ts";

export type PrefillComparison = {
  readonly cache: string;
  readonly rounds: number;
  readonly say: (text: string) => void;
};

type Side = {
  readonly name: string;
  readonly settings: string;
  readonly start: (model: string) => Promise<{ url: string } & AsyncDisposable>;
};

const STREAMS = 7;
const PROMPT_TOKENS = 4_000;
const SHORT_TOKENS = 48;
/** Events of each stream while nothing arrives. */
const QUIET_EVENTS = 20;
const ANSWER_TOKENS = 3_000;
/** More than one: the first may be half of a character. */
const FEW_TOKENS = 4;
const DEADLINE_MS = 120_000;

const our_flags = ["--max-num-seqs", "8", "--kv-tokens", "32768", "--context-length", "8192"];
const their_flags = ["-c", "32768", "-np", "8", "-t", "2", "--kv-unified"];

const ourSide = (...flags: string[]): Side => ({
  name: ["troupe", ...flags].join(" "),
  settings: [...our_flags, ...flags].join(" "),
  start: (model) =>
    startCluster(["--model", model, ...our_flags, ...flags], { timeout_ms: 120_000 }),
});
const theirSide = (server: string, ...flags: string[]): Side => ({
  name: ["llama-server", ...flags].join(" "),
  settings: [...their_flags, ...flags].join(" "),
  start: (model) => startLlamaServer(server, model, flags, their_flags),
});

type Run = {
  readonly quiet_ms: readonly number[];
  readonly gaps_ms: readonly number[];
  readonly ttft_ms: number;
  readonly short_ms: number;
};

/** Rows: a side, and ratios of our default to each of theirs. */
export async function comparePrefillItl(options: PrefillComparison): Promise<ComparedRow[]> {
  const { cache, rounds, say } = options;
  const server = await installLlamaServer(cache, say);
  const model = await modelPath(process.env["TROUPE_BENCH_MODEL"] ?? default_source);
  const sides = [
    ourSide(),
    ourSide("--itl-target-ms", "0"),
    theirSide(server),
    theirSide(server, "-b", "512", "-ub", "512"),
    theirSide(server, "-b", "64", "-ub", "64"),
  ];
  const runs = new Map<string, Run[]>(sides.map(({ name }) => [name, []]));
  let number = 0;
  for (let round = 1; round <= rounds; round += 1) {
    for (const side of sides) {
      say(`round ${round} of ${rounds}: ${side.name}`);
      await using engine = await side.start(model);
      const name = await firstModel(engine.url);
      // The first prompt finds cold pages, and our engine learns from it what prompts cost.
      await measure(engine.url, name, ++number);
      runs.get(side.name)?.push(await measure(engine.url, name, ++number));
    }
  }
  for (const { name, settings } of sides) say(`${name}: ${settings}`);
  const ours = figuresOf(runs.get(sides[0]!.name) ?? []);
  return sides.map(({ name }) => {
    const figures = figuresOf(runs.get(name) ?? []);
    return {
      case: name,
      "ITL alone p50 ms": rounded(figures.quiet_ms, 0),
      "under prefill p50": rounded(figures.p50_ms, 0),
      p99: rounded(figures.p99_ms, 0),
      "rate kept": rounded(figures.kept),
      "TTFT 4,000 s": rounded(figures.ttft_ms / 1_000, 1),
      [`TTFT ${SHORT_TOKENS} ms`]: rounded(figures.short_ms, 0),
      "our p99 ÷": rounded(ours.p99_ms / figures.p99_ms),
      "our TTFT ÷": rounded(ours.ttft_ms / figures.ttft_ms),
    };
  });
}

/** Medians of the rounds. */
function figuresOf(runs: readonly Run[]) {
  const of = (what: (run: Run) => number) => median(runs.map(what));
  return {
    quiet_ms: of((run) => median(run.quiet_ms)),
    p50_ms: of((run) => median(run.gaps_ms)),
    p99_ms: of((run) => quantile(run.gaps_ms, 0.99)),
    kept: of((run) => mean(run.quiet_ms) / mean(run.gaps_ms)),
    ttft_ms: of((run) => run.ttft_ms),
    short_ms: of((run) => run.short_ms),
  };
}

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Token ids of no meaning: the same for both sides, and in no cache. */
function promptOf(tokens: number, number: number): number[] {
  const ids = Array.from(
    { length: tokens - 1 },
    (_, i) => 1_000 + ((i * 7_919 + number * 104_729) % 200_000),
  );
  return [2, ...ids];
}

async function measure(url: string, model: string, number: number): Promise<Run> {
  const events = Array.from({ length: STREAMS }, (): number[] => []);
  const streams = events.map((list) => new HttpClient(url, { on_text: (at) => list.push(at) }));
  const common = { model, temperature: 0, ignore_eos: true };
  let failure = "";
  for (const [i, client] of streams.entries()) {
    const prompt = promptOf(8, number * 100 + i);
    client.post("/v1/completions", { ...common, prompt, max_tokens: ANSWER_TOKENS }).then(
      ({ error }) => (failure = `a stream ended early: ${error}`),
      (error: Error) => (failure = error.message),
    );
  }
  const more = async (count: number) => {
    const aims = events.map((list) => list.length + count);
    const until_ms = performance.now() + DEADLINE_MS;
    while (events.some((list, i) => list.length < aims[i]!)) {
      if (failure !== "") throw new Error(failure);
      if (performance.now() > until_ms) throw new Error("the streams do not go on");
      await Bun.sleep(5);
    }
  };
  await more(QUIET_EVENTS);
  const quiet_from_ms = performance.now();
  await more(QUIET_EVENTS);
  const short = await arrives(url, { ...common, prompt: promptOf(SHORT_TOKENS, number + 50) });
  await more(QUIET_EVENTS / 2);
  const long = await arrives(url, { ...common, prompt: promptOf(PROMPT_TOKENS, number) });
  await more(2);
  const gaps = (from_ms: number, to_ms: number) =>
    events.flatMap((list) => gapsWithin(list, from_ms, to_ms));
  for (const client of streams) client.close();
  return {
    quiet_ms: gaps(quiet_from_ms, short.sent_ms),
    gaps_ms: gaps(long.sent_ms, long.sent_ms + long.ttft_ms),
    ttft_ms: long.ttft_ms,
    short_ms: short.ttft_ms,
  };
}

/** One prompt, of whose answer only the beginning is wanted. */
async function arrives(url: string, body: object): Promise<{ sent_ms: number; ttft_ms: number }> {
  const client = new HttpClient(url);
  await client.open();
  const sent_ms = performance.now();
  const answer = await client.post("/v1/completions", { ...body, max_tokens: FEW_TOKENS });
  client.close();
  if (answer.error !== "" || answer.ttft_ms < 0) {
    throw new Error(`${url} gave no answer: ${answer.error || "no text"}`);
  }
  return { sent_ms, ttft_ms: answer.ttft_ms };
}
