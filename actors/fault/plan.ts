/**
 * Faults to inject, as data. A plan is a seed and rules; it comes as JSON in the environment
 * (`TROUPE_FAULTS`) or in a `set_faults` message.
 *
 *     {"seed": 7, "rules": [
 *       {"point": "net.send", "match": "root.sock", "do": "drop", "after_ms": 2000, "for_ms":
 *       5000}, {"node": "worker-1", "point": "step.after", "match": "generate", "do": "exit",
 *       "nth": 3}, {"point": "file.write", "do": "fail", "chance": 0.1}]}
 *
 * | point | detail that `match` sees | what it can do |
 * | --- | --- | --- |
 * | net.connect | address dialled | drop, delay, fail, exit |
 * | net.accept | address listened at | drop, fail, exit |
 * | net.send, net.receive | address dialled or listened at| drop, delay, corrupt, fail, exit |
 * | http.request | GET /path | drop, delay, fail, exit |
 * | file.read, file.write | path | delay, fail, exit |
 * | store.read, store.write | key | delay, fail, exit |
 * | step.deliver | /actor/path kind | drop, delay, duplicate, reorder |
 * | step.before, step.after | /actor/path kind | crash, exit |
 * | engine.prompt | ids of a prompt that begins | fail, crash, exit, abort |
 * | engine.step | | fail, crash, exit, abort |
 *
 * `drop` on a connection is a cut cable: what is sent waits, as TCP would repeat it, and arrives
 * when the rule is over, unless one end gave up before. Without a heal both ends only see silence.
 * `crash` ends the actor, `exit` the process, at once and without a word: as a kill from outside,
 * while `abort` looks like a fault of its own.
 */
export type FaultPoint = keyof typeof faultPoints;

export const faultPoints = {
  "net.connect": ["drop", "delay", "fail", "exit"],
  "net.accept": ["drop", "fail", "exit"],
  "net.send": ["drop", "delay", "corrupt", "fail", "exit"],
  "net.receive": ["drop", "delay", "corrupt", "fail", "exit"],
  "http.request": ["drop", "delay", "fail", "exit"],
  "file.read": ["delay", "fail", "exit"],
  "file.write": ["delay", "fail", "exit"],
  "store.read": ["delay", "fail", "exit"],
  "store.write": ["delay", "fail", "exit"],
  "step.deliver": ["drop", "delay", "duplicate", "reorder"],
  "step.before": ["crash", "exit"],
  "step.after": ["crash", "exit"],
  "engine.prompt": ["fail", "crash", "exit", "abort"],
  "engine.step": ["fail", "crash", "exit", "abort"],
} as const;

export type FaultDeed =
  | "drop"
  | "delay"
  | "corrupt"
  | "fail"
  | "exit"
  | "duplicate"
  | "reorder"
  | "crash"
  | "abort";

export type FaultRule = {
  readonly point: FaultPoint;
  readonly do: FaultDeed;
  /** Only in this node; a `*` at its end stands for anything. Not given: in all. */
  readonly node?: string;
  /** Only where the detail contains this. */
  readonly match?: string;
  /** Chance of the fault each time that the rule applies. Default 1. */
  readonly chance?: number;
  /** Only the n-th time that it applies, from 1. */
  readonly nth?: number;
  /** At most so often. */
  readonly times?: number;
  /** Length of a delay, drawn between a half of it and the whole. Default 100. */
  readonly delay_ms?: number;
  /** Begin and length of the rule, counted from when the plan was set. */
  readonly after_ms?: number;
  readonly for_ms?: number;
};

export type FaultPlan = { readonly seed: number; readonly rules: readonly FaultRule[] };

/** Environment: a plan in JSON. Set, also to `{}`, it makes a process open to `set_faults`. */
export const FAULTS_VARIABLE = "TROUPE_FAULTS";

export class FaultPlanError extends Error {
  override readonly name = "FaultPlanError";
  readonly code = "bad_fault_plan";
}

const numbers = ["chance", "nth", "times", "delay_ms", "after_ms", "for_ms"] as const;
const texts = ["point", "do", "node", "match"] as const;
const known: readonly string[] = [...numbers, ...texts];

/** Throws FaultPlanError with one line that says what is wrong. */
export function readPlan(json: string): FaultPlan {
  let given: { seed?: unknown; rules?: unknown };
  try {
    given = JSON.parse(json) as typeof given;
  } catch (error) {
    throw new FaultPlanError(`a fault plan is JSON: ${String(error)}`);
  }
  const { seed = 1, rules = [] } = given ?? {};
  if (typeof seed !== "number" || !Array.isArray(rules)) {
    throw new FaultPlanError('a fault plan has a number "seed" and a list "rules"');
  }
  return { seed, rules: rules.map(readRule) };
}

function readRule(given: Record<string, unknown>, index: number): FaultRule {
  const wrong = (what: string) => new FaultPlanError(`rule ${index} of the fault plan: ${what}`);
  for (const [name, value] of Object.entries(given)) {
    if (!known.includes(name)) throw wrong(`there is no "${name}"; known: ${known.join(", ")}`);
    const type = (texts as readonly string[]).includes(name) ? "string" : "number";
    if (typeof value !== type) throw wrong(`"${name}" is a ${type}`);
  }
  const rule = given as FaultRule;
  const deeds: readonly string[] | undefined = faultPoints[rule.point];
  if (deeds === undefined) {
    throw wrong(`no point "${rule.point}"; points: ${Object.keys(faultPoints).join(", ")}`);
  }
  if (!deeds.includes(rule.do)) throw wrong(`${rule.point} can ${deeds.join(", ")}`);
  return rule;
}

/**
 * Rules that cut the connections of a process to an address, or one direction of them: `out` is the
 * direction from this process. Both ends of a connection know the dialled address; give it to both.
 */
export function partition(
  match: string,
  direction: "both" | "in" | "out" = "both",
  more: Partial<FaultRule> = {},
): FaultRule[] {
  const rules: FaultRule[] = [{ ...more, point: "net.connect", match, do: "drop" }];
  if (direction !== "in") rules.push({ ...more, point: "net.send", match, do: "drop" });
  if (direction !== "out") rules.push({ ...more, point: "net.receive", match, do: "drop" });
  return rules;
}
