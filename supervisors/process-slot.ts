/**
 * One child process under a supervisor of its own, so that a process that keeps dying is given up
 * by itself while its neighbours serve:
 *
 *     worker-0 (one_for_one, 5 restarts in 60 s, back-off)
 *     └── process ─ ─ ─ the OS process
 */
import type { ChildSpec } from "../runtime/child-spec.ts";
import type { Message } from "../runtime/message.ts";
import { ProcessActor } from "../runtime/spawn.ts";
import { supervisor } from "../runtime/supervisor.ts";
import { type Boot, bootToEnvironment } from "./boot.ts";

export type SlotOptions = {
  /** The node's name, and the slot's. */
  readonly node: string;
  readonly boot: Boot;
  readonly ready_timeout_ms: number;
  readonly stop_budget_ms: number;
  readonly onLine: (line: string) => void;
  readonly onMessage: (message: Message) => void;
};

const intensity = 5;
const period_ms = 60_000;
const backoff = { first_ms: 100, max_ms: 5_000, factor: 2, jitter: 0.5 };
/** Above the process's own budget, so that SIGKILL is its doing and not a kill of its actor. */
const stop_margin_ms = 2_000;

export function processSlot(options: SlotOptions): ChildSpec {
  const { node, boot, ready_timeout_ms, stop_budget_ms, onLine, onMessage } = options;
  return {
    id: node,
    kind: "supervisor",
    role: "process-slot",
    // Past its intensity it is gone for good, and the crash report says so; a crash is not that.
    restart: "transient",
    start: supervisor({
      strategy: "one_for_one",
      intensity,
      period_ms,
      backoff,
      children: [
        {
          id: "process",
          role: boot.role,
          shutdown_ms: stop_budget_ms + stop_margin_ms,
          start: () =>
            new ProcessActor({
              node,
              env: bootToEnvironment(boot),
              ready_timeout_ms,
              stop_budget_ms,
              onLine,
              onMessage,
            }),
        },
      ],
    }),
  };
}
