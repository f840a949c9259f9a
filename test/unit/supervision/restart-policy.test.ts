import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ExitReason } from "../../../runtime/kernel/exit-reason.ts";
import type {
  AutoShutdown,
  Backoff,
  RestartType,
  Strategy,
} from "../../../runtime/supervision/child-spec.ts";
import {
  backoffDelay_ms,
  decide,
  healthyAfter_ms,
  type PolicyChild,
  type PolicySpec,
} from "../../../runtime/supervision/restart-policy.ts";

/**
 * The model is OTP's own bookkeeping, written down as it stands in supervisor.erl: a list of
 * restart times, `in_period`, and clauses tried in the order of do_restart/3.
 */
type OtpState = { restarts: number[]; intensity: number; period: number };

function otpAddRestart(state: OtpState, now: number): "ok" | "terminate" {
  const kept: number[] = [];
  for (const then of [now, ...state.restarts]) {
    if (now <= then + state.period) kept.push(then);
    else break;
  }
  state.restarts = kept;
  return kept.length <= state.intensity ? "ok" : "terminate";
}

type OtpAction = "restart" | "del_child" | "auto_shutdown" | "shutdown";

function otpDoRestart(
  state: OtpState,
  child: PolicyChild,
  reason: ExitReason,
  auto: AutoShutdown,
  others: readonly PolicyChild[],
  now: number,
): { action: OtpAction; reported: boolean } {
  const again = (): OtpAction => (otpAddRestart(state, now) === "ok" ? "restart" : "shutdown");
  const leave = (): OtpAction => {
    if (auto === "never" || !child.significant) return "del_child";
    if (auto === "any_significant") return "auto_shutdown";
    return others.some((one) => one.significant && one.active) ? "del_child" : "auto_shutdown";
  };
  if (child.restart === "permanent") return { action: again(), reported: true };
  if (reason.kind === "normal") return { action: leave(), reported: false };
  if (reason.kind === "shutdown") return { action: leave(), reported: false };
  if (child.restart === "transient") return { action: again(), reported: true };
  return { action: leave(), reported: true };
}

const restartType = fc.constantFrom<RestartType>("permanent", "transient", "temporary");
const strategy = fc.constantFrom<Strategy>("one_for_one", "one_for_all", "rest_for_one", "dynamic");
const auto = fc.constantFrom<AutoShutdown>("never", "any_significant", "all_significant");
const reason = fc.constantFrom<ExitReason>(
  { kind: "normal" },
  { kind: "shutdown", detail: "x" },
  { kind: "crash", error: "x" },
  { kind: "killed" },
  { kind: "noconnection" },
);
const child = fc.record({ restart: restartType, significant: fc.boolean(), active: fc.boolean() });
const spec = fc.record({
  strategy,
  intensity: fc.nat(4),
  period_ms: fc.integer({ min: 1, max: 100 }),
  auto_shutdown: auto,
});
const ends = fc.array(
  fc.record({ child: fc.nat(5), reason, later_ms: fc.nat(60), unit: fc.constant(0.5) }),
  { maxLength: 20 },
);
const backoff: Backoff = { first_ms: 10, max_ms: 80, factor: 2, jitter: 0 };

test("every decision is the one OTP would take", () => {
  const children = fc.array(child, { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(spec, children, ends, (flags, drawn, steps) => {
      const all: PolicyChild[] = drawn.map((one, i) => ({ id: `c${i}`, ...one }));
      const otp: OtpState = { restarts: [], intensity: flags.intensity, period: flags.period_ms };
      let history: readonly number[] = [];
      let now_ms = 0;
      for (const step of steps) {
        now_ms += step.later_ms;
        const failed = all[step.child % all.length] as PolicyChild;
        const end = {
          id: failed.id,
          reason: step.reason,
          now_ms,
          streak: 0,
          loops: 0,
          unit: step.unit,
        };
        const verdict = decide({ ...flags, backoff }, all, history, end);
        history = verdict.history;
        const others = all.filter((one) => one !== failed);
        const model = otpDoRestart(otp, failed, step.reason, flags.auto_shutdown, others, now_ms);
        const names = { leave: "del_child", give_up: "shutdown" } as const;
        const { kind } = verdict.decision;
        const action: OtpAction = kind === "leave" || kind === "give_up" ? names[kind] : kind;
        expect(action).toBe(model.action);
        expect(verdict.report).toBe(model.reported);
        expect(verdict.history.length).toBe(otp.restarts.length);
        if (verdict.decision.kind === "restart") {
          expect(verdict.decision.group).toEqual(otpGroup(flags.strategy, all, failed));
        }
        if (verdict.decision.kind === "leave" || verdict.decision.kind === "auto_shutdown") {
          expect(verdict.decision.remove).toBe(failed.restart === "temporary");
        }
        if (verdict.decision.kind === "give_up") return;
      }
    }),
    { numRuns: 500 },
  );
});

function otpGroup(of: Strategy, all: readonly PolicyChild[], failed: PolicyChild): string[] {
  const group: string[] = [];
  let seen = false;
  for (const one of all) {
    seen ||= one === failed;
    if (of === "one_for_all" || one === failed || (of === "rest_for_one" && seen)) {
      group.push(one.id);
    }
  }
  return group;
}

test("intensity 1 in 5 s: the second failure within 5 s is one too many, after that it is not", () => {
  const flags = { strategy: "one_for_one", auto_shutdown: "never", backoff } as const;
  const only: PolicyChild = { id: "a", restart: "permanent", significant: false, active: true };
  const at = (now_ms: number, history: readonly number[]) => {
    const end = {
      id: "a",
      reason: { kind: "killed" },
      now_ms,
      streak: 0,
      loops: 0,
      unit: 0,
    } as const;
    return decide({ ...flags, intensity: 1, period_ms: 5000 }, [only], history, end);
  };
  const first = at(0, []);
  expect(first.decision.kind).toBe("restart");
  expect(at(5000, first.history).decision.kind).toBe("give_up");
  expect(at(5001, first.history).decision.kind).toBe("restart");
});

test("the back-off grows to its limit, and jitter only takes away", () => {
  const delays = [0, 1, 2, 3, 4, 50].map((streak) => backoffDelay_ms(backoff, streak, 0.9));
  expect(delays).toEqual([10, 20, 40, 80, 80, 80]);
  fc.assert(
    fc.property(fc.nat(2000), fc.double({ min: 0, max: 0.999999, noNaN: true }), (streak, unit) => {
      const jittered = { ...backoff, jitter: 0.5 };
      const delay_ms = backoffDelay_ms(jittered, streak, unit);
      const full_ms = backoffDelay_ms(backoff, streak, 0);
      expect(delay_ms).toBeGreaterThanOrEqual(full_ms / 2);
      expect(delay_ms).toBeLessThanOrEqual(full_ms);
    }),
  );
});

test("a child nobody knows changes nothing", () => {
  const flags = { strategy: "one_for_all", auto_shutdown: "never", backoff } as const;
  const end = {
    id: "x",
    reason: { kind: "killed" },
    now_ms: 5,
    streak: 0,
    loops: 0,
    unit: 0,
  } as const;
  expect(decide({ ...flags, intensity: 1, period_ms: 5 }, [], [1], end)).toEqual({
    decision: { kind: "leave", remove: false },
    history: [1],
    report: false,
  });
});

describe("a crash loop", () => {
  const only: PolicyChild = { id: "a", restart: "permanent", significant: false, active: true };
  const slow: Backoff = { first_ms: 1_000, max_ms: 8_000, factor: 2, jitter: 0.5 };
  const spec: PolicySpec = {
    strategy: "one_for_one",
    auto_shutdown: "never",
    intensity: 2,
    period_ms: 5_000,
    backoff,
    crash_loop: { backoff: slow },
  };
  const die = (now_ms: number, history: readonly number[], loops: number, unit = 0) => {
    const end = { id: "a", reason: { kind: "killed" }, now_ms, streak: 9, loops, unit } as const;
    return decide(spec, [only], history, end);
  };

  test("within the intensity the pace is the quick one, past it the slow one, never an end", () => {
    const first = die(0, [], 0);
    expect(first.decision).toMatchObject({ kind: "restart", delay_ms: 80, loops: false });
    const second = die(1, first.history, 0);
    expect(second.decision).toMatchObject({ delay_ms: 80, loops: false });
    const third = die(2, second.history, 0);
    expect(third.decision).toMatchObject({ kind: "restart", delay_ms: 1_000, loops: true });
  });

  test("ends that are far apart for being tried slowly do not end the loop", () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.nat(1_000_000), fc.nat(99), (n, later_ms, percent) => {
        const { decision } = die(later_ms, [], n + 1, percent / 100);
        if (decision.kind !== "restart") throw new Error(decision.kind);
        expect(decision.loops).toBe(true);
        const full_ms = Math.min(slow.max_ms, slow.first_ms * slow.factor ** (n + 1));
        expect(decision.delay_ms).toBeGreaterThan(full_ms / 2);
        expect(decision.delay_ms).toBeLessThanOrEqual(full_ms);
      }),
    );
  });

  test("a child is over it once it lived for the period and for the longest wait", () => {
    expect(healthyAfter_ms(spec)).toBe(8_000);
    expect(healthyAfter_ms({ ...spec, period_ms: 9_000 })).toBe(9_000);
    expect(healthyAfter_ms({ ...spec, crash_loop: undefined })).toBe(5_000);
  });
});
