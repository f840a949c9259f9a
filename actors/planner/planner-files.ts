/** What a planner's configuration names on disk: curves of a profile, a trace to warm up with. */
import type { Files } from "../../runtime/capabilities.ts";
import { errorText } from "../../runtime/error-text.ts";
import type { Curves } from "./model/curves.ts";
import { readCurves } from "./model/read-curves.ts";
import type { PlannerConfig } from "./pipeline/config.ts";
import { PlannerConfigError } from "./pipeline/config-text.ts";
import { plannerParts } from "./pipeline/parts.ts";
import type { PlannerParts } from "./pipeline/tick.ts";
import { type IntervalLoad, loadRows, loadsOf } from "./predict/interval-load.ts";
import { warmedMemory } from "./predict/predict-stage.ts";
import { proposeStages } from "./propose/propose.ts";

export type PlannerFiles = {
  readonly curves: Curves | undefined;
  /** Empty: there is no trace. */
  readonly history: readonly IntervalLoad[];
};

/** Rejects with ProfileError or PlannerConfigError, one line that names the file. */
export async function readPlannerFiles(
  files: Pick<Files, "read" | "size_bytes">,
  config: PlannerConfig,
): Promise<PlannerFiles> {
  const curves = await readCurves(files, config.profile_results_dir);
  const path = config.load_predictor_warmup_trace;
  if (path === "") return { curves, history: [] };
  const interval_ms = 1_000 * config.throughput_adjustment_interval_seconds;
  try {
    const text = new TextDecoder().decode(await files.read(path));
    return { curves, history: loadsOf(loadRows(text), interval_ms) };
  } catch (error) {
    throw new PlannerConfigError(
      `load_predictor_warmup_trace ${path} cannot be read (${errorText(error)}): give a trace in ` +
        "Mooncake's format, or leave it empty",
    );
  }
}

/** The stages, whose predictor knows the trace until the journal says what came after it. */
export function partsWith(config: PlannerConfig, { curves, history }: PlannerFiles): PlannerParts {
  const parts = plannerParts(config, proposeStages(config, curves));
  if (history.length === 0) return parts;
  return { ...parts, predict: { ...parts.predict, start: warmedMemory(config, history) } };
}
