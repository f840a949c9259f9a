/** Flags of `bun run profile`. What is wrong with them is one line that says what to do. */
import { parseArgs } from "node:util";
import { flagRanges } from "../load/flag-ranges.ts";
import { drawSeed } from "../load/prompts.ts";
import { argsError, UsageError } from "../replay/flag-values.ts";
import { traceFiles } from "../replay/set-up/trace-files.ts";
import { readTrace, traceBlockSize } from "../replay/trace.ts";
import type { Asked } from "./recommend.ts";
import { type TraceMeans, traceMeans } from "./trace-means.ts";

export const usage = `bun run profile [--url URL] [flags]: what an engine takes, and what it takes to hold an SLA

Which engine
  --url URL            any OpenAI endpoint, one engine behind it; without it a cluster of one worker
                       is started on free ports and ended again:
  --engine KIND        llama (default), mocker or echo; --model SOURCE as bun run cluster has it;
                       flags after -- are handed on to the cluster
  --model NAME         with --url: the served name (default: the first of /v1/models)
  --api-key KEY        default: OPENAI_API_KEY
  --endpoint KIND      chat (default) or completions
  --any-length         the server knows no min_tokens and ignore_eos
  --context N          longest context swept (default: the model's, at most 16,384)
  --kv-tokens N        tokens its KV cache holds, --max-concurrency N answers it makes at once:
                       asked from the server where it tells (/metrics)
  --gpus-per-engine N  for throughput a GPU (1)
The sweep
  --prefill-points N   prompt lengths (16); --decode-points N context lengths, and counts in flight
                       for each (6)
  --decode-tokens N    tokens of an answer in the decode sweep (64)
  --repeats N          of each point, whose median counts (3); --warm-up N requests before (10)
  --time-limit S       end after so many seconds with what is measured then (900)
  --timeout S          a longer answer is an error (60)
  --seed N             repeat a sweep's prompts (default: new ones)
  --out FOLDER         where the curves go (profile_results)
  --from FOLDER        no sweep: the curves that are there
What it takes (any of these asks for it)
  --ttft-ms X --itl-ms Y   means, at most: to the first token (500), between two tokens (50)
  --isl N --osl N      tokens of prompt and answer; --kv-hit-rate S (0): of prompts, in a cache
  --rate R             requests a second: the fewest GPUs that do them
  --trace FILE         lengths and rate of a trace (Mooncake's format or Dynamo's), its means
  --gpus N             at most so many; without a rate: the most requests that they do
  --autoscale          one worker of each role, for a planner to begin with
  --html FILE          a report that stands alone; --json one JSON object instead of tables
  --quiet              no progress`;

export class ProfileOptionsError extends Error {
  readonly code = "bad_profile_options";
}

const { number, whole, oneOf } = flagRanges(ProfileOptionsError);

export type ProfileOptions = {
  /** Undefined: a cluster of its own. */
  readonly url: string | undefined;
  readonly engine: "llama" | "mocker" | "echo";
  /** Served name with `url`, else a source; empty: the default of either. */
  readonly model: string;
  /** Handed on to the own cluster. */
  readonly cluster_args: readonly string[];
  readonly api_key: string | undefined;
  readonly endpoint: "chat" | "completions";
  readonly full_length: boolean;
  readonly context: number | undefined;
  readonly kv_tokens: number | undefined;
  readonly max_concurrency: number | undefined;
  readonly gpus_per_engine: number;
  readonly prefill_points: number;
  readonly decode_points: number;
  readonly decode_tokens: number;
  readonly repeats: number;
  readonly warm_up: number;
  readonly time_limit_ms: number;
  readonly timeout_ms: number;
  readonly seed: number;
  readonly out: string;
  /** Undefined: sweep. */
  readonly from: string | undefined;
  /** Undefined: nothing is to be recommended. */
  readonly asked: Asked | undefined;
  readonly html: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
};

const text = { type: "string" } as const;
const on = { type: "boolean", default: false } as const;
const flags = {
  ...{ url: text, engine: text, model: text, "api-key": text, endpoint: text, context: text },
  ...{ "kv-tokens": text, "max-concurrency": text, "gpus-per-engine": text },
  ...{ "prefill-points": text, "decode-points": text, "decode-tokens": text, repeats: text },
  ...{ "warm-up": text, "time-limit": text, timeout: text, seed: text, out: text },
  ...{ from: text, "ttft-ms": text, "itl-ms": text, isl: text, osl: text, "kv-hit-rate": text },
  ...{ rate: text, trace: text, gpus: text, html: text },
  ...{ "any-length": on, autoscale: on, json: on, quiet: on },
} as const;

type Given = ReturnType<typeof parsed>["values"];

/** Lengths count here, not which blocks prompts share. */
const trace_block_tokens = 512;

/** Throws ProfileOptionsError. */
export function profileOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ProfileOptions {
  const { values: given, positionals } = parsed(args);
  const url = given.url === undefined ? undefined : urlOf(given.url);
  if (url !== undefined && (given.engine !== undefined || positionals.length > 0)) {
    throw new ProfileOptionsError("--engine and flags after -- start a cluster: leave out --url");
  }
  if (given.from !== undefined) {
    const idle = sweeping.find((flag) => given[flag] !== undefined);
    const what = idle === undefined ? "what follows --" : `--${idle}`;
    if (idle !== undefined || positionals.length > 0) {
      throw new ProfileOptionsError(`--from reads curves that are there: leave out ${what}`);
    }
  }
  const maybe = (flag: "context" | "kv-tokens" | "max-concurrency", least: number) =>
    given[flag] === undefined ? undefined : whole(flag, given[flag], 0, least, 2 ** 30);
  return {
    url,
    engine: oneOf("engine", given.engine ?? "llama", ["llama", "mocker", "echo"]),
    model: given.model ?? "",
    cluster_args: positionals,
    api_key: given["api-key"] ?? (url === undefined ? undefined : environment["OPENAI_API_KEY"]),
    endpoint: oneOf("endpoint", given.endpoint ?? "chat", ["chat", "completions"]),
    full_length: !given["any-length"],
    context: maybe("context", 64),
    kv_tokens: maybe("kv-tokens", 64),
    max_concurrency: maybe("max-concurrency", 1),
    gpus_per_engine: whole("gpus-per-engine", given["gpus-per-engine"], 1, 1, 1024),
    prefill_points: whole("prefill-points", given["prefill-points"], 16, 2, 256),
    decode_points: whole("decode-points", given["decode-points"], 6, 1, 64),
    decode_tokens: whole("decode-tokens", given["decode-tokens"], 64, 8, 8192),
    repeats: whole("repeats", given.repeats, 3, 1, 100),
    warm_up: whole("warm-up", given["warm-up"], 10, 0, 10_000),
    time_limit_ms: 1000 * number("time-limit", given["time-limit"], 900, 1, 86_400),
    timeout_ms: 1000 * number("timeout", given.timeout, 60, 0.1, 3600),
    seed: whole("seed", given.seed, drawSeed(), 0, 2 ** 48),
    out: given.out ?? "profile_results",
    from: given.from,
    asked: askedOf(given),
    html: given.html,
    json: given.json,
    quiet: given.quiet,
  };
}

const sweeping = [
  ...(["url", "engine", "model", "api-key", "endpoint", "context", "kv-tokens", "out"] as const),
  ...(["max-concurrency", "prefill-points", "decode-points", "decode-tokens", "repeats"] as const),
  ...(["warm-up", "time-limit", "timeout", "seed"] as const),
] as const;
const recommending = [
  ...["ttft-ms", "itl-ms", "isl", "osl", "kv-hit-rate", "rate", "trace", "gpus"],
] as const;

function askedOf(given: Given): Asked | undefined {
  const any = recommending.some((flag) => given[flag as keyof Given] !== undefined);
  if (!any && !given.autoscale) return undefined;
  const real = (flag: "ttft-ms" | "itl-ms" | "rate", otherwise: number) =>
    number(flag, given[flag], otherwise, 0.000_001, 86_400_000);
  const load = loadOf(given);
  const asked: Asked = {
    sla: { ttft_ms: real("ttft-ms", 500), itl_ms: real("itl-ms", 50) },
    demand: {
      isl: load.isl,
      osl: load.osl,
      kv_hit_rate: number("kv-hit-rate", given["kv-hit-rate"], 0, 0, 1),
    },
    requests_per_s: given.rate === undefined ? load.requests_per_s : real("rate", 1),
    gpus: given.gpus === undefined ? undefined : whole("gpus", given.gpus, 0, 1, 4096),
    autoscale: given.autoscale,
  };
  if (asked.requests_per_s !== undefined || asked.gpus !== undefined || asked.autoscale) {
    return asked;
  }
  throw new ProfileOptionsError("--rate, --trace, --gpus or --autoscale says what is to be held");
}

function loadOf(given: Given): TraceMeans {
  if (given.trace === undefined) {
    if (given.isl === undefined || given.osl === undefined) {
      throw new ProfileOptionsError("--isl and --osl say what the requests are, or --trace FILE");
    }
    return {
      isl: whole("isl", given.isl, 1, 1, 2 ** 30),
      osl: whole("osl", given.osl, 1, 1, 2 ** 30),
      requests_per_s: undefined,
    };
  }
  if (given.isl !== undefined || given.osl !== undefined) {
    throw new ProfileOptionsError("--trace says how long requests are: leave out --isl and --osl");
  }
  try {
    const read = traceFiles([given.trace], "give --trace the path of a trace");
    return traceMeans(read((text) => readTrace(text, traceBlockSize(text) ?? trace_block_tokens)));
  } catch (error) {
    throw error instanceof UsageError ? new ProfileOptionsError(error.message) : error;
  }
}

function parsed(args: readonly string[]) {
  const handed_on = args.indexOf("--");
  const own = handed_on < 0 ? args : args.slice(0, handed_on);
  try {
    const { values } = parseArgs({ args: [...own], options: flags, strict: true });
    return { values, positionals: handed_on < 0 ? [] : args.slice(handed_on + 1) };
  } catch (error) {
    throw new ProfileOptionsError(argsError(error, "profile").message);
  }
}

function urlOf(given: string): string {
  const url = URL.parse(given);
  if (url !== null && /^https?:$/.test(url.protocol)) return given;
  throw new ProfileOptionsError(
    `--url ${given} is not an http(s) URL: for example --url http://127.0.0.1:8000`,
  );
}
