/** Decides, at each named point of one process, whether something goes wrong there. */
import type { Clock, Timer } from "../../runtime/capabilities.ts";
import type { Delivery, StepHook } from "../../runtime/kernel/stepped-cell.ts";
import { SeededRandom } from "../../runtime/simulation/random.ts";
import type { FaultDeed, FaultPlan, FaultPoint, FaultRule } from "./plan.ts";

/** Thrown by an injected crash. */
export class InjectedFault extends Error {
  override readonly name = "InjectedFault";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export type Fault = { readonly do: FaultDeed; readonly delay_ms: number };

type Armed = FaultRule & { seen: number; done: number };

const DEFAULT_DELAY_MS = 100;
/** Exit codes of shells for SIGKILL and SIGABRT. */
const exitCodes: Partial<Record<FaultDeed, number>> = { exit: 137, abort: 134 };

export type InjectorParts = {
  readonly node: string;
  readonly clock: Clock;
  /** Leaves the process at once. */
  readonly exit: (code: number, why: string) => void;
};

export class FaultInjector implements StepHook {
  /** How often each deed was done at each point: `net.send drop` → 3. */
  readonly done = new Map<string, number>();
  readonly #parts: InjectorParts;
  readonly #byPoint = new Map<FaultPoint, Armed[]>();
  readonly #listeners = new Set<() => void>();
  #plan: FaultPlan = { seed: 1, rules: [] };
  #random = new SeededRandom(1);
  #set_ms = 0;
  #timers: Timer[] = [];

  constructor(parts: InjectorParts, plan?: FaultPlan) {
    this.#parts = parts;
    if (plan !== undefined) this.set(plan);
  }

  get plan(): FaultPlan {
    return this.#plan;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  /** Replaces every rule, and begins their counts and times anew. */
  set(plan: FaultPlan): void {
    const { clock, node } = this.#parts;
    this.#plan = plan;
    this.#random = new SeededRandom(plan.seed);
    this.#set_ms = clock.now_ms();
    this.#byPoint.clear();
    for (const timer of this.#timers) clock.cancel(timer);
    this.#timers = [];
    for (const rule of plan.rules) {
      if (!isNode(rule.node, node)) continue;
      const armed = { ...rule, seen: 0, done: 0 };
      this.#byPoint.set(rule.point, [...(this.#byPoint.get(rule.point) ?? []), armed]);
      if (rule.for_ms === undefined) continue;
      const end_ms = (rule.after_ms ?? 0) + rule.for_ms;
      this.#timers.push(clock.after(end_ms, () => this.#changed()));
    }
    this.#changed();
  }

  /** Calls `listener` when rules are set or end: bytes that were held back may go. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Number of channels that may hold bytes back. */
  get listening(): number {
    return this.#listeners.size;
  }

  /** The fault at this point now, if any; the first rule that applies decides. */
  at(point: FaultPoint, detail: string): Fault | undefined {
    for (const rule of this.#byPoint.get(point) ?? []) {
      if (!this.#applies(rule, detail)) continue;
      rule.done++;
      const name = `${point} ${rule.do}`;
      this.done.set(name, (this.done.get(name) ?? 0) + 1);
      const code = exitCodes[rule.do];
      if (code !== undefined) this.#parts.exit(code, `injected: ${point} ${detail}`);
      const longest_ms = rule.delay_ms ?? DEFAULT_DELAY_MS;
      return { do: rule.do, delay_ms: longest_ms * (1 - this.#random.unit() / 2) };
    }
    return undefined;
  }

  /** True while a `drop` of this point lasts, for waiting connections. Draws and counts nothing. */
  blocked(point: FaultPoint, detail: string): boolean {
    return (this.#byPoint.get(point) ?? []).some((rule) => {
      return rule.do === "drop" && this.#inTime(rule) && detail.includes(rule.match ?? "");
    });
  }

  // ---- StepHook ------------------------------------------------------------------------------

  deliver(path: string, message: { readonly kind: string }): Delivery {
    const fault = this.at("step.deliver", `${path} ${message.kind}`);
    switch (fault?.do) {
      case "drop":
        return { kind: "drop" };
      case "duplicate":
        return { kind: "twice" };
      case "reorder":
        return { kind: "swap" };
      case "delay":
        return { kind: "late", delay_ms: fault.delay_ms };
      default:
        return { kind: "pass" };
    }
  }

  before(path: string, message: { readonly kind: string }): void {
    this.#step("step.before", `${path} ${message.kind}`);
  }

  after(path: string, message: { readonly kind: string }): void {
    this.#step("step.after", `${path} ${message.kind}`);
  }

  #step(point: FaultPoint, detail: string): void {
    if (this.at(point, detail) === undefined) return;
    throw new InjectedFault("injected", `injected: ${point} ${detail}`);
  }

  #applies(rule: Armed, detail: string): boolean {
    if (!detail.includes(rule.match ?? "") || !this.#inTime(rule)) return false;
    rule.seen++;
    if (rule.nth !== undefined && rule.seen !== rule.nth) return false;
    if (rule.times !== undefined && rule.done >= rule.times) return false;
    return rule.chance === undefined || this.#random.unit() < rule.chance;
  }

  #inTime({ after_ms = 0, for_ms = Number.POSITIVE_INFINITY }: FaultRule): boolean {
    const since_ms = this.#parts.clock.now_ms() - this.#set_ms;
    return since_ms >= after_ms && since_ms < after_ms + for_ms;
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function isNode(pattern: string | undefined, node: string): boolean {
  if (pattern === undefined) return true;
  return pattern.endsWith("*") ? node.startsWith(pattern.slice(0, -1)) : node === pattern;
}
