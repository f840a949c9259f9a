import type { Clock, Timer } from "../../../runtime/capabilities.ts";

/** A timer that is over: a turn of the actor, and gone when the actor is killed. */
export type Run = { readonly kind: "run"; readonly run: () => void };

type TurnContext = {
  readonly clock: Clock;
  after(delay_ms: number, message: Run): Timer;
  cancel(timer: Timer): void;
};

/** A clock whose timers are turns of one actor. */
export function turnClock(ctx: TurnContext): Clock {
  const { clock } = ctx;
  return {
    now_ms: () => clock.now_ms(),
    wall_ms: () => clock.wall_ms(),
    after: (delay_ms, run) => ctx.after(delay_ms, { kind: "run", run }),
    cancel: (timer) => ctx.cancel(timer),
    defer: (run) => clock.defer(run),
  };
}
