/**
 * `bun test/bench/replay/routing-plot.ts TRACE OUT.svg`: mean time to first token against load, for
 * the default policy, Dynamo's cost and round-robin on 8 mockers with their default caches. Draws
 * the plot of docs/routing.md and prints its figures.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { mockerOptions } from "../../../actors/engine/mocker/options.ts";
import { polynomialTiming } from "../../../actors/engine/mocker/timing.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { KvReplayRouter, PlainReplayRouter, type ReplayRouter } from "./replay-router.ts";
import { reportOf } from "./report.ts";
import { simulate } from "./simulate.ts";
import { readTrace, type TraceRequest } from "./trace.ts";

const WORKERS = 8;
const BLOCK = 512;
const SPEEDUPS = [1, 2, 3, 4, 5, 6, 7, 8];
const mocker = mockerOptions({ block_size: BLOCK, num_gpu_blocks: 2_048 });
const limits = {
  block_size: BLOCK,
  total_blocks: mocker.num_gpu_blocks,
  batch_tokens: mocker.max_num_batched_tokens,
};

type Policy = { readonly name: string; readonly colour: string; readonly make: () => ReplayRouter };

const kv = (name: "adaptive" | "dynamo") => () =>
  new KvReplayRouter({ name }, WORKERS, limits, new SeededRandom(1));
const policies: readonly Policy[] = [
  { name: "default (adaptive)", colour: "#1664c0", make: kv("adaptive") },
  { name: "Dynamo's cost", colour: "#c0561a", make: kv("dynamo") },
  {
    name: "round-robin",
    colour: "#777",
    make: () => new PlainReplayRouter("round-robin", WORKERS, new SeededRandom(1)),
  },
];

function ttftMs(trace: readonly TraceRequest[], policy: Policy, arrival_speedup: number): number {
  const settings = {
    workers: WORKERS,
    mocker,
    timing: polynomialTiming,
    trace_block_size: BLOCK,
    arrival_speedup,
    lag_ms: 0,
    concurrency: 0,
  };
  const { ttft_ms } = reportOf(simulate(trace, settings, policy.make()), 0);
  console.log(`${policy.name} ${arrival_speedup}x: mean ${ttft_ms.mean} p99 ${ttft_ms.p99} ms`);
  return ttft_ms.mean;
}

const LEFT = 60;
const RIGHT = 620;
const BOTTOM = 270;
const DECADES = [2, 3, 4, 5] as const;
const across = (speedup: number) => LEFT + ((speedup - 1) / 7) * (RIGHT - LEFT);
const up = (ms: number) => BOTTOM - ((Math.log10(ms) - 2) / 3) * (BOTTOM - 30);

function drawn(lines: readonly { readonly policy: Policy; readonly ms: readonly number[] }[]) {
  const grid = DECADES.map((decade) => {
    const y = up(10 ** decade).toFixed(1);
    return (
      `<line x1="${LEFT}" x2="${RIGHT}" y1="${y}" y2="${y}" stroke="#ddd"/>` +
      `<text x="${LEFT - 6}" y="${y}" text-anchor="end">${10 ** decade}</text>`
    );
  });
  const ticks = SPEEDUPS.map(
    (each) => `<text x="${across(each)}" y="${BOTTOM + 16}" text-anchor="middle">${each}×</text>`,
  );
  const curves = lines.map(({ policy, ms }, i) => {
    const points = ms.map((each, at) => `${across(SPEEDUPS[at]!)},${up(each).toFixed(1)}`);
    return (
      `<polyline points="${points.join(" ")}" fill="none" stroke="${policy.colour}" ` +
      `stroke-width="2"/><text x="${LEFT + 12}" y="${44 + 16 * i}" fill="${policy.colour}">` +
      `${policy.name}</text>`
    );
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 300" font-family="sans-serif" font-size="12">
<rect width="640" height="300" fill="#fff"/>
<text x="${LEFT}" y="18">Mean time to first token, ms (log), against the arrival rate of the trace</text>
${[...grid, ...ticks, ...curves].join("\n")}
</svg>
`;
}

const [path, out] = Bun.argv.slice(2);
if (path === undefined || out === undefined) {
  console.error("bun test/bench/replay/routing-plot.ts TRACE OUT.svg");
  process.exit(2);
}
const trace = readTrace(readFileSync(path, "utf8"), BLOCK);
const lines = policies.map((policy) => ({
  policy,
  ms: SPEEDUPS.map((speedup) => ttftMs(trace, policy, speedup)),
}));
writeFileSync(out, drawn(lines));
