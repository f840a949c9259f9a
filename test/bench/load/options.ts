/** Flags of `bun run load`. What is wrong with them is one line that says what to do. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { readTrace } from "../replay/trace.ts";
import { TraceError } from "../replay/trace-rows.ts";
import type { Swing } from "./arrivals.ts";
import { flagRanges } from "./flag-ranges.ts";
import type { LoadArrival, LoadPlan, LoadSource } from "./plan.ts";
import { drawSeed } from "./prompts.ts";

export const usage = `bun run load --url URL [--model NAME] [flags]: load on an OpenAI endpoint

  --url URL            where it serves, for example http://127.0.0.1:8000
  --model NAME         default: the first of /v1/models
  --api-key KEY        default: OPENAI_API_KEY
  --endpoint KIND      chat (default) or completions
  --isl N --osl N      tokens of prompt (100) and answer (16); --shared S (0.5): the part of
                       every prompt, from its beginning, that all have in common
  --any-length         let the model end when it wants; else min_tokens and ignore_eos are sent
  --concurrency N      closed loop: so many at a time (default 8)
  --rate R             open loop: so many a second; --arrival poisson (default) or constant;
                       --rate-high H --period S: up to H and back as a sine, each S seconds
  --trace FILE         Mooncake format: lengths, shared blocks and, unless --concurrency or --rate
                       is given, the schedule; --speedup X (1); --trace-block-size N (512)
  --requests N         at most so many (default: 1,000, or the whole trace)
  --duration S         send for at most so many seconds (default 60)
  --timeout S          a longer answer is an error (default 120)
  --warm-up N          sent before and not counted (default 0)
  --ttft-ms X --itl-ms Y   goodput: requests within X to the first token and Y between two tokens
                       (mean of the answer); one alone limits only that
  --max-connections N  of an open loop (default 1,024)
  --seed N             repeat a run's prompts and arrivals (default: new ones)
  --json               one JSON object instead of the table
  --html FILE          a report that stands alone
  --quiet              no progress line`;

export class LoadOptionsError extends Error {
  readonly code = "bad_load_options";
}

const { number, whole, oneOf } = flagRanges(LoadOptionsError);

export type LoadOptions = {
  /** `model` is empty when it is to be asked from the server. */
  readonly plan: LoadPlan;
  readonly json: boolean;
  readonly html: string | undefined;
  readonly quiet: boolean;
};

const text = { type: "string" } as const;
const on = { type: "boolean", default: false } as const;
const flags = {
  ...{ url: text, model: text, "api-key": text, endpoint: text, isl: text, osl: text },
  ...{
    shared: text,
    concurrency: text,
    rate: text,
    arrival: text,
    "rate-high": text,
    period: text,
    trace: text,
    speedup: text,
  },
  ...{ "trace-block-size": text, requests: text, duration: text, timeout: text },
  ...{ "warm-up": text, "max-connections": text, seed: text, html: text },
  ...{ "ttft-ms": text, "itl-ms": text },
  ...{ "any-length": on, json: on, quiet: on },
} as const;

type Given = ReturnType<typeof parseFlags>;

/** Throws LoadOptionsError. */
export function loadOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): LoadOptions {
  const given = parseFlags(args);
  const source = sourceOf(given);
  const rows = source.kind === "trace" ? source.rows.length : 1000;
  const plan: LoadPlan = {
    url: urlOf(given.url),
    api_key: given["api-key"] ?? environment["OPENAI_API_KEY"],
    model: given.model ?? "",
    endpoint: oneOf("endpoint", given.endpoint ?? "chat", ["chat", "completions"]),
    source,
    full_length: !given["any-length"],
    arrival: arrivalOf(given, source),
    requests: whole("requests", given.requests, rows, 1, 1_000_000),
    duration_ms: 1000 * number("duration", given.duration, 60, 0.1, 3600),
    timeout_ms: 1000 * number("timeout", given.timeout, 120, 0.1, 3600),
    warm_up: whole("warm-up", given["warm-up"], 0, 0, 100_000),
    max_connections: whole("max-connections", given["max-connections"], 1024, 1, 16_384),
    seed: whole("seed", given.seed, drawSeed(), 0, 2 ** 48),
    limits: {
      ttft_ms: limit("ttft-ms", given["ttft-ms"]),
      itl_ms: limit("itl-ms", given["itl-ms"]),
    },
  };
  if (source.kind === "trace" && plan.warm_up > 0) {
    throw new LoadOptionsError("--warm-up would use up the trace: leave it out with --trace");
  }
  return { plan, json: given.json, html: given.html, quiet: given.quiet };
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true }).values;
  } catch (error) {
    throw new LoadOptionsError((error as Error).message.split(". ")[0]);
  }
}

function urlOf(given: string | undefined): string {
  const example = "for example --url http://127.0.0.1:8000";
  if (given === undefined) throw new LoadOptionsError(`--url is missing: ${example}`);
  const url = URL.parse(given);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new LoadOptionsError(`--url ${given} is not an http(s) URL: ${example}`);
  }
  return given;
}

function sourceOf(given: Given): LoadSource {
  if (given.trace === undefined) {
    return {
      kind: "synthetic",
      isl: whole("isl", given.isl, 100, 1, 1_000_000),
      osl: whole("osl", given.osl, 16, 1, 100_000),
      shared: number("shared", given.shared, 0.5, 0, 1),
    };
  }
  for (const flag of ["isl", "osl", "shared"] as const) {
    if (given[flag] !== undefined) {
      throw new LoadOptionsError(`--${flag} and --trace: the trace says how long prompts are`);
    }
  }
  const block_tokens = whole("trace-block-size", given["trace-block-size"], 512, 1, 65_536);
  try {
    return {
      kind: "trace",
      rows: readTrace(readFileSync(given.trace, "utf8"), block_tokens),
      block_tokens,
    };
  } catch (error) {
    if (error instanceof TraceError) {
      throw new LoadOptionsError(`--trace ${given.trace}: ${error.message}`);
    }
    throw new LoadOptionsError(`--trace: there is no readable file ${given.trace}`);
  }
}

function arrivalOf(given: Given, source: LoadSource): LoadArrival {
  if (given.concurrency !== undefined && given.rate !== undefined) {
    throw new LoadOptionsError("--concurrency (closed loop) and --rate (open loop): choose one");
  }
  const speedup = number("speedup", given.speedup, 1, 0.001, 1_000_000);
  const scheduled = source.kind === "trace" && !given.concurrency && !given.rate;
  if (given.speedup !== undefined && !scheduled) {
    throw new LoadOptionsError("--speedup belongs to the schedule of a --trace");
  }
  if (given.rate !== undefined) {
    return {
      kind: "rate",
      per_s: number("rate", given.rate, 1, 0.001, 100_000),
      process: oneOf("arrival", given.arrival ?? "poisson", ["poisson", "constant"]),
      ...swingOf(given),
    };
  }
  for (const flag of ["rate-high", "period"] as const) {
    if (given[flag] !== undefined) throw new LoadOptionsError(`--${flag} belongs to --rate`);
  }
  if (given.arrival !== undefined) throw new LoadOptionsError("--arrival belongs to --rate");
  if (scheduled) return { kind: "trace", speedup };
  return { kind: "closed", concurrency: whole("concurrency", given.concurrency, 8, 1, 16_384) };
}

function swingOf(given: Given): { readonly swing?: Swing } {
  if (given["rate-high"] === undefined) {
    if (given.period === undefined) return {};
    throw new LoadOptionsError("--period says how often the rate goes to --rate-high: give both");
  }
  const high_per_s = number("rate-high", given["rate-high"], 1, 0.001, 100_000);
  return { swing: { high_per_s, period_ms: 1000 * number("period", given.period, 60, 1, 86_400) } };
}

/** A limit that is not given limits nothing. */
function limit(flag: string, given: string | undefined): number | undefined {
  return given === undefined ? undefined : number(flag, given, 0, 0.001, 86_400_000);
}
