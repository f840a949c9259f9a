/**
 * The front door of this checkout and of another one, in turn: `bun test/bench/frontend-pairs.ts
 * OTHER [--rounds N] [--case TEXT]`. OTHER is a folder with the other checkout, its packages
 * installed. Machines drift, so each round gives a ratio, and the median of the ratios counts.
 */
import { parseArgs } from "node:util";
import { startCluster } from "../support/cluster.ts";
import { doorCases, measureDoor, nameOf } from "./load/front-door.ts";
import { peerCache } from "./peers/cache.ts";
import { installTokenizer } from "./peers/install.ts";
import { median, rounded } from "./statistics.ts";

const case_ms = 5_000;

const { values, positionals } = parseArgs({
  args: Bun.argv.slice(2),
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    case: { type: "string", default: "ISL 100" },
  },
});
const other = positionals[0];
if (other === undefined) {
  console.error("Name the folder of the other checkout: bun test/bench/frontend-pairs.ts OTHER");
  process.exit(2);
}
const here = `${import.meta.dir}/../..`;
const tokenizer = await installTokenizer(peerCache(), (text) => console.error(text));

/** Without --workers-per-process, which an older checkout may not know: mockers share one. */
function start(folder: string) {
  const flags = ["--engine", "mocker", "--workers", "4", "--model", tokenizer];
  const more = ["--model-name", "qwen", "--block-size", "64", "--speedup-ratio", "0"];
  return startCluster([...flags, ...more], {
    timeout_ms: 120_000,
    command: [process.execPath, `${folder}/cluster.ts`],
    cwd: folder,
  });
}

for (const one of doorCases.filter((each) => nameOf(each).includes(values.case))) {
  const rounds: { rate: number; p99: number; here: number; other: number }[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const figures = [];
    // Who is first changes from round to round.
    for (const folder of round % 2 === 0 ? [other, here] : [here, other]) {
      await using cluster = await start(folder);
      figures.push({
        folder,
        ...(await measureDoor({ url: cluster.url, model: "qwen" }, one, case_ms)),
      });
    }
    const ours = figures.find(({ folder }) => folder === here)!;
    const theirs = figures.find(({ folder }) => folder === other)!;
    rounds.push({
      rate: ours.req_per_s / theirs.req_per_s,
      p99: ours.ttft_p99_ms / theirs.ttft_p99_ms,
      here: ours.req_per_s,
      other: theirs.req_per_s,
    });
  }
  console.log(
    JSON.stringify({
      bench: "frontend-pairs",
      case: nameOf(one),
      req_per_s: rounded(median(rounds.map((each) => each.here)), 0),
      req_per_s_other: rounded(median(rounds.map((each) => each.other)), 0),
      ratio: rounded(median(rounds.map((each) => each.rate)), 3),
      ratios: rounds.map((each) => rounded(each.rate, 3)),
      ttft_p99_ratio: rounded(median(rounds.map((each) => each.p99)), 2),
    }),
  );
}
