/**
 * A restart of several children, as one_for_all and rest_for_one want it: they are stopped from
 * right to left, wait out the back-off together, and start from left to right.
 */

import type { Timer } from "../capabilities.ts";
import type { Child } from "./supervised-child.ts";

/** The part of its supervisor that a group restart needs. */
interface GroupHost {
  /** In start order. */
  readonly children: ReadonlyMap<string, Child>;
  start(child: Child): void;
  /** Asks a child to end; `advance` is called when it has ended. */
  stop(child: Child): void;
  later(delay_ms: number, run: () => void): Timer;
  cancel(timer: Timer): void;
}

type Recovery = {
  /** Affected are this child and all behind it. */
  readonly from: string;
  phase: "stop" | "wait" | "start";
  readonly delay_ms: number;
  timer: Timer | undefined;
};

export class GroupRestart {
  readonly #host: GroupHost;
  #recovery: Recovery | undefined = undefined;

  constructor(host: GroupHost) {
    this.#host = host;
  }

  get active(): boolean {
    return this.#recovery !== undefined;
  }

  /** True: the group restart starts this child, when its turn comes. */
  includes(child: Child): boolean {
    return this.#recovery !== undefined && this.#group(this.#recovery.from).includes(child);
  }

  /** The restart that is under way does not start this child again. */
  leaveOut(child: Child): void {
    child.not_in = this.#recovery;
  }

  /** `from` and all behind it, after `delay_ms`. */
  begin(from: string, delay_ms: number): void {
    const going = this.#recovery;
    if (going?.timer !== undefined) this.#host.cancel(going.timer);
    // A failure further left takes more children in; one within the group starts it over.
    const ids = [...this.#host.children.keys()];
    const leftmost: string =
      going !== undefined && ids.indexOf(going.from) < ids.indexOf(from) && ids.includes(going.from)
        ? going.from
        : from;
    this.#recovery = { from: leftmost, phase: "stop", delay_ms, timer: undefined };
    this.advance();
  }

  /** Takes the restart as far as it goes now. Called after each start and end of a child. */
  advance(): void {
    const recovery = this.#recovery;
    if (recovery === undefined || recovery.phase === "wait") return;
    const group = this.#group(recovery.from);
    if (recovery.phase === "stop") {
      const last = group.findLast((child) => child.cell !== undefined);
      if (last !== undefined) this.#host.stop(last);
      else this.#rest(recovery, group);
      return;
    }
    for (const child of group) {
      if (child.not_in === recovery) continue;
      if (child.cell === undefined) {
        if (!child.fresh) child.restarts++;
        this.#host.start(child);
      }
      // The restart goes on when this child runs, and starts over when it fails.
      if (!runs(child)) return;
    }
    this.#recovery = undefined;
  }

  /** All children of the group are stopped: wait out the back-off, then start them. */
  #rest(recovery: Recovery, group: readonly Child[]): void {
    for (const child of group) if (child.not_in !== recovery) child.status = "backing_off";
    const start = (): void => {
      if (this.#recovery !== recovery) return;
      recovery.timer = undefined;
      recovery.phase = "start";
      this.advance();
    };
    if (recovery.delay_ms <= 0) {
      start();
      return;
    }
    recovery.phase = "wait";
    recovery.timer = this.#host.later(recovery.delay_ms, start);
  }

  #group(from: string): Child[] {
    const children = [...this.#host.children.values()];
    const at = children.findIndex((child) => child.spec.id === from);
    // The child that it began with was deleted meanwhile, so all children are in the group.
    return at < 0 ? children : children.slice(at);
  }
}

function runs(child: Child): boolean {
  return child.status === "running";
}
