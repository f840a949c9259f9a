/**
 * `bun run profile [flags]`: sweeps an engine, writes its curves as NVIDIA Dynamo's profiler does,
 * and says what it takes to hold an SLA. Exit 0 when it has what was asked, 1 without curves, 2 for
 * bad flags and files, 3 when nothing holds the SLA, 130 when interrupted (what was measured is
 * written).
 */
import { ProfileError } from "../../llm/profile/profile-arrays.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { type Curves, curvesOf } from "./profile/curves.ts";
import { type EngineNotes, engineOf } from "./profile/engine.ts";
import { EndpointError, readFacts } from "./profile/facts.ts";
import { profileReport, type Recommended } from "./profile/html.ts";
import { limitsOf } from "./profile/limits.ts";
import {
  type ProfileOptions,
  ProfileOptionsError,
  profileOptions,
  usage,
} from "./profile/options.ts";
import {
  checkFolder,
  ProfileFolderError,
  readNotes,
  readProfileFolder,
  writeProfile,
} from "./profile/profile-folder.ts";
import { progressOn } from "./profile/progress.ts";
import { type Asked, frontier, recommend } from "./profile/recommend.ts";
import { frontierText, recommendationText } from "./profile/recommend-table.ts";
import { type SweepPlan, sweep } from "./profile/sweep.ts";
import { onSignal, STOPPED_CODE } from "./replay/command/signals.ts";
import { checkWritable, UsageError, unwritable } from "./replay/flag-values.ts";

/** Of the one line with which a cluster refuses its flags. */
const CLUSTER_SAYS = "troupe: ";

const args = Bun.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) {
  console.log(usage);
  process.exit(0);
}
const stop = new AbortController();
onSignal((signal) => {
  console.error(`profile: stopped by ${signal}`);
  stop.abort(signal);
});
try {
  process.exit(await profile());
} catch (error) {
  if (stop.signal.aborted) process.exit(STOPPED_CODE);
  const bad_input =
    error instanceof ProfileOptionsError ||
    error instanceof ProfileFolderError ||
    error instanceof ProfileError ||
    error instanceof UsageError;
  if (!bad_input && !(error instanceof EndpointError)) throw error;
  console.error(`profile: ${error.message}`);
  process.exit(bad_input ? 2 : 1);
}

async function profile(): Promise<number> {
  const options = profileOptions(args, process.env);
  const { from, url, html = "" } = options;
  checkWritable("--html", html);
  if (from !== undefined) {
    const curves = readProfileFolder(from);
    return await reported(options, { curves, notes: readNotes(from), left_out: [] });
  }
  checkFolder(options.out);
  const result = await sweptOrOwn(options, url);
  const interrupted = stop.signal.aborted;
  if (result === undefined) return interrupted ? STOPPED_CODE : 1;
  await writeProfile(options.out, result.curves, result.notes);
  const { prefill, decode } = result.curves;
  console.error(
    `profile: ${options.out} has ${prefill.prefill_isl.length} prompt lengths and ` +
      `${decode.z_itl.length} decode points`,
  );
  const code = await reported(options, result);
  return interrupted ? STOPPED_CODE : code;
}

type Profiled = {
  readonly curves: Curves;
  readonly notes: EngineNotes;
  readonly left_out: readonly string[];
};

async function sweptOrOwn(options: ProfileOptions, url: string | undefined) {
  if (url !== undefined) return await swept(options, url);
  await using cluster = await ownCluster(options);
  return await swept({ ...options, model: "" }, cluster.url);
}

async function ownCluster({ engine, model, cluster_args }: ProfileOptions): Promise<Cluster> {
  const of_model = model === "" ? [] : ["--model", model];
  const cluster = ["--engine", engine, ...of_model, "--workers", "1", ...cluster_args];
  try {
    return await startCluster(cluster, { stop: stop.signal });
  } catch (error) {
    const [first = "", ...lines] = (error as Error).message.trim().split("\n");
    const refused = lines.findLast((line) => line.startsWith(CLUSTER_SAYS));
    if (refused === undefined) throw new EndpointError([first, ...lines.slice(-1)].join(" "));
    throw new ProfileOptionsError(`its cluster: ${refused.slice(CLUSTER_SAYS.length)}`);
  }
}

/** Undefined: nothing was measured. */
async function swept(options: ProfileOptions, url: string): Promise<Profiled | undefined> {
  const { api_key, endpoint, full_length } = options;
  const facts = await readFacts(url, options.model, api_key, stop.signal);
  const { limits, notes } = limitsOf(options, facts);
  const progress = progressOn(process.stderr);
  const plan: SweepPlan = {
    target: { url, api_key, model: facts.model, endpoint, full_length },
    limits,
    prefill_granularity: options.prefill_points,
    decode_granularity: options.decode_points,
    repeats: options.repeats,
    warm_up: options.warm_up,
    time_limit_ms: options.time_limit_ms,
    request_timeout_ms: options.timeout_ms,
    seed: options.seed,
  };
  const result = await sweep(plan, options.quiet ? () => {} : progress.show, stop.signal);
  progress.end();
  const early = result.ended === "whole" ? [] : [`ended early: ${result.ended}`];
  const left_out = [...notes, ...result.notes, ...early];
  for (const line of left_out) console.error(`profile: ${line}`);
  if (result.prefill.length === 0 && result.decode.length === 0) {
    console.error("profile: nothing was measured");
    return undefined;
  }
  const gpus = options.gpus_per_engine;
  return {
    curves: curvesOf(result.prefill, result.decode, limits.max_kv_tokens, limits.osl, gpus),
    notes: {
      ...{ model: facts.model, gpus, context_length: facts.context_length ?? 0 },
      block_size: facts.block_size ?? 0,
      max_batch_tokens: facts.max_batch_tokens ?? 0,
      max_seqs: facts.max_seqs ?? 0,
    },
    left_out,
  };
}

async function reported(options: ProfileOptions, profiled: Profiled): Promise<number> {
  const { curves, notes, left_out } = profiled;
  const { asked } = options;
  const whole = curves.prefill.prefill_isl.length > 0 && curves.decode.z_itl.length > 0;
  if (asked !== undefined && !whole) {
    console.error("profile: a recommendation needs both sweeps, and one of them has no point");
  }
  const recommended = asked === undefined || !whole ? undefined : recommendedOf(profiled, asked);
  if (options.html !== undefined) {
    const page = profileReport(notes, curves, left_out, recommended);
    await Bun.write(options.html, page).catch((error: unknown) => {
      throw unwritable("--html", options.html ?? "", error);
    });
  }
  if (options.json) console.log(JSON.stringify({ ...profiled, recommended }));
  else if (recommended !== undefined) console.log(texts(recommended));
  if (asked === undefined) return whole ? 0 : 1;
  return recommended === undefined ? 1 : recommended.found.best === undefined ? 3 : 0;
}

function recommendedOf({ curves, notes }: Profiled, asked: Asked): Recommended {
  const engine = engineOf(curves, notes);
  const longest = Math.max(...curves.decode.y_context_length);
  if (asked.demand.isl + asked.demand.osl / 2 > longest) {
    console.error(`profile: contexts beyond ${longest} tokens were not measured: a guess`);
  }
  return { asked, found: recommend(engine, asked), points: frontier(engine, asked.demand) };
}

function texts({ asked, found, points }: Recommended): string {
  const frontier_text = frontierText(points);
  return (
    `${recommendationText(asked, found)}\n\n` +
    `What a GPU makes as answers may take longer:\n${frontier_text}`
  );
}
