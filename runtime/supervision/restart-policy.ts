/**
 * Decides what a supervisor does when a child ends; a pure function. The rules are those of OTP
 * (do_restart/3, restart/2, add_restart/1 in lib/stdlib/src/supervisor.erl); the delay and
 * the crash loop are ours.
 */

import { type ExitReason, endedWell } from "../kernel/exit-reason.ts";
import type { AutoShutdown, Backoff, RestartType, Strategy } from "./child-spec.ts";

export type PolicyChild = {
  readonly id: string;
  readonly restart: RestartType;
  readonly significant: boolean;
  /** Running, starting, or waiting to be restarted. */
  readonly active: boolean;
};

export type PolicySpec = {
  readonly strategy: Strategy;
  readonly intensity: number;
  readonly period_ms: number;
  readonly backoff: Backoff;
  /** The pace past the intensity; undefined: the supervisor gives up there. */
  readonly crash_loop?: { readonly backoff: Backoff } | undefined;
  readonly auto_shutdown: AutoShutdown;
};

type ChildEnd = {
  readonly id: string;
  readonly reason: ExitReason;
  readonly now_ms: number;
  /** Restarts of this child in a row before this end: see `Backoff`. */
  readonly streak: number;
  /** How many of these were at the pace of the crash loop; 0: the child is in none. */
  readonly loops: number;
  /** Uniform in [0, 1): the jitter's share. */
  readonly unit: number;
};

type Decision =
  /** Not restarted. `remove`: its specification goes too. */
  | { readonly kind: "leave"; readonly remove: boolean }
  /** Not restarted, and its end ends the supervisor. */
  | { readonly kind: "auto_shutdown"; readonly remove: boolean }
  /** Too many restarts within the period. */
  | { readonly kind: "give_up" }
  | {
      readonly kind: "restart";
      /** Affected children in start order: stopped from the right, started from the left. */
      readonly group: readonly string[];
      readonly delay_ms: number;
      /** True: at the pace of the crash loop. */
      readonly loops: boolean;
    };

type Verdict = {
  readonly decision: Decision;
  /** Times of the restarts within the period, newest first. */
  readonly history: readonly number[];
  /** OTP reports these ends: all of permanent children, the failures of others. */
  readonly report: boolean;
};

/** `children` in start order, with the one that ended among them. Never throws. */
export function decide(
  spec: PolicySpec,
  children: readonly PolicyChild[],
  history: readonly number[],
  end: ChildEnd,
): Verdict {
  const child = children.find(({ id }) => id === end.id);
  if (child === undefined) {
    return { decision: { kind: "leave", remove: false }, history, report: false };
  }
  const report = child.restart === "permanent" || !endedWell(end.reason);
  if (!restarts(child.restart, end.reason)) {
    const remove = child.restart === "temporary";
    const ends = endsSupervisor(spec.auto_shutdown, child, children);
    return { decision: { kind: ends ? "auto_shutdown" : "leave", remove }, history, report };
  }
  const recent = addRestart(history, end.now_ms, spec.period_ms);
  const group = affected(spec.strategy, children, end.id);
  const { crash_loop } = spec;
  // At the slow pace few ends fall into one period, so only a long life ends a crash loop.
  const loops = recent.length > spec.intensity || end.loops > 0;
  if (loops && crash_loop === undefined) {
    return { decision: { kind: "give_up" }, history: recent, report };
  }
  const delay_ms =
    loops && crash_loop !== undefined
      ? backoffDelay_ms(crash_loop.backoff, end.loops, end.unit)
      : backoffDelay_ms(spec.backoff, end.streak, end.unit);
  return { decision: { kind: "restart", group, delay_ms, loops }, history: recent, report };
}

/** A child that lived for this long begins a new streak, and its crash loop is over. */
export function healthyAfter_ms({ period_ms, backoff, crash_loop }: PolicySpec): number {
  return Math.max(period_ms, backoff.max_ms, crash_loop?.backoff.max_ms ?? 0);
}

function restarts(restart: RestartType, reason: ExitReason): boolean {
  switch (restart) {
    case "permanent":
      return true;
    case "transient":
      return !endedWell(reason);
    case "temporary":
      return false;
  }
}

/** A restart exactly `period_ms` ago still counts, as in OTP. */
function addRestart(history: readonly number[], now_ms: number, period_ms: number): number[] {
  return [now_ms, ...history.filter((at_ms) => now_ms - at_ms <= period_ms)];
}

/** Affected children in start order. Temporary ones are stopped and not started again. */
function affected(strategy: Strategy, children: readonly PolicyChild[], failed: string): string[] {
  const ids = children.map(({ id }) => id);
  switch (strategy) {
    case "one_for_one":
    case "dynamic":
      return [failed];
    case "one_for_all":
      return ids;
    case "rest_for_one":
      return ids.slice(ids.indexOf(failed));
  }
}

/** `streak`: restarts in a row before this one. `unit`: uniform in [0, 1), the jitter's draw. */
export function backoffDelay_ms(backoff: Backoff, streak: number, unit: number): number {
  const full_ms = Math.min(backoff.max_ms, backoff.first_ms * backoff.factor ** streak);
  return full_ms * (1 - backoff.jitter * unit);
}

/** Only a child's own end counts, never one the supervisor brought about. */
function endsSupervisor(
  mode: AutoShutdown,
  child: PolicyChild,
  children: readonly PolicyChild[],
): boolean {
  if (mode === "never" || !child.significant) return false;
  if (mode === "any_significant") return true;
  return !children.some(({ id, significant, active }) => significant && active && id !== child.id);
}
