/**
 * `bun run prove`: the fault wall on real processes, one row a fault. Exits 1 when a row lost,
 * doubled or hung anything, or could not be run to its end.
 */
import { parseArgs } from "node:util";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { dynamoRows } from "./dynamo.ts";
import { type EngineName, References } from "./references.ts";
import type { Row } from "./row.ts";
import { rows } from "./rows/rows.ts";
import { runRow, type Verdict } from "./run-row.ts";
import { jsonLine, notesOf, tableHead, tableRow } from "./table.ts";

const usage = `bun run prove [--only NAME[,NAME…]] [--engine mocker|llama] [--peer dynamo]
                [--json] [--seed N] [--quick] [--minutes N] [--list]

One row a fault: requests, complete, lost, twice, hung, wrong bytes, longest gap. --only takes the
names of rows, or beginnings of them. --minutes is for the soak, which only runs when it is named.
--peer dynamo does to NVIDIA Dynamo what makes sense there (it is installed on the first use).`;

const { values } = readArgs();
const engine = values.engine as EngineName;
const seed = Number(values.seed);
const wall = values.peer === undefined ? rows : dynamoRows;
const chosen = choose(values.only);

if (values.list) {
  for (const row of wall) console.log(`${row.name.padEnd(24)} ${row.what}`);
  process.exit(0);
}

const say = (text: string) => {
  if (!values.json) console.error(`  ${text}`);
};
const references = new References(engine);
const verdicts: Verdict[] = [];
if (!values.json) console.log(tableHead());
for (const row of chosen) {
  const random = new SeededRandom(seed);
  const minutes = Number(values.minutes);
  const world = { engine, references, random, quick: values.quick, minutes, say };
  const limit_ms = 300_000 + (row.on_demand ? minutes * 60_000 : 0);
  const verdict = await runRow(row, world, limit_ms);
  verdicts.push(verdict);
  console.log(values.json ? jsonLine(verdict, engine, seed) : tableRow(verdict));
  for (const note of notesOf(verdict)) say(note);
}
await references.close();
const failed = verdicts.filter((v) => v.kind === "broken" || (v.kind === "ran" && !v.pass));
if (!values.json) {
  const skipped = verdicts.filter((v) => v.kind === "skipped").length;
  const passed = verdicts.length - failed.length - skipped;
  console.log(`\n${passed} rows passed, ${failed.length} failed, ${skipped} skipped`);
}
process.exit(failed.length === 0 ? 0 : 1);

function choose(only: string | undefined): readonly Row[] {
  if (only === undefined) return wall.filter((row) => row.on_demand !== true);
  const found = only.split(",").flatMap((name) => {
    const exact = wall.filter((row) => row.name === name);
    const begun = exact.length > 0 ? exact : wall.filter((row) => row.name.startsWith(name));
    return begun.length > 0 ? begun : wrong(`there is no row "${name}"; --list shows them`);
  });
  return wall.filter((row) => found.includes(row));
}

function readArgs() {
  try {
    const parsed = parseArgs({
      options: {
        only: { type: "string" },
        engine: { type: "string", default: "mocker" },
        peer: { type: "string" },
        json: { type: "boolean", default: false },
        seed: { type: "string", default: "1" },
        quick: { type: "boolean", default: false },
        minutes: { type: "string", default: "5" },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (parsed.values.help) {
      console.log(usage);
      process.exit(0);
    }
    const { engine: name, seed: text, minutes, peer } = parsed.values;
    if (peer !== undefined && peer !== "dynamo") wrong("--peer is dynamo");
    if (name !== "mocker" && name !== "llama") wrong("--engine is mocker or llama");
    if (!Number.isSafeInteger(Number(text))) wrong("--seed is a whole number");
    if (!(Number(minutes) > 0)) wrong("--minutes is a number above 0");
    return parsed;
  } catch (error) {
    return wrong((error as Error).message);
  }
}

function wrong(what: string): never {
  console.error(`prove: ${what}\n\n${usage}`);
  process.exit(2);
}
