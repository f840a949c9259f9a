/** The flags of a replay with a planner, and their usage. */
import { planGoals } from "../../../../actors/planner/pipeline/config.ts";
import { text, type WorldFlags } from "./flags.ts";

/** In the form of `parseArgs`. */
export const planOptions = {
  planner: text(""),
  "min-workers": text(""),
  "max-workers": text(""),
  "startup-seconds": text(""),
  "startup-spread-seconds": text(""),
  "role-change-seconds": text(""),
  "cannot-start": { type: "string", multiple: true, default: [] as string[] },
} as const;

export type PlanFlags = WorldFlags &
  Readonly<Record<Exclude<keyof typeof planOptions, "cannot-start">, string>> & {
    readonly "cannot-start": readonly string[];
  };

/** Lines for people. */
export const planUsage = `  --planner P               workers come and go as a planner decides: P is a file (JSON or YAML, by
                            Dynamo's names) or ${planGoals.join(", ")}; --workers, or --prefill and
                            --decode, are there at the beginning
  --min-workers N, --max-workers N   of each role; beside --ttft-ms and --itl-ms in place of the file's
  --startup-seconds S       from the start of a worker until it serves (30)
  --startup-spread-seconds S  the same is S longer or shorter at most, by chance (0)
  --role-change-seconds S   from the end of a drain until the worker serves in its new role (1)
  --cannot-start I          the Ith worker that is started never serves; repeatable`;
