/**
 * One child process under a supervisor of its own, so that a process that keeps dying is tried
 * again slowly while its neighbours serve:
 *
 *     worker-0 (one_for_one, 5 restarts in 60 s, then after 5 s, doubling to 60 s)
 *     └── process ─ ─ ─ the OS process
 */

import type { ProcessExit } from "../runtime/capabilities.ts";
import type { Message } from "../runtime/kernel/message.ts";
import { ProcessActor } from "../runtime/process/spawn.ts";
import type { Backoff, ChildSpec, LoopChange } from "../runtime/supervision/child-spec.ts";
import { Supervisor } from "../runtime/supervision/supervisor.ts";

export type SlotOptions = {
  /** The node's name, and the slot's. */
  readonly node: string;
  readonly role: string;
  /** Environment that the process gets, asked for at each of its starts. */
  readonly env: () => Readonly<Record<string, string>>;
  /** A program that runs it. */
  readonly under?: readonly string[];
  readonly ready_timeout_ms: number;
  readonly stop_budget_ms: number;
  readonly onLine: (line: string) => void;
  readonly onMessage: (message: Message) => void;
  readonly onExit: (exit: ProcessExit) => void;
  readonly onLoop: (change: LoopChange) => void;
};

/** As in Kubernetes: a process that keeps ending is tried again for ever, at a slow pace. */
export const slotPace = {
  intensity: 5,
  period_ms: 60_000,
  backoff: { first_ms: 100, max_ms: 5_000, factor: 2, jitter: 0.5 } satisfies Backoff,
  crash_loop: { first_ms: 5_000, max_ms: 60_000, factor: 2, jitter: 0.5 } satisfies Backoff,
} as const;
/** Added to the process's own budget, so that its SIGKILL comes before a kill of its actor. */
const STOP_MARGIN_MS = 2_000;

/**
 * `first_start` tells: if the first start fails, whoever wants the slot hears why, and it is given
 * up. tried: that is a failure like later ones, and may pass.
 */
export function processSlot(options: SlotOptions, first_start: "tells" | "tried"): ChildSpec {
  const { node, role, env, under = [], ready_timeout_ms, stop_budget_ms } = options;
  const { onLine, onMessage, onExit, onLoop } = options;
  const { intensity, period_ms, backoff, crash_loop } = slotPace;
  let tells = first_start === "tells";
  const firstStart = () => {
    const first = tells ? "all" : "tried";
    tells = false;
    return first;
  };
  return {
    id: node,
    kind: "supervisor",
    role: "process-slot",
    // A process that a person stopped stays away until a person restarts it.
    restart: "transient",
    start: () =>
      new Supervisor({
        strategy: "one_for_one",
        intensity,
        period_ms,
        backoff,
        crash_loop: { backoff: crash_loop, changed: onLoop },
        first_start: firstStart(),
        children: [
          {
            id: "process",
            role,
            shutdown_ms: stop_budget_ms + STOP_MARGIN_MS,
            start: () =>
              new ProcessActor({
                node,
                env: env(),
                under,
                ready_timeout_ms,
                stop_budget_ms,
                onLine,
                onMessage,
                onExit,
              }),
          },
        ],
      }),
  };
}
