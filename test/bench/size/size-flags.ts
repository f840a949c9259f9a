/** The flags of `bun run size`. */
import { parseArgs } from "node:util";
import { argsError } from "../replay/flag-values.ts";
import { text, worldOptions, worldUsage } from "../replay/set-up/flags.ts";
import { type PlanFlags, planOptions, planUsage } from "../replay/set-up/plan-options.ts";

const sizeOptions = {
  "sla-share": text("0.95"),
  "host-gb-price": text("0"),
  "disk-gb-price": text("0"),
  "time-limit": text("300"),
  threads: text(""),
  "no-split": { type: "boolean", default: false },
  "no-tiers": { type: "boolean", default: false },
  "no-router-search": { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

export type SizeFlags = PlanFlags & {
  readonly [Key in keyof typeof sizeOptions]: (typeof sizeOptions)[Key]["type"] extends "string"
    ? string
    : boolean;
};

export const sizeUsage = `bun run size TRACE… --ttft-ms X --itl-ms Y [flags]
The cheapest plan that answers a share of the trace within both limits, found by replays: number of
workers, prefill and decode workers, memory and disks, router settings. Cost is counted in workers.
  --sla-share S             of all requests, refused ones too (0.95)
  --max-workers N           (64)
  --host-gb-price P, --disk-gb-price P   what a GB costs, in workers (0: they only break ties)
  --time-limit S            seconds; then the best plan until then is shown (300)
  --threads N               replays side by side (as many as there are cores, 4 at most)
  --no-split, --no-tiers, --no-router-search   what is left out
  --json                    one JSON object in place of text
With --planner the planner is replayed, too, and its worker-hours compared with the plan's.
The search begins with the router that flags name, and the same flags as those of bun run replay say
what the engines are:
${worldUsage}
${planUsage}`;

/** Throws UsageError. */
export function readSizeFlags(args: readonly string[]): {
  readonly flags: SizeFlags;
  readonly sources: readonly string[];
} {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...worldOptions, ...planOptions, ...sizeOptions },
    });
    return { flags: values, sources: positionals };
  } catch (error) {
    throw argsError(error, "size");
  }
}
