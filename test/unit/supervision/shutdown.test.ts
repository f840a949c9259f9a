import { expect, test } from "bun:test";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { runShutdown, type ShutdownPhase } from "../../../runtime/supervision/shutdown.ts";
import { MemoryLog } from "../../support/worlds/test-system.ts";

test("phases run one after the other; one that overruns or throws does not stop the rest", async () => {
  const clock = new VirtualClock();
  const log = new MemoryLog();
  const seen: string[] = [];
  let aborted = false;
  const wait = (ms: number): Promise<void> => new Promise((done) => clock.after(ms, done));
  const phases: ShutdownPhase[] = [
    { name: "stop_admitting", budget_ms: 10, run: () => void seen.push("stop_admitting") },
    {
      name: "finish_streams",
      budget_ms: 100,
      run: async (signal) => {
        signal.addEventListener("abort", () => (aborted = true));
        await wait(1000);
        seen.push("too late");
      },
    },
    {
      name: "leave_registry",
      budget_ms: 10,
      run: () => {
        throw new Error("no registry");
      },
    },
    { name: "drain_bus", budget_ms: 100, run: () => wait(30) },
    { name: "stop_tree", budget_ms: 10, run: () => void seen.push("stop_tree") },
  ];
  const running = runShutdown(phases, { clock, log });
  await clock.advance(500);
  const result = await running;
  expect(result.phases).toEqual([
    { name: "stop_admitting", outcome: "done", took_ms: 0 },
    { name: "finish_streams", outcome: "overran", took_ms: 100 },
    { name: "leave_registry", outcome: "failed", took_ms: 0, error: "Error: no registry" },
    { name: "drain_bus", outcome: "done", took_ms: 30 },
    { name: "stop_tree", outcome: "done", took_ms: 0 },
  ]);
  expect(result.clean).toBe(false);
  expect(result.took_ms).toBe(130);
  expect(seen).toEqual(["stop_admitting", "stop_tree"]);
  expect(aborted).toBe(true);
  expect(log.lines.filter(({ level }) => level === "warn").map(({ message }) => message)).toEqual([
    "shutdown: finish_streams overran",
    "shutdown: leave_registry failed",
  ]);
  expect(log.lines.length).toBe(10);
  expect(log.lines.filter(({ level }) => level === "debug").length).toBe(8);
});

test("a clean shutdown says so and leaves no timer", async () => {
  const clock = new VirtualClock();
  const phases = [{ name: "only", budget_ms: 10, run: () => {} }];
  const result = await runShutdown(phases, { clock, log: new MemoryLog() });
  expect(result.clean).toBe(true);
  expect(clock.pending).toBe(0);
});
