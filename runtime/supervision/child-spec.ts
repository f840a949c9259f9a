/**
 * How a supervisor keeps a child. Words and defaults are those of OTP's `supervisor` (child_spec()
 * and sup_flags() in lib/stdlib/src/supervisor.erl); `backoff` is added.
 */

import type { Actor } from "../kernel/actor.ts";
import { BadSupervisorSpec } from "../kernel/errors.ts";
import type { ExitReason } from "../kernel/exit-reason.ts";
import type { MailboxOptions } from "../kernel/mailbox.ts";
import { DEFAULT_SHUTDOWN_MS, type Shutdown } from "../kernel/spawn-options.ts";
import type { Outside } from "../outside.ts";

/**
 * permanent: always restarted. transient: restarted unless it ended `normal` or `shutdown`.
 * temporary: never, and forgotten when it ended.
 */
export type RestartType = "permanent" | "transient" | "temporary";

export type ChildSpec = {
  /** Its name among its siblings, and the last part of its path. */
  readonly id: string;
  /** Makes a fresh actor for every life. */
  readonly start: (outside: Outside) => Actor<never>;
  /** permanent */
  readonly restart?: RestartType;
  /** 5,000 ms for workers, infinity for supervisors: a bound there would race with its children. */
  readonly shutdown_ms?: Shutdown;
  /** worker */
  readonly kind?: "worker" | "supervisor";
  readonly role?: string;
  /** Its own end may end the supervisor: see `auto_shutdown`. Not for permanent children. */
  readonly significant?: boolean;
  readonly mailbox?: MailboxOptions;
};

/** A child specification with its defaults filled in. */
export type FullChildSpec = ChildSpec &
  Required<Pick<ChildSpec, "restart" | "shutdown_ms" | "kind" | "significant">>;

/**
 * one_for_one: only the failed child. one_for_all: every child. rest_for_one: the failed child and
 * those after it. dynamic: as one_for_one, children come by `start_child` and stop in parallel.
 */
export type Strategy = "one_for_one" | "one_for_all" | "rest_for_one" | "dynamic";

export type AutoShutdown = "never" | "any_significant" | "all_significant";

/**
 * The n-th restart in a row waits min(max_ms, first_ms · factorⁿ⁻¹), less a random share of at
 * most `jitter` of it. A row ends when a child lived for max(period_ms, max_ms).
 */
export type Backoff = {
  readonly first_ms: number;
  readonly max_ms: number;
  readonly factor: number;
  /** 0 to 1. */
  readonly jitter: number;
};

/**
 * The supervisor does not give up: past the intensity it restarts a child at this slower pace,
 * until the child has lived for max(period_ms, max_ms).
 */
export type CrashLoop = {
  readonly backoff: Backoff;
  /** Called when a child's crash loop begins, and when it is over or the child is given up. */
  readonly changed?: (change: LoopChange) => void;
};

export type LoopChange = {
  readonly id: string;
  readonly loops: boolean;
  /** How the child ended when its crash loop began. */
  readonly reason: ExitReason;
};

/**
 * all: children start one after the other, and a child that fails to start fails the supervisor's
 * start, as in OTP. together: the same, but no child waits for another. tried: as together, but the
 * supervisor runs at once, and a child that fails to start is restarted as one that ended.
 */
type FirstStart = "all" | "together" | "tried";

export type SupervisorSpec = {
  /** one_for_one */
  readonly strategy?: Strategy;
  /** More restarts than this within `period_ms` end the supervisor, or are a crash loop; 1. */
  readonly intensity?: number;
  /** 5,000 */
  readonly period_ms?: number;
  readonly backoff?: Backoff;
  /** Not given: the supervisor ends, as in OTP. */
  readonly crash_loop?: CrashLoop;
  /** all */
  readonly first_start?: FirstStart;
  /** In start order. */
  readonly children: readonly ChildSpec[];
  /** never */
  readonly auto_shutdown?: AutoShutdown;
};

export type FullSupervisorSpec = Required<Omit<SupervisorSpec, "children" | "crash_loop">> & {
  readonly crash_loop: CrashLoop | undefined;
  readonly children: readonly FullChildSpec[];
};

export const defaultBackoff: Backoff = Object.freeze({
  first_ms: 100,
  max_ms: 5_000,
  factor: 2,
  jitter: 0.5,
});

/** Throws BadSupervisorSpec when `spec` and `auto_shutdown` contradict each other. */
export function fillChildSpec(spec: ChildSpec, auto_shutdown: AutoShutdown): FullChildSpec {
  const kind = spec.kind ?? "worker";
  const full: FullChildSpec = {
    ...spec,
    kind,
    restart: spec.restart ?? "permanent",
    shutdown_ms: spec.shutdown_ms ?? (kind === "supervisor" ? "infinity" : DEFAULT_SHUTDOWN_MS),
    significant: spec.significant ?? false,
  };
  const bad = childSpecProblem(full, auto_shutdown);
  if (bad !== undefined) throw new BadSupervisorSpec(`child "${spec.id}": ${bad}`);
  return full;
}

function childSpecProblem(spec: FullChildSpec, auto_shutdown: AutoShutdown): string | undefined {
  if (spec.id === "" || spec.id.includes("/")) return 'an id is not empty and has no "/"';
  if (typeof spec.shutdown_ms === "number" && !(spec.shutdown_ms >= 0)) {
    return `shutdown_ms is at least 0, not ${spec.shutdown_ms}`;
  }
  if (!spec.significant) return undefined;
  if (spec.restart === "permanent") return "a permanent child cannot be significant";
  if (auto_shutdown === "never") return "a significant child needs auto_shutdown";
  return undefined;
}

/** Throws BadSupervisorSpec. */
export function fillSupervisorSpec(spec: SupervisorSpec): FullSupervisorSpec {
  const auto_shutdown = spec.auto_shutdown ?? "never";
  const full: FullSupervisorSpec = {
    strategy: spec.strategy ?? "one_for_one",
    intensity: spec.intensity ?? 1,
    period_ms: spec.period_ms ?? 5_000,
    backoff: spec.backoff ?? defaultBackoff,
    crash_loop: spec.crash_loop,
    first_start: spec.first_start ?? "all",
    auto_shutdown,
    children: spec.children.map((child) => fillChildSpec(child, auto_shutdown)),
  };
  const { intensity, period_ms, crash_loop, children } = full;
  if (!(intensity >= 0)) throw new BadSupervisorSpec(`intensity is at least 0, not ${intensity}`);
  if (!(period_ms > 0)) throw new BadSupervisorSpec(`period_ms is more than 0, not ${period_ms}`);
  checkBackoff(full.backoff);
  if (crash_loop !== undefined) checkBackoff(crash_loop.backoff);
  const ids = new Set(children.map((child) => child.id));
  if (ids.size < children.length) throw new BadSupervisorSpec("two children have the same id");
  return full;
}

function checkBackoff({ first_ms, max_ms, factor, jitter }: Backoff): void {
  if (!(jitter >= 0 && jitter <= 1)) {
    throw new BadSupervisorSpec(`jitter is 0 to 1, not ${jitter}`);
  }
  if (!(first_ms >= 0 && max_ms >= first_ms && factor >= 1)) {
    throw new BadSupervisorSpec("a back-off has 0 ≤ first_ms ≤ max_ms and factor ≥ 1");
  }
}
