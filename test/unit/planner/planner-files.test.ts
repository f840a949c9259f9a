import { expect, test } from "bun:test";
import type { PlannerConfig } from "../../../actors/planner/pipeline/config.ts";
import { plannerDefaults } from "../../../actors/planner/pipeline/config-defaults.ts";
import { PlannerConfigError } from "../../../actors/planner/pipeline/config-text.ts";
import { initialState, tick } from "../../../actors/planner/pipeline/tick.ts";
import { partsWith, readPlannerFiles } from "../../../actors/planner/planner-files.ts";
import { planSnapshot } from "../../support/planner/plan-cases.ts";

const config: PlannerConfig = {
  ...plannerDefaults,
  load_predictor: "constant",
  load_predictor_warmup_trace: "before.jsonl",
};

/** `rate` requests a second for ten minutes. */
function traceOf(rate: number): string {
  const rows = Array.from({ length: 600 * rate + 1 }, (_, i) => {
    return JSON.stringify({
      ...{ timestamp: (1_000 / rate) * i, input_length: 300, output_length: 40 },
    });
  });
  return rows.join("\n");
}

const disk = (text: string | undefined) => ({
  read: async () => {
    if (text === undefined) throw new Error("no such file");
    return new TextEncoder().encode(text);
  },
  size_bytes: async () => text?.length,
});

test("a planner that was warmed up predicts at its first interval", async () => {
  const parts = partsWith(config, await readPlannerFiles(disk(traceOf(2)), config));
  const first = tick(initialState("model", config), planSnapshot(), config, parts);
  const predicted = first.state.prediction;
  expect(predicted).toMatchObject({ requests: 360, isl: 300, osl: 40 });
});

test("what the journal says of a planner's loads comes before the trace", async () => {
  const cold = partsWith(config, { curves: undefined, history: [] });
  const known = tick(initialState("model", config), planSnapshot(), config, cold).state;
  const parts = partsWith(config, await readPlannerFiles(disk(traceOf(2)), config));
  const next = tick(known, planSnapshot({ at_ms: 10_000 }), config, parts);
  expect(next.state.prediction?.requests).toBeUndefined();
});

test.each([
  ["a file that is not there", undefined, "no such file"],
  ["a line that is none of a trace", '{"timestamp": 0}', "line 1 of the warm-up trace"],
])("%s is told in one line", async (_, text, part) => {
  const reading = readPlannerFiles(disk(text), config);
  const error = await reading.then(
    () => undefined,
    (problem: unknown) => problem,
  );
  expect(error).toBeInstanceOf(PlannerConfigError);
  const { message } = error as PlannerConfigError;
  expect(message).toContain("load_predictor_warmup_trace before.jsonl cannot be read");
  expect(message).toContain(part);
  expect(message).not.toContain("\n");
});
