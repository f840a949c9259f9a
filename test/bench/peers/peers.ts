/**
 * `bun test/bench/peers/peers.ts NAME [flags]`: this project beside its peers, in turn, on the same
 * machine and in the same run, with the same client; only the ratios mean something elsewhere.
 *
 *   frontend   Dynamo 1.6.1: frontend, KV router and four mockers without delay
 *   replay     Dynamo 1.6.1's offline replay of a trace (--trace FILE)
 *   engine     llama-server, Gemma 3 270M
 *   install    only put what they need into the cache folder
 */
import { parseArgs } from "node:util";
import { peerCache } from "./cache.ts";
import { compareEngine } from "./compare-engine.ts";
import { compareFrontend } from "./compare-frontend.ts";
import { compareReplay } from "./compare-replay.ts";
import { installDynamo, installLlamaServer, installTokenizer } from "./install.ts";
import { ratioTable } from "./ratio-table.ts";

const usage = `bun test/bench/peers/peers.ts frontend|replay|engine|install [flags]
  --rounds N     repeat in turn and take medians (default 3)
  --trace FILE   replay: a trace in Mooncake format
  --speedups L   replay: arrival speed-ups (default 4,8)
  --workers N --num-blocks N   replay (default 8, 2048)
  --json         one JSON object a line
  --cache DIR    default: TROUPE_PEERS_CACHE, or troupe-peers in the cache folder`;

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
  case "replay": {
    if (values.trace === undefined) fail("replay: --trace FILE is missing");
    const { trace = "", speedups, workers, "num-blocks": blocks } = values;
    show(await compareReplay({ cache, rounds, say, trace, speedups, workers, blocks }));
    break;
  }
  case "engine":
    show(await compareEngine({ cache, rounds, say }));
    break;
  default:
    fail("say what to compare");
}
process.exit(0);

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
        speedups: { type: "string", default: "4,8" },
        workers: { type: "string", default: "8" },
        "num-blocks": { type: "string", default: "2048" },
        json: { type: "boolean", default: false },
        cache: { type: "string" },
      },
    });
  } catch (error) {
    return fail((error as Error).message);
  }
}
