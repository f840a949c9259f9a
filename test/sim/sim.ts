/**
 * `bun run sim [--kv] [--seed S] [--seeds N] [--minutes M]`: the whole cluster in one process under
 * virtual time with seeded faults. Without a flag: 100 seeds from 1. With `--seed` alone one seed
 * runs, twice, and its story is told. With `--minutes` seeds are drawn until the time is up.
 *
 * Seeds are shared out over as many processes as there are cores. A broken invariant is told with
 * its seed, and the exit code is 1. Every `twice_every`-th seed runs twice: the same seed has to
 * give the same trace.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { runSeed, type SeedResult } from "./world/run-seed.ts";
import { withTiers } from "./world/scenario.ts";

const HELP = `bun run sim [--kv] [--seed S] [--seeds N] [--minutes M] [--json]

Runs the whole cluster in one process under virtual time, with faults drawn from seeds.
--kv: blocks go beyond the engines; their keeper and workers are killed, and many clients leave.
--seed S: seed S alone, twice, and its story; with --seeds it is the first one.
--seeds N: so many seeds (default 100).
--minutes M: new seeds until the time is up.
--json: the totals as one line of JSON.`;

const twice_every = 20;
const seeds_default = 100;

type Batch = { readonly from: number; readonly step: number; readonly seeds: number };
type Line = Omit<SeedResult, "log"> & { readonly twice: boolean };

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    minutes: { type: "string" },
    kv: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    worker: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

function whole(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  console.error(`--${name} is a number, not "${text}"`);
  process.exit(2);
}

/** One seed, and a second time when asked to: both traces have to be the same. */
async function check(seed: number, twice: boolean): Promise<SeedResult> {
  const change = values.kv ? withTiers : undefined;
  const result = await runSeed(seed, change);
  if (!twice || result.broken !== undefined) return result;
  const again = await runSeed(seed, change);
  if (again.trace_hash === result.trace_hash) return result;
  const broken = `two runs gave the traces ${result.trace_hash} and ${again.trace_hash}`;
  return { ...result, broken };
}

/** The child's side: one JSON line a seed. */
async function work(batch: Batch): Promise<void> {
  for (let i = 0; i < batch.seeds; i++) {
    const seed = batch.from + i * batch.step;
    const twice = seed % twice_every === 0;
    const { log: _, ...result } = await check(seed, twice);
    console.log(JSON.stringify({ ...result, twice } satisfies Line));
  }
}

async function tell(seed: number): Promise<void> {
  const result = await check(seed, true);
  const { log, broken, ...rest } = result;
  for (const line of log) console.log(line);
  console.log(JSON.stringify(rest));
  if (broken === undefined) return;
  console.error(`seed ${seed}: ${broken}`);
  process.exit(1);
}

class Totals {
  seeds = 0;
  twice = 0;
  virtual_ms = 0;
  requests = 0;
  resumed = 0;
  deaths = 0;
  onboarded = 0;
  readonly modes: Record<string, number> = {};
  readonly outcomes: Record<string, number> = {};
  readonly faults: Record<string, number> = {};
  readonly broken: { readonly seed: number; readonly what: string }[] = [];

  add(line: Line): void {
    this.seeds++;
    this.twice += line.twice ? 1 : 0;
    this.virtual_ms += line.virtual_ms;
    this.requests += line.requests;
    this.resumed += line.resumed;
    this.deaths += line.deaths;
    this.onboarded += line.onboarded;
    addAll(this.modes, { [line.mode]: 1 });
    addAll(this.outcomes, line.outcomes);
    addAll(this.faults, line.faults);
    if (line.broken === undefined) return;
    this.broken.push({ seed: line.seed, what: line.broken });
    console.error(`seed ${line.seed}: ${line.broken}`);
  }
}

function addAll(into: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(more)) into[name] = (into[name] ?? 0) + count;
}

/** Starts children one after the other on each core until nothing is left to give out. */
async function runMany(
  totals: Totals,
  next: () => Batch | undefined,
  cores: number,
): Promise<Totals> {
  const lane = async (): Promise<void> => {
    for (let batch = next(); batch !== undefined; batch = next()) {
      const expected = totals.seeds;
      const kv = values.kv ? ["--kv"] : [];
      const own = [...kv, "--worker", JSON.stringify(batch)];
      const command = [process.execPath, import.meta.path, ...own];
      const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
      let rest = "";
      const decoder = new TextDecoder();
      let got = 0;
      for await (const bytes of child.stdout) {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          if (!line.startsWith("{")) continue;
          totals.add(JSON.parse(line) as Line);
          got++;
        }
      }
      const code = await child.exited;
      if (code === 0 && got === batch.seeds) continue;
      const seed = batch.from + got * batch.step;
      totals.broken.push({ seed, what: `the simulator ended with code ${code}` });
      console.error(`seed ${seed}: the simulator ended with code ${code} (${expected} before)`);
    }
  };
  await Promise.all(Array.from({ length: cores }, lane));
  return totals;
}

/** As many as fit a child's life: what a run leaves behind goes with its process. */
const batch_seeds = 50;

function batchesOf(first: number, seeds: number): () => Batch | undefined {
  let given = 0;
  return () => {
    if (given >= seeds) return undefined;
    const count = Math.min(batch_seeds, seeds - given);
    const batch = { from: first + given, step: 1, seeds: count };
    given += count;
    return batch;
  };
}

async function main(): Promise<void> {
  if (values.worker !== undefined) return await work(JSON.parse(values.worker) as Batch);
  const seed = whole("seed", values.seed);
  const seeds = whole("seeds", values.seeds);
  const minutes = whole("minutes", values.minutes);
  if (seed !== undefined && seeds === undefined && minutes === undefined) return await tell(seed);
  const started_ms = performance.now();
  const elapsed_s = () => (performance.now() - started_ms) / 1_000;
  // Drawn from the time, so that each night sees others; every failure names its seed.
  const first = seed ?? (minutes === undefined ? 1 : Math.floor(Date.now() / 1_000) * 1_000);
  const give = batchesOf(first, minutes === undefined ? (seeds ?? seeds_default) : 1e9);
  const next = () => (minutes !== undefined && elapsed_s() > minutes * 60 ? undefined : give());
  const totals = new Totals();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      console.error(`ended by ${signal} before all seeds were run; what was seen until then:`);
      report(totals, Math.round(elapsed_s()));
      process.exit(1);
    });
  }
  await runMany(totals, next, availableParallelism());
  const wall_s = Math.round(elapsed_s());
  if (values.json) console.log(JSON.stringify({ sim: "seeds", ...totals, wall_s }));
  else report(totals, wall_s);
  process.exit(totals.broken.length === 0 ? 0 : 1);
}

function report(totals: Totals, wall_s: number): void {
  const list = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ");
  const hours = (totals.virtual_ms / 3_600_000).toFixed(1);
  console.log(`${totals.seeds} seeds (${list(totals.modes)}), ${hours} virtual hours`);
  console.log(`faults: ${list(totals.faults)}`);
  console.log(`${totals.requests} requests: ${list(totals.outcomes)}`);
  console.log(`${totals.resumed} streams taken up again, ${totals.twice} seeds run twice`);
  if (values.kv) {
    const left = totals.outcomes["left"] ?? 0;
    const both = `${totals.deaths} ends of processes and ${left} of requests that clients left`;
    console.log(`${totals.deaths + left} kills and cancels: ${both}`);
    console.log(`${totals.onboarded} blocks came into engines from the keeper`);
  }
  console.log(`${totals.broken.length} broken, in ${wall_s} s`);
  for (const { seed, what } of totals.broken.slice(0, 20)) console.log(`  seed ${seed}: ${what}`);
}

await main();
