/**
 * `bun run replay TRACE [flags]`: what a routing policy is worth, offline, in virtual time, with
 * the mocker's own scheduler and the router's own code. TRACE is a file or `synthetic:KEY=VALUE,…`.
 * The defaults are those of Dynamo's mocker, so the figures compare.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  linkSpeeds,
  type MockerOptions,
  mockerDefaults,
  mockerOptions,
} from "../../actors/engine/mocker/options.ts";
import { polynomialTiming } from "../../actors/engine/mocker/timing.ts";
import {
  DEFAULT_OBJECTIVE,
  isRouterObjective,
  routerObjectives,
} from "../../actors/router/policy/cost/objective.ts";
import { isKvPolicyName, kvPolicyNames } from "../../actors/router/policy/kv-policies.ts";
import { isLoadMode, loadModes } from "../../actors/router/policy/load-modes.ts";
import {
  type ConditionalMode,
  conditionalDefaults,
  conditionalModes,
} from "../../actors/router/policy/pairs/conditional.ts";
import type { QueueOrder } from "../../actors/router/policy/route-queue.ts";
import { SeededRandom } from "../../runtime/simulation/random.ts";
import { limit, number, positive, UsageError, whole } from "./replay/flag-values.ts";
import { htmlReport } from "./replay/html-report.ts";
import { KvReplayRouter, PlainReplayRouter } from "./replay/replay-router.ts";
import { reportOf } from "./replay/report.ts";
import { requestLines } from "./replay/request-lines.ts";
import { simulate } from "./replay/simulate.ts";
import { readSyntheticOptions, syntheticTrace } from "./replay/synthetic.ts";
import {
  readTrace,
  type TraceFormat,
  traceBlockSize,
  traceFormats,
  withPriorities,
} from "./replay/trace.ts";

/** KV cache of Dynamo's default mocker: 16,384 blocks of 64 tokens. */
const CACHE_TOKENS = 1_048_576;
/** Dynamo's default between host memory and a disk, in GB/s. */
const DISK_GBPS = 7;
const DISK_LATENCY_MS = 0.1;
const D2H = "--host-offload-d2h-bandwidth-gbps";
const H2D = "--host-offload-h2d-bandwidth-gbps";
/** Where a trace does not say it itself. */
const BLOCK_TOKENS = 512;

const usage = `bun run replay TRACE… [flags]
  TRACE                     files of one trace, or synthetic:requests=4000,isl=4096,groups=16,…
  --trace-format F          ${traceFormats.join(", ")} (default: what the first line looks like)
  --trace-block-size N      tokens a hash id stands for (512, or what the trace says)
  --workers N               (4)
  --prefill N --decode M    N workers compute prompts for M that answer, in place of --workers
  --router-conditional-disagg C   which prompts: ${conditionalModes.join(", ")} (${conditionalDefaults.mode})
  --router-mode M           kv, ${loadModes.filter((mode) => mode !== "direct").join(", ")} (kv)
  --router-policy P         ${kvPolicyNames.join(", ")} (adaptive)
  --router-objective O      what adaptive is to be good for: ${routerObjectives.join(", ")} (${DEFAULT_OBJECTIVE})
  --router-option K=V       of the policy, e.g. prefill_load_scale=16, crowd_weight=3; repeatable;
                            reach: from 0, the own first token, to 1, answers of all
  --router-queue-threshold X  passes a worker may have before it while requests wait
  --router-queue-policy Q   shortest, fcfs, wspt
  --router-temperature T    (0)
  --arrival-speedup X       (1)
  --concurrency N           closed loop of N requests in place of the trace's times
  --num-blocks B            KV blocks a worker (as many as hold 1,048,576 tokens)
  --block-size N            (that of the trace)
  --max-num-seqs N, --max-num-batched-tokens N   (256, 8192)
  --kv-host-blocks N        blocks in the host memory of each machine (0: none)
  --kv-disk-blocks N        blocks on the disk of each machine (0: none; needs host blocks)
  --workers-per-machine N   (1, as in Dynamo's replay: each worker has tiers of its own)
  --kv-bytes-per-token N    (${mockerDefaults.kv_bytes_per_token})
  ${D2H} X
  ${H2D} X
                            of each worker (${mockerDefaults.h2d_bandwidth_gbps}; 0: no limit)
  --kv-disk-bandwidth-gbps X  of each machine's disk, each way (${DISK_GBPS}; 0: no limit)
  --priority-classes N      requests get strict priorities 0 to N-1, always the same ones
  --ttft-ms X, --itl-ms Y   goodput: requests within X to the first token and Y between two, mean of
                            the answer; one alone limits only that
  --event-lag-ms L          how much later the router hears (0)
  --seed S                  of ties and temperature (1)
  --json                    one JSON object instead of a table
  --html FILE, --requests FILE   report with plots; one JSON object a request`;

try {
  main();
} catch (error) {
  if (!(error instanceof Error)) throw error;
  const expected = error instanceof UsageError || "code" in error;
  if (!expected) throw error;
  console.error(`replay: ${error.message}`);
  process.exit(2);
}

function main(): void {
  const { values: flags, positionals } = readFlags();
  const [source] = positionals;
  const synthetic = source?.startsWith("synthetic") === true;
  if (flags.help || source === undefined || (synthetic && positionals.length > 1)) {
    throw new UsageError(flags.help ? usage : `which trace?\n${usage}`);
  }
  const text = synthetic ? "" : positionals.map(textOf).join("\n");
  const own_size = synthetic ? undefined : traceBlockSize(text);
  const sized = (flag: "block-size" | "trace-block-size") =>
    whole(`--${flag}`, flags[flag] || `${own_size ?? BLOCK_TOKENS}`);
  const block_size = sized("block-size");
  const trace_block_size = sized("trace-block-size");
  if (own_size !== undefined && trace_block_size !== own_size) {
    throw new UsageError(
      `the trace has blocks of ${own_size} tokens: leave --trace-block-size out`,
    );
  }
  if (trace_block_size % block_size !== 0) {
    const sizes = `--block-size ${block_size} must divide --trace-block-size ${trace_block_size}`;
    throw new UsageError(sizes);
  }
  const classes = number("--priority-classes", flags["priority-classes"]);
  const read_trace = read(source, text, flags["trace-format"], trace_block_size);
  const trace = classes > 0 ? withPriorities(read_trace, classes) : read_trace;
  const prefill = prefillOf(flags);
  const workers =
    prefill > 0 ? prefill + whole("--decode", flags.decode) : whole("--workers", flags.workers);
  const given_blocks = flags["num-blocks"];
  const default_blocks = Math.max(1, Math.floor(CACHE_TOKENS / block_size));
  const mocker = mockerOptions({
    block_size,
    num_gpu_blocks: given_blocks ? whole("--num-blocks", given_blocks) : default_blocks,
    max_num_seqs: whole("--max-num-seqs", flags["max-num-seqs"]),
    max_num_batched_tokens: whole("--max-num-batched-tokens", flags["max-num-batched-tokens"]),
    kv_bytes_per_token: number("--kv-bytes-per-token", flags["kv-bytes-per-token"]),
    d2h_bandwidth_gbps: number(D2H, flags["host-offload-d2h-bandwidth-gbps"]),
    h2d_bandwidth_gbps: number(H2D, flags["host-offload-h2d-bandwidth-gbps"]),
  });
  const tiers = tiersOf(flags, mocker);
  const settings = {
    workers,
    mocker,
    timing: polynomialTiming,
    trace_block_size,
    arrival_speedup: positive("--arrival-speedup", flags["arrival-speedup"]),
    lag_ms: number("--event-lag-ms", flags["event-lag-ms"]),
    concurrency: number("--concurrency", flags.concurrency),
    ...(tiers === undefined ? {} : { tiers }),
    prefill,
  };
  const random = new SeededRandom(number("--seed", flags.seed));
  const router = routerOf(flags, workers, prefill, mocker, random);
  const started_ms = performance.now();
  const result = simulate(trace, settings, router);
  const report = reportOf(result, performance.now() - started_ms, {
    ttft_ms: limit("--ttft-ms", flags["ttft-ms"]),
    itl_ms: limit("--itl-ms", flags["itl-ms"]),
  });
  const title = `${flags["router-mode"]} ${flags["router-mode"] === "kv" ? flags["router-policy"] : ""}`;
  if (flags.html) write("--html", flags.html, htmlReport(title, report, result));
  if (flags.requests) write("--requests", flags.requests, requestLines(result.records));
  if (flags.json) console.log(JSON.stringify({ ...report, learned: router.learned }));
  else console.log(table(report));
}

function readFlags() {
  const text = (value: string) => ({ type: "string", default: value }) as const;
  try {
    return parseArgs({
      args: Bun.argv.slice(2),
      allowPositionals: true,
      options: {
        help: { type: "boolean", default: false },
        "trace-format": text(""),
        "trace-block-size": text(""),
        workers: text("4"),
        prefill: text("0"),
        decode: text("0"),
        "router-conditional-disagg": text(conditionalDefaults.mode),
        "router-mode": text("kv"),
        "router-policy": text("adaptive"),
        "router-objective": text(DEFAULT_OBJECTIVE),
        "ttft-ms": text(""),
        "itl-ms": text(""),
        "router-option": { type: "string", multiple: true, default: [] },
        "router-queue-threshold": text(""),
        "router-queue-policy": text(""),
        "router-temperature": text("0"),
        "arrival-speedup": text("1"),
        concurrency: text("0"),
        "num-blocks": text(""),
        "block-size": text(""),
        "max-num-seqs": text("256"),
        "max-num-batched-tokens": text("8192"),
        "kv-host-blocks": text("0"),
        "kv-disk-blocks": text("0"),
        "workers-per-machine": text("1"),
        "kv-bytes-per-token": text(`${mockerDefaults.kv_bytes_per_token}`),
        "host-offload-d2h-bandwidth-gbps": text(`${mockerDefaults.d2h_bandwidth_gbps}`),
        "host-offload-h2d-bandwidth-gbps": text(`${mockerDefaults.h2d_bandwidth_gbps}`),
        "kv-disk-bandwidth-gbps": text(`${DISK_GBPS}`),
        "priority-classes": text("0"),
        "event-lag-ms": text("0"),
        seed: text("1"),
        json: { type: "boolean", default: false },
        html: text(""),
        requests: text(""),
      },
    });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}\n${usage}`);
  }
}

type Flags = ReturnType<typeof readFlags>["values"];

function read(source: string, text: string, format: string, trace_block_size: number) {
  if (source.startsWith("synthetic")) {
    const options = readSyntheticOptions(source.slice("synthetic:".length));
    return syntheticTrace(options, trace_block_size);
  }
  if (format !== "" && !(traceFormats as readonly string[]).includes(format)) {
    throw new UsageError(`--trace-format ${format}: use one of ${traceFormats.join(", ")}`);
  }
  const given = format === "" ? undefined : (format as TraceFormat);
  return readTrace(text, trace_block_size, given);
}

/** Throws UsageError. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as { code?: string };
    const why = code === "ENOENT" ? `there is no file ${path}` : `${path} cannot be read (${code})`;
    throw new UsageError(`${why}: give the path of a trace, or synthetic:requests=4000`);
  }
}

/** Throws UsageError. */
function write(flag: string, path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    const { code } = error as { code?: string };
    throw new UsageError(`${flag} ${path} cannot be written (${code}): give another path`);
  }
}

/** Workers that only compute prompts; 0: each answers what it computes. */
function prefillOf(flags: Flags): number {
  const prefill = number("--prefill", flags.prefill);
  const decode = number("--decode", flags.decode);
  if (prefill === 0 && decode === 0) return 0;
  if (prefill === 0 || decode === 0) {
    throw new UsageError("--prefill and --decode go together: give both, from 1 on");
  }
  if (flags["router-mode"] !== "kv") {
    throw new UsageError("--prefill is planned by --router-mode kv: leave the other mode out");
  }
  return whole("--prefill", flags.prefill);
}

function conditionalOf(text: string): ConditionalMode {
  const found = conditionalModes.find((mode) => mode === text);
  if (found !== undefined) return found;
  const known = conditionalModes.join(", ");
  throw new UsageError(`--router-conditional-disagg ${text}: use one of ${known}`);
}

/** Undefined: blocks stay in the engines. */
function tiersOf(flags: Flags, mocker: MockerOptions) {
  const host_blocks = number("--kv-host-blocks", flags["kv-host-blocks"]);
  const disk_blocks = number("--kv-disk-blocks", flags["kv-disk-blocks"]);
  if (host_blocks === 0) {
    if (disk_blocks === 0) return undefined;
    throw new UsageError("--kv-disk-blocks needs --kv-host-blocks: blocks go to a disk from there");
  }
  const gbps = number("--kv-disk-bandwidth-gbps", flags["kv-disk-bandwidth-gbps"]);
  return {
    host_blocks: whole("--kv-host-blocks", flags["kv-host-blocks"]),
    disk_blocks,
    block_bytes: mocker.block_size * mocker.kv_bytes_per_token,
    ...linkSpeeds(mocker),
    disk: { bytes_per_ms: gbps * 1e6, latency_ms: DISK_LATENCY_MS },
    workers_per_machine: whole("--workers-per-machine", flags["workers-per-machine"]),
  };
}

function routerOf(
  flags: Flags,
  workers: number,
  prefill: number,
  mocker: ReturnType<typeof mockerOptions>,
  random: SeededRandom,
) {
  const mode = flags["router-mode"];
  if (mode !== "kv") {
    if (isLoadMode(mode) && mode !== "direct") return new PlainReplayRouter(mode, workers, random);
    throw new UsageError(`--router-mode ${mode}: use kv or one of ${loadModes.join(", ")}`);
  }
  const name = flags["router-policy"];
  if (!isKvPolicyName(name)) {
    throw new UsageError(`--router-policy ${name}: use one of ${kvPolicyNames.join(", ")}`);
  }
  const objective = flags["router-objective"];
  if (!isRouterObjective(objective)) {
    const known = routerObjectives.join(", ");
    throw new UsageError(`--router-objective ${objective}: use one of ${known}`);
  }
  const numbers = Object.fromEntries(
    flags["router-option"].map((option) => {
      const [key = "", value = ""] = option.split("=");
      return [key, number(`--router-option ${key}`, value)];
    }),
  );
  const threshold = flags["router-queue-threshold"];
  const order = orderOf(flags["router-queue-policy"]);
  if (order === undefined && flags["router-queue-policy"] !== "") {
    throw new UsageError(
      `--router-queue-policy ${flags["router-queue-policy"]}: use shortest, fcfs or wspt`,
    );
  }
  const { ageing_ms, reach, hold_passes, patience, ...costs } = numbers;
  const policy = {
    name,
    objective,
    ...(reach === undefined ? {} : { reach }),
    ...(hold_passes === undefined ? {} : { hold_passes }),
    ...(patience === undefined ? {} : { patience }),
    adaptive: costs,
    dynamo: costs,
    conditional: { mode: conditionalOf(flags["router-conditional-disagg"]) },
    temperature: number("--router-temperature", flags["router-temperature"]),
    ...(threshold === "" ? {} : { queue_threshold: number("--router-queue-threshold", threshold) }),
    queue: {
      ...(order === undefined ? {} : { order }),
      ...(ageing_ms === undefined ? {} : { ageing_ms }),
    },
  };
  const limits = {
    block_size: mocker.block_size,
    total_blocks: mocker.num_gpu_blocks,
    batch_tokens: mocker.max_num_batched_tokens,
  };
  return new KvReplayRouter(policy, workers, limits, random, prefill);
}

function orderOf(text: string): QueueOrder | undefined {
  return text === "shortest" || text === "fcfs" || text === "wspt" ? text : undefined;
}

function table(report: ReturnType<typeof reportOf>): string {
  const line = (name: string, { mean, p50, p90, p99 }: typeof report.ttft_ms) =>
    `${name.padEnd(12)} ${[mean, p50, p90, p99].map((value) => String(value).padStart(10)).join("")}`;
  const { reuse_by_tier: by } = report;
  const tierText = by ? ` (device ${by.device}, host ${by.host}, disk ${by.disk})` : "";
  return [
    `${report.requests} requests, ${report.refused} refused, ${report.per_worker.length} workers`,
    `prefix reuse ${report.prefix_reuse}${tierText}, ${report.output_tokens_per_s} tokens/s, ` +
      `${report.preemptions} preemptions`,
    `${"ms".padEnd(12)}       mean       p50       p90       p99`,
    line("ttft", report.ttft_ms),
    line("itl", report.itl_ms),
    line("e2e", report.e2e_ms),
    ...(report.goodput === undefined
      ? []
      : [
          `goodput      ${report.goodput.share} of the requests, ${report.goodput.req_per_s} req/s`,
        ]),
    ...(report.hand_off === undefined
      ? []
      : [
          line("hand-over", report.hand_off.ms),
          `handed over  ${report.hand_off.share} of prompts`,
        ]),
    line("router queue", report.queued_ms),
    ...report.by_priority.map((each) => line(`ttft prio ${each.strict_priority}`, each.ttft_ms)),
    `virtual ${(report.duration_ms / 1_000).toFixed(0)} s in ${report.wall_ms} ms`,
  ].join("\n");
}
