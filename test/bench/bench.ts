/**
 * `bun run bench NAME [--json]`: figures, one JSON object a line with --json, else a table.
 * Machines differ: compare within one run, as a ratio.
 */
import { cpus } from "node:os";

export type Row = { readonly case: string } & Readonly<Record<string, string | number | boolean>>;
export type Report = (row: Row) => void;
type Bench = (report: Report) => Promise<void>;

type Entry = { readonly what: string; readonly load: () => Promise<Bench> };

const benches: Readonly<Record<string, Entry>> = {
  actors: {
    what: "the kernel in one process, and between two",
    load: async () => (await import("./parts/kernel.ts")).benchKernel,
  },
  start: {
    what: "the command to ready, and resident memory; --model MODEL: a first and a second worker",
    load: async () => (await import("./start.ts")).benchStart,
  },
  memory: {
    what: "what 1, 2 and 4 workers of a model keep in memory; --model MODEL",
    load: async () => (await import("./start/memory.ts")).benchMemory,
  },
  latency: {
    what: "what Troupe adds to an answer",
    load: async () => (await import("./latency.ts")).benchLatency,
  },
  indexer: {
    what: "the router's index of what caches hold",
    load: async () => (await import("./parts/indexer.ts")).benchIndexer,
  },
  "router-hop": {
    what: "what a router in its own process adds",
    load: async () => (await import("./parts/router-hop.ts")).benchRouterHop,
  },
  parsers: {
    what: "reading tool calls and reasoning",
    load: async () => (await import("./parts/parsers.ts")).benchParsers,
  },
  planner: {
    what: "decisions of a planner over 1,000 workers",
    load: async () => (await import("./parts/planner.ts")).benchPlanner,
  },
  "planner-live": {
    what: "a planner under load that swings, on a real cluster",
    load: async () => (await import("./parts/planner-live.ts")).benchPlannerLive,
  },
  routing: {
    what: "KV-aware routing beside round-robin",
    load: async () => (await import("./parts/routing.ts")).benchRouting,
  },
  scale: {
    what: "what 4 to 4,096 workers cost",
    load: async () => (await import("./scale.ts")).benchScale,
  },
  frontend: {
    what: "requests a second of one frontend",
    load: async () => (await import("./frontend.ts")).benchFrontend,
  },
  record: {
    what: "what --record costs one frontend",
    load: async () => (await import("./parts/recording.ts")).benchRecording,
  },
  watch: {
    what: "what an open page of the inspector costs",
    load: async () => (await import("./watch.ts")).benchWatch,
  },
  batch: {
    what: "what people who wait notice of a batch",
    load: async () => (await import("./batch.ts")).benchBatch,
  },
  failover: {
    what: "the pause when a worker is killed",
    load: async () => (await import("./failover.ts")).benchFailover,
  },
  engine: {
    what: "HTTP beside the bare native loop",
    load: async () => (await import("./parts/engine.ts")).benchEngine,
  },
  speculate: {
    what: "tokens a second with guessed tokens and without",
    load: async () => (await import("./drafts/speculate.ts")).benchSpeculate,
  },
  "draft-model": {
    what: "tokens a second with a model that guesses, beside guesses from texts and none",
    load: async () => (await import("./drafts/draft-model.ts")).benchDraftModel,
  },
  "kv-types": {
    what: "what the numbers of the KV cache cost and save",
    load: async () => (await import("./parts/kv-types.ts")).benchKvTypes,
  },
  constrain: {
    what: "what structured answers cost; --schemas N: random schemas, checked",
    load: async () => (await import("./parts/constrain.ts")).benchConstrain,
  },
  kv: {
    what: "blocks beyond the engine: copies, files, first tokens by tier",
    load: async () => (await import("./kv/kv.ts")).benchKv,
  },
  lora: {
    what: "answers of several LoRA adapters",
    load: async () => (await import("./parts/lora.ts")).benchLora,
  },
  page: {
    what: "the inspector's page in a browser: size, frames a second",
    load: async () => (await import("./parts/page.ts")).benchPage,
  },
  tools: {
    what: "what 20 functions add to a request",
    load: async () => (await import("./tools.ts")).benchTools,
  },
  "control-guard": {
    what: "keeping control tokens out of texts",
    load: async () => (await import("./control-guard.ts")).benchControlGuard,
  },
};

const [name = "", ...flags] = Bun.argv.slice(2);
const entry = benches[name];
if (entry === undefined) {
  const rows = Object.entries(benches).map(([each, { what }]) => `  ${each.padEnd(14)} ${what}`);
  console.error(["bun run bench NAME [--json]; NAME is one of", ...rows].join("\n"));
  process.exit(name === "--help" ? 0 : 2);
}
const json = flags.includes("--json");
if (!json) console.log(`${name} on ${cpus().length} × ${cpus()[0]?.model}, Bun ${Bun.version}`);
const bench = await entry.load();
await bench((row) => {
  if (json) {
    console.log(JSON.stringify({ bench: name, ...row }));
    return;
  }
  const { case: label, ...figures } = row;
  const cells = Object.entries(figures).map(([key, value]) => `${key} ${shown(value)}`);
  console.log(`${label.padEnd(24)} ${cells.join("  ")}`);
});
process.exit(0);

function shown(value: string | number | boolean): string {
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return value >= 1000 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}
