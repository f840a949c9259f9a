/**
 * The bytes that a planner's journal keeps: a line that names the format, its version and a
 * checksum, and the state as JSON.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Decision } from "../pipeline/decision.ts";
import { PLANNER_STATE_VERSION, type PlannerState } from "../pipeline/planner-state.ts";
import {
  byRole,
  decisionForm,
  failedForm,
  gatheredForm,
  number,
  pendingForm,
  predictionForm,
  proposalForm,
  snapshotForm,
} from "./forms.ts";
import { memoryForms } from "./memory-forms.ts";

export type JournalRecord = {
  readonly state: PlannerState;
  /** The last ones that changed something, oldest first. */
  readonly decisions: readonly Decision[];
};

/** Decisions that are kept. */
const DECISIONS_MAX = 64;

const FORMAT = "troupe-planner";

export function encodeRecord(record: JournalRecord): Uint8Array {
  const text = JSON.stringify(record);
  const head = `${FORMAT} ${PLANNER_STATE_VERSION} ${checksum(text)}`;
  return new TextEncoder().encode(`${head}\n${text}`);
}

export type ReadRecord = {
  readonly record: JournalRecord;
  /** Parts that are not of the form that this program writes, by name: they are as none. */
  readonly lost: readonly string[];
};

/** `why`: what is wrong with bytes that hold no state. */
export function decodeRecord(bytes: Uint8Array): ReadRecord | { readonly why: string } {
  const whole = new TextDecoder().decode(bytes);
  const end = whole.indexOf("\n");
  const [format, version, sum] = whole.slice(0, Math.max(0, end)).split(" ");
  if (format !== FORMAT) return { why: "it is no record of a planner" };
  if (version !== `${PLANNER_STATE_VERSION}`) {
    return { why: `it is of version ${version}, this program writes ${PLANNER_STATE_VERSION}` };
  }
  const text = whole.slice(end + 1);
  if (checksum(text) !== sum)
    return { why: "its checksum is wrong, so it was not written in full" };
  try {
    const core = coreForm.safeParse(JSON.parse(text));
    if (core.success) return recordOf(core.data);
    const [{ path, message } = { path: [], message: "" }] = core.error.issues;
    return { why: `${path.join(".")} has not the form that is expected: ${message}` };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { why: `it is no JSON: ${error.message}` };
  }
}

/** With one more decision, of which those that changed something are kept. */
export function withDecision(
  decisions: readonly Decision[],
  decision: Decision,
): readonly Decision[] {
  const last = decisions[decisions.length - 1];
  if (decision.actions.length === 0 && last?.id === decision.id) return decisions;
  return [...decisions, decision].slice(-DECISIONS_MAX);
}

function checksum(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Without these there is no record. */
const coreForm = z.object({
  state: z.looseObject({
    version: z.literal(PLANNER_STATE_VERSION),
    model: z.string(),
    epoch: z.int().min(0),
    decision: z.int().min(0),
    stages: z.string(),
  }),
  decisions: z.unknown(),
});

/** Each part by itself: what cannot be read loses nothing else. */
function recordOf({ state, decisions }: z.infer<typeof coreForm>): ReadRecord {
  const lost: string[] = [];
  const part = <Value>(name: string, form: z.ZodType<Value>, value: unknown): Value | undefined => {
    if (value === undefined) return undefined;
    const read = form.safeParse(value);
    if (!read.success) lost.push(name);
    return read.data;
  };
  const list = <Value>(name: string, form: z.ZodType<Value>, value: unknown): readonly Value[] => {
    const all = part(name, z.array(z.unknown()), value) ?? [];
    return all.flatMap((each, i) => part(`${name} ${i + 1}`, form, each) ?? []);
  };
  const table = <Value>(
    name: string,
    formOf: (key: string) => z.ZodType<Value>,
    value: unknown,
  ): Readonly<Record<string, Value>> => {
    const all = Object.entries(part(name, z.record(z.string(), z.unknown()), value) ?? {});
    const read = all.map(
      ([key, each]) => [key, part(`${name} ${key}`, formOf(key), each)] as const,
    );
    return Object.fromEntries(
      read.filter((entry): entry is [string, Value] => entry[1] !== undefined),
    );
  };
  const { version, model, epoch, decision, stages } = state;
  const record: JournalRecord = {
    state: {
      ...{ version, model, epoch, decision, stages },
      memories: table("memory", (stage) => memoryForms[stage] ?? z.unknown(), state["memories"]),
      load: part("load", snapshotForm, state["load"]),
      throughput: part("throughput", gatheredForm, state["throughput"]),
      prediction: part("prediction", predictionForm, state["prediction"]),
      proposals: table("proposals", () => z.array(proposalForm), state["proposals"]),
      pending: list("pending", pendingForm, state["pending"]),
      failed_starts: part("failed_starts", byRole(failedForm), state["failed_starts"]) ?? {},
      starting: table("starting", () => number, state["starting"]),
      startup_ms: part("startup_ms", number.min(0), state["startup_ms"]),
      last: part("last", decisionForm, state["last"]),
    },
    decisions: list("decision", decisionForm, decisions).slice(-DECISIONS_MAX),
  };
  return { record, lost };
}
