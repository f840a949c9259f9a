/** The flags that say what is replayed on what: those of `bun run replay`, which `size` has too. */
import { mockerDefaults } from "../../../../actors/engine/mocker/options.ts";
import {
  DEFAULT_OBJECTIVE,
  routerObjectives,
} from "../../../../actors/router/policy/cost/objective.ts";
import { kvPolicyNames } from "../../../../actors/router/policy/kv-policies.ts";
import { loadModes } from "../../../../actors/router/policy/load-modes.ts";
import {
  conditionalDefaults,
  conditionalModes,
} from "../../../../actors/router/policy/pairs/conditional.ts";
import { traceFormats } from "../trace.ts";

/** Dynamo's default between host memory and a disk, in GB/s. */
const DISK_GBPS = 7;
export const D2H = "host-offload-d2h-bandwidth-gbps";
export const H2D = "host-offload-h2d-bandwidth-gbps";

export const text = (value: string) => ({ type: "string", default: value }) as const;

/** In the form of `parseArgs`. */
export const worldOptions = {
  "trace-format": text(""),
  "trace-block-size": text(""),
  workers: text(""),
  prefill: text("0"),
  decode: text("0"),
  "router-conditional-disagg": text(conditionalDefaults.mode),
  "router-mode": text("kv"),
  "router-policy": text("adaptive"),
  "router-objective": text(DEFAULT_OBJECTIVE),
  "ttft-ms": text(""),
  "itl-ms": text(""),
  "router-option": { type: "string", multiple: true, default: [] as string[] },
  "router-queue-threshold": text(""),
  "router-queue-policy": text(""),
  "router-temperature": text("0"),
  "arrival-speedup": text("1"),
  concurrency: text("0"),
  "num-blocks": text(""),
  "block-size": text(""),
  "max-num-seqs": text("256"),
  "max-num-batched-tokens": text("8192"),
  "aic-nextn": text("0"),
  "aic-nextn-accept-rates": text(""),
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
} as const;

/** As `parseArgs` gives them. */
export type WorldFlags = Readonly<
  Record<Exclude<keyof typeof worldOptions, "router-option">, string>
> & { readonly "router-option": readonly string[] };

/** Lines for people. */
export const worldUsage = `  TRACE                     files of one trace, or synthetic:requests=4000,isl=4096,groups=16,…
                            with shape=sine,low=5,high=45,period_s=600,periods=2 the rate goes
                            between low and high; shape=burst,factor=10,at_s=60,for_s=60 multiplies
                            it for a time; shape=step,high=45,at_s=60 changes it for good; these
                            end by their time (seconds=360 of a burst or step)
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
  --aic-nextn N             tokens guessed in each pass of an answer, at most 5 (0)
  --aic-nextn-accept-rates R  how often each is right when those before it are (0.85,0.3)
  --kv-host-blocks N        blocks in the host memory of each machine (0: none)
  --kv-disk-blocks N        blocks on the disk of each machine (0: none; needs host blocks)
  --workers-per-machine N   (1, as in Dynamo's replay: each worker has tiers of its own)
  --kv-bytes-per-token N    (${mockerDefaults.kv_bytes_per_token})
  --${D2H} X
  --${H2D} X
                            of each worker (${mockerDefaults.h2d_bandwidth_gbps}; 0: no limit)
  --kv-disk-bandwidth-gbps X  of each machine's disk, each way (${DISK_GBPS}; 0: no limit)
  --priority-classes N      requests get strict priorities 0 to N-1, always the same ones
  --ttft-ms X, --itl-ms Y   goodput: requests within X to the first token and Y between two, mean of
                            the answer; one alone limits only that
  --event-lag-ms L          how much later the router hears (0)
  --seed S                  of ties and temperature (1)`;
