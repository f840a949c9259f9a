/**
 * Tokens a second over HTTP: our engine with guesses and without, and llama-server without and with
 * each of its ways to guess that needs no second model, of which the best one counts.
 */
import { startCluster } from "../../support/cluster.ts";
import { default_source, modelPath, streams } from "../parts/engine.ts";
import { firstModel } from "../start.ts";
import { median, rounded } from "../statistics.ts";
import { EngineLoads, type Load, type SchemaField } from "./engine-loads.ts";
import { installLlamaServer } from "./install.ts";
import { LLAMA_SERVER_FLAGS, startLlamaServer } from "./llama-server.ts";
import type { ComparedRow } from "./ratio-table.ts";

export type EngineComparison = {
  readonly cache: string;
  readonly rounds: number;
  readonly say: (text: string) => void;
  readonly loads: readonly ("plain" | Load)[];
  readonly streams: readonly number[];
};

type Side = {
  readonly name: string;
  /** Where only answers that repeat their prompt can tell it from others, only those are asked. */
  readonly only?: Load;
  readonly schema: SchemaField;
  readonly start: (model: string) => Promise<{ url: string } & AsyncDisposable>;
};

const our_flags = ["--max-num-seqs", "32", "--kv-tokens", "32768", "--context-length", "1024"];
const ourSide = (name: string, ...flags: string[]): Side => ({
  ...{ name, schema: "guided_json" },
  start: (model) =>
    startCluster(["--model", model, ...our_flags, ...flags], { timeout_ms: 120_000 }),
});

/** By its defaults (12 tokens matched, 48 guessed), and shorter, which short answers need. */
const guesses: readonly (readonly string[])[] = [
  ["--spec-type", "ngram-simple"],
  ...["ngram-simple", "ngram-map-k"].map((name) => [
    ...["--spec-type", name, `--spec-${name}-size-n`, "4", `--spec-${name}-size-m`, "16"],
  ]),
];
const theirSide = (server: string, flags: readonly string[]): Side => ({
  ...{ name: ["llama-server", ...flags].join(" "), schema: "json_schema" },
  ...(flags.length === 0 ? {} : { only: "repeat" }),
  start: (model) => startLlamaServer(server, model, flags),
});

/** Rows: load, streams, tokens a second of each side, and the ratios. */
export async function compareEngine(options: EngineComparison): Promise<ComparedRow[]> {
  const { cache, rounds, say } = options;
  const server = await installLlamaServer(cache, say);
  const model = await modelPath(process.env["TROUPE_BENCH_MODEL"] ?? default_source);
  const ours = ourSide("troupe");
  const off = ourSide("troupe --speculate off", "--speculate", "off");
  const theirs = [[], ...guesses].map((flags) => theirSide(server, flags));
  const sides = [ours, off, ...theirs];
  say(`troupe: ${our_flags.join(" ")}`);
  say(`llama-server: ${LLAMA_SERVER_FLAGS.join(" ")}`);
  const asks = new EngineLoads(model);
  const rates = new Map<string, number[]>();
  // All run at once and one is asked at a time: the machine's speed changes within minutes.
  await using started = new AsyncDisposableStack();
  const engines: Engine[] = [];
  for (const side of sides) {
    say(`starting ${side.name}`);
    const { url } = started.use(await side.start(model));
    engines.push({ side, url, model: await firstModel(url) });
    await streams({ url }, 1);
  }
  for (let round = 1; round <= rounds; round += 1) {
    for (const load of options.loads) {
      say(`round ${round} of ${rounds}: ${load}`);
      for (const count of options.streams) {
        for (const engine of engines) await measure(engine, load, count, asks, rates);
      }
    }
  }
  const rate = (side: Side, what: string) => median(rates.get(`${side.name} ${what}`) ?? []);
  const ratio = (side: Side, to: Side, what: string) => {
    const theirs = rates.get(`${to.name} ${what}`) ?? [];
    const pairs = (rates.get(`${side.name} ${what}`) ?? []).map((own, i) => own / theirs[i]!);
    return rounded(median(pairs));
  };
  return options.loads.flatMap((load) =>
    options.streams.map((count) => {
      const what = `${load} ${count}`;
      const asked = theirs.filter(({ only = load }) => only === load);
      const best = Math.max(...asked.map((side) => rate(side, what)));
      const named = asked.find((side) => rate(side, what) === best);
      return {
        case: `${load}, ${count} stream(s)`,
        "tok/s": rounded(rate(ours, what), 1),
        off: rounded(rate(off, what), 1),
        "llama-server": rounded(rate(theirs[0]!, what), 1),
        "its best": rounded(best, 1),
        by: named?.name.replace("llama-server", "").trim() || "off",
        ratio: ratio(ours, theirs[0]!, what),
        "ratio to its best": ratio(ours, named ?? theirs[0]!, what),
        "ratio to off": ratio(ours, off, what),
        "off to llama-server": ratio(off, theirs[0]!, what),
      };
    }),
  );
}

type Engine = { readonly side: Side; readonly url: string; readonly model: string };

async function measure(
  { side, url, model }: Engine,
  load: "plain" | Load,
  count: number,
  asks: EngineLoads,
  rates: Map<string, number[]>,
): Promise<void> {
  if (side.only !== undefined && side.only !== load) return;
  const tokens_per_s =
    load === "plain"
      ? await streams({ url }, count)
      : (await asks.run({ url, model, schema: side.schema }, load, count)).tokens_per_s;
  const key = `${side.name} ${load} ${count}`;
  rates.set(key, [...(rates.get(key) ?? []), tokens_per_s]);
}
