/**
 * `bun test/bench/peers/peers.ts NAME [flags]`: this project beside its peers, in turn, on the same
 * machine and in the same run, with the same client; only the ratios mean something elsewhere.
 *
 *   frontend   Dynamo 1.6.1: frontend, KV router and four mockers without delay
 *   replay     Dynamo 1.6.1's offline replay of a trace (--trace FILE)
 *   agreement  the same, policy by policy: the mocker and Dynamo's cost against Dynamo's own
 *   indexer    Dynamo 1.6.1's RadixTree through its Python binding
 *   engine     llama-server, Gemma 3 270M: --loads plain,chat,repeat --streams 1,2,4,8,16,32
 *   prefill-itl  the same: seven streams while a prompt of 4,000 tokens arrives
 *   install    only put what they need into the cache folder
 */
import { parseArgs } from "node:util";
import { peerCache } from "./cache.ts";
import { compareEngine } from "./compare-engine.ts";
import { compareFrontend } from "./compare-frontend.ts";
import { compareIndexer } from "./compare-indexer.ts";
import { compareAgreement, compareReplay } from "./compare-replay.ts";
import { installDynamo, installLlamaServer, installTokenizer } from "./install.ts";
import { comparePrefillItl } from "./prefill-itl.ts";
import { ratioTable } from "./ratio-table.ts";

const usage = `bun test/bench/peers/peers.ts frontend|replay|agreement|indexer|engine|prefill-itl|install [flags]
  --rounds N     repeat in turn and take medians (default 3)
  --trace FILE   replay, agreement: a trace in Mooncake format
  --speedups L   arrival speed-ups (replay: 4,8; agreement: 1,2,3,4)
  --workers N --num-blocks N   replay, agreement (default 8, 2048)
  --loads L --streams L   engine (default plain,chat,repeat and 1,2,4,8,16,32)
  --json         one JSON object a line
  --cache DIR    default: TROUPE_PEERS_CACHE, or troupe-peers in the cache folder`;

const ENGINE_LOADS = ["plain", "chat", "repeat"] as const;
const say = (text: string) => console.error(text);
const { values, positionals } = parse();
const rounds = Number(values.rounds);
const cache = values.cache ?? peerCache();
if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) fail("--rounds: a number from 1 on");

switch (positionals[0]) {
  case "install":
    await installDynamo(cache, say);
    await installTokenizer(cache, say);
    await installLlamaServer(cache, say);
    break;
  case "frontend":
    show(await compareFrontend({ cache, rounds, say }));
    break;
  case "replay":
    show(await compareReplay(replayOptions("4,8")));
    break;
  case "agreement":
    show(await compareAgreement(replayOptions("1,2,3,4")));
    break;
  case "indexer":
    show(await compareIndexer({ cache, rounds, say }));
    break;
  case "engine":
    show(await compareEngine({ cache, rounds, say, ...engineOptions() }));
    break;
  case "prefill-itl":
    show(await comparePrefillItl({ cache, rounds, say }));
    break;
  default:
    fail("say what to compare");
}
process.exit(0);

function replayOptions(usual_speedups: string) {
  if (values.trace === undefined) fail(`${positionals[0]}: --trace FILE is missing`);
  const { trace, speedups = usual_speedups, workers, "num-blocks": blocks } = values;
  return { cache, rounds, say, trace, speedups, workers, blocks };
}

function engineOptions() {
  const loads = values.loads.split(",").map((name) => {
    const load = ENGINE_LOADS.find((each) => each === name);
    return load ?? fail(`--loads: ${name} is none of ${ENGINE_LOADS.join(", ")}`);
  });
  const streams = values.streams.split(",").map(Number);
  if (!streams.every((count) => Number.isInteger(count) && count >= 1 && count <= 32)) {
    fail("--streams: numbers from 1 to 32, with commas between them");
  }
  return { loads, streams };
}

function show(rows: readonly Readonly<Record<string, string | number>>[]): void {
  if (values.json) for (const row of rows) console.log(JSON.stringify(row));
  else console.log(ratioTable(rows));
}

function fail(problem: string): never {
  console.error(`peers: ${problem}\n${usage}`);
  process.exit(2);
}

function parse() {
  try {
    return parseArgs({
      args: Bun.argv.slice(2),
      allowPositionals: true,
      options: {
        rounds: { type: "string", default: "3" },
        trace: { type: "string" },
        speedups: { type: "string" },
        workers: { type: "string", default: "8" },
        "num-blocks": { type: "string", default: "2048" },
        loads: { type: "string", default: "plain,chat,repeat" },
        streams: { type: "string", default: "1,2,4,8,16,32" },
        json: { type: "boolean", default: false },
        cache: { type: "string" },
      },
    });
  } catch (error) {
    return fail((error as Error).message);
  }
}
