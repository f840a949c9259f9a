/** `bun run size` and `bun run replay --planner` as commands. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../support/cluster.ts";

async function run(command: "size" | "replay", ...flags: readonly string[]) {
  const child = Bun.spawn([process.execPath, `test/bench/${command}.ts`, ...flags], {
    ...{ cwd: join(import.meta.dir, "../../.."), stdout: "pipe", stderr: "pipe" },
  });
  const [out, error] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { out, error, code: await child.exited };
}

const trace = "synthetic:requests=300,rate=15,isl=3000,osl=40,groups=4";
const limits = ["--ttft-ms", "300", "--itl-ms", "30"];

test("size: one JSON object, a line a replay on stderr, threads and none find the same", async () => {
  const flags = [trace, ...limits, "--max-workers", "5", "--json", "--planner", "sla"];
  const [one, two] = await Promise.all([
    run("size", ...flags, "--threads", "1"),
    run("size", ...flags, "--threads", "2"),
  ]);
  expect([one.code, two.code]).toEqual([0, 0]);
  const [a, b] = [JSON.parse(one.out), JSON.parse(two.out)];
  expect(a).toMatchObject({ requests: 300, holds: true, goal: 0.95, complete: true });
  expect(b.plan.cost).toBe(a.plan.cost);
  expect(a.plan.share).toBeGreaterThanOrEqual(0.95);
  expect(one.error.split("\n").filter((line) => line.startsWith("size: "))).toHaveLength(a.trials);
  expect(a.planner.hours_ratio).toBeCloseTo(a.planner.worker_hours / a.plan.worker_hours, 1);
});

test("size: nothing holds it: exit 1, the best share and the limit at fault", async () => {
  const { out, code } = await run(
    ...(["size", "synthetic:requests=60,isl=9000,osl=5,groups=0,rate=20"] as const),
    ...["--ttft-ms", "20", "--itl-ms", "30", "--max-workers", "4", "--no-router-search"],
  );
  expect(code).toBe(1);
  expect(out).toContain("no plan      reaches 95.00 %");
  expect(out).toContain("100.00 % over the TTFT limit of 20 ms");
  expect(out).toContain("have prompts that alone take longer than the TTFT limit of 20 ms");
});

test("replay --planner: the promised keys; nothing of them without a planner", async () => {
  const shape =
    "synthetic:rate=2,shape=burst,factor=10,at_s=20,for_s=20,seconds=60,isl=3000,osl=40";
  const planner = ["--planner", "sla", "--max-workers", "8", "--startup-seconds", "5"];
  const [planned, plain] = await Promise.all([
    run("replay", shape, ...limits, "--workers", "1", "--json", ...planner),
    run("replay", shape, ...limits, "--workers", "1", "--json"),
  ]);
  const report = JSON.parse(planned.out);
  expect(report.sla_attainment).toBe(report.goodput.share);
  expect(report.worker_hours).toBeGreaterThan(report.duration_ms / 3.6e6);
  for (const { at_ms, targets, reason, why } of report.decisions) {
    expect([typeof at_ms, typeof targets.aggregated]).toEqual(["number", "number"]);
    expect([typeof reason, typeof why]).toEqual(["string", "string"]);
  }
  expect(report.replicas[0]).toEqual({
    at_ms: expect.any(Number),
    aggregated: { starting: 0, serving: 1, retiring: 0 },
  });
  expect(report).toHaveProperty("recovery_ms");
  expect(JSON.parse(plain.out)).not.toHaveProperty("decisions");
});

test("a planner's file by Dynamo's names; what does not fit together is said", async () => {
  const folder = mkdtempSync(join(tmpdir(), "replay-planner-"));
  try {
    const file = join(folder, "planner.yaml");
    writeFileSync(file, "mode: disagg\noptimization_target: load\n");
    const { code, error } = await run("replay", trace, "--planner", file);
    expect([code, error]).toEqual([
      2,
      "replay: the planner's mode is disagg: give --prefill and --decode in place of --workers\n",
    ]);
    const both = ["--prefill", "1", "--decode", "1"];
    const ok = await run("replay", trace, "--planner", file, ...both, "--json");
    expect(ok.code).toBe(0);
    expect(Object.keys(JSON.parse(ok.out).replicas[0])).toEqual(["at_ms", "prefill", "decode"]);
    const lost = { profile_results_dir: folder, load_predictor_warmup_trace: "gone.jsonl" };
    for (const [key, path] of Object.entries(lost)) {
      writeFileSync(file, `optimization_target: sla\n${key}: ${path}\n`);
      const said = await run("replay", trace, "--planner", file);
      expect(said.code).toBe(2);
      expect(said.error).toContain(path);
    }
    const none = await run("replay", trace, "--planner", join(folder, "none.yaml"));
    expect(none.error).toContain("give --planner the path of a file, or one of throughput");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each([
  [["size", trace], "which limits? Give --ttft-ms and --itl-ms"],
  [["size", ...limits], "which trace?"],
  [["size", trace, ...limits, "--sla-share", "95"], "--sla-share is a share of the requests"],
  [["replay", trace, "--planner", "sla", "--cannot-start", "0"], "--cannot-start must be a whole"],
] as const)("%p: one line that says what to do, exit 2", async (args, message) => {
  const [command, ...flags] = args as readonly ["size" | "replay", ...string[]];
  const { code, error } = await run(command, ...flags);
  expect(code).toBe(2);
  expect(error).toContain(message);
});

/** Until it has a handler of its own for SIGINT, Linux would end it without a word. */
const hears = (pid: number): boolean => {
  const [, caught = "0"] = /SigCgt:\t(\w+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return (BigInt(`0x${caught}`) & (1n << BigInt(constants.signals.SIGINT - 1))) > 0n;
};

test.each([
  ["replay", [], "replay: stopped by SIGINT: nothing was written\n", ""],
  ["size", ["--threads", "1"], "size: stopped by SIGINT; what was found", "it was stopped, so"],
  ["size", ["--threads", "2"], "size: stopped by SIGINT; what was found", "it was stopped, so"],
] as const)(
  "%s %p: stopped in the middle, it says so and what it has",
  async (command, flags, said, out) => {
    const long = ["synthetic:requests=100000", ...limits];
    const child = Bun.spawn([process.execPath, `test/bench/${command}.ts`, ...long, ...flags], {
      ...{ cwd: join(import.meta.dir, "../../.."), stdout: "pipe", stderr: "pipe" },
    });
    await until("a handler of signals", 30_000, () => hears(child.pid));
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await new Response(child.stderr).text()).toStartWith(said);
    expect(await new Response(child.stdout).text()).toContain(out);
  },
  60_000,
);
