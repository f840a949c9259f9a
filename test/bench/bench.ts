/**
 * `bun run bench NAME [--json]`: figures, one JSON object a line with --json, else a table.
 * Machines differ: compare within one run, as a ratio.
 */
import { cpus } from "node:os";

export type Row = { readonly case: string } & Readonly<Record<string, string | number | boolean>>;
export type Report = (row: Row) => void;
type Bench = (report: Report) => Promise<void>;

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  actors: async () => (await import("./parts/kernel.ts")).benchKernel,
  start: async () => (await import("./start.ts")).benchStart,
  latency: async () => (await import("./latency.ts")).benchLatency,
  indexer: async () => (await import("./parts/indexer.ts")).benchIndexer,
  "router-hop": async () => (await import("./parts/router-hop.ts")).benchRouterHop,
  parsers: async () => (await import("./parts/parsers.ts")).benchParsers,
  routing: async () => (await import("./parts/routing.ts")).benchRouting,
  scale: async () => (await import("./scale.ts")).benchScale,
  frontend: async () => (await import("./frontend.ts")).benchFrontend,
  batch: async () => (await import("./batch.ts")).benchBatch,
  failover: async () => (await import("./failover.ts")).benchFailover,
  engine: async () => (await import("./parts/engine.ts")).benchEngine,
  lora: async () => (await import("./parts/lora.ts")).benchLora,
  tools: async () => (await import("./tools.ts")).benchTools,
  "control-guard": async () => (await import("./control-guard.ts")).benchControlGuard,
};

const [name = "", ...flags] = Bun.argv.slice(2);
const load = benches[name];
if (load === undefined) {
  console.error(`bun run bench NAME [--json]; NAME is one of ${Object.keys(benches).join(", ")}`);
  process.exit(2);
}
const json = flags.includes("--json");
if (!json) console.log(`${name} on ${cpus().length} × ${cpus()[0]?.model}, Bun ${Bun.version}`);
const bench = await load();
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
