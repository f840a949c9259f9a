/**
 * The base of every actor: private state, one message at a time.
 *
 *     spawn ─► init ─► receive, receive, … ─► (children stopped) ─► terminate ─► release ─► Down
 *
 * A throw in any of these ends the actor; what happens then is its supervisor's business. Expected
 * failures are replies, not throws.
 */

import type { NodeKind, Snapshot } from "../observe/tree.ts";
import type { StopOrder } from "./child-stop.ts";
import type { Context } from "./context.ts";
import type { ExitReason } from "./exit-reason.ts";
import type { Message } from "./message.ts";
import type { Ref } from "./ref.ts";

export type { NodeKind, Snapshot } from "../observe/tree.ts";
export type { StopOrder } from "./child-stop.ts";

/** A monitored actor ended. Told exactly once for each monitor. */
export type Down = { readonly ref: Ref; readonly monitor: number; readonly reason: ExitReason };

/** A child of this actor ended, or did not start. */
export type ChildEnded = {
  readonly ref: Ref;
  readonly name: string;
  readonly reason: ExitReason;
  /** False when its `init` failed. */
  readonly started: boolean;
};

export abstract class Actor<M extends Message> {
  /** Set before `init`; not there yet in the constructor. */
  protected readonly ctx!: Context<M>;

  /** A throw is a start failure and is reported to whoever spawned. */
  init(): void | Promise<void> {}

  /**
   * While a returned promise is pending no other message is handled; signals are (stop, kill,
   * `down`, suspend), so state may change across an `await` through `down` alone.
   */
  abstract receive(message: M): void | Promise<void>;

  /** A monitored actor ended. */
  down(_signal: Down): void | Promise<void> {}

  /** A child spawned by this actor ended. Overriding it also takes over the duty to report. */
  childEnded(_signal: ChildEnded): void | Promise<void> {}

  /**
   * Called after all children ended, also when a stop overtook a pending `init`; not after a kill,
   * and not after an `init` that threw. `release` is called in those cases too.
   */
  terminate(_reason: ExitReason): void | Promise<void> {}

  /**
   * Gives back what would outlive this actor: ports, processes, native memory, metrics, its part in
   * another actor's count. Called however it ends: after `terminate`, on a kill, after an `init`
   * that threw. Called once more when an `init` or a handler that was pending then settles, since
   * that may have opened something. So it must bear two calls, and it never waits.
   */
  release(): void {}

  inspect(): Snapshot {
    return {};
  }

  /**
   * A view that is too large for every snapshot, made when a person asks for it by name.
   * @param _about a name that narrows it; "": all
   * @returns undefined: this actor has no such view, or nothing about that
   */
  detail(_name: string, _about: string): Snapshot | undefined {
    return undefined;
  }

  /**
   * The state whose hash a recording keeps, to compare an actor that is driven from it. More than
   * `inspect` where that leaves something out; plain data.
   */
  recordedState(): unknown {
    return this.inspect();
  }

  /** How the inspector's tree shows the actor. */
  nodeKind(): NodeKind {
    return "actor";
  }

  /** One word that the tree shows in place of `running`, `starting` and so on. */
  nodeState(): string | undefined {
    return undefined;
  }

  /** Why a part of it is away, where that is. */
  nodeTrouble(): string | undefined {
    return undefined;
  }

  /** The OS process that the actor stands for, if any. */
  nodePid(): number | undefined {
    return undefined;
  }

  /** Called when the stop begins. Children that are not in a list are stopped after it. */
  stopOrder(): StopOrder {
    return "together";
  }

  /** Stops the child of that name and starts it anew; false when this actor is no supervisor. */
  restartChild(_name: string): boolean {
    return false;
  }

  /** For the kernel, which alone may set `ctx`. */
  static attach(actor: Actor<never>, ctx: Context<Message>): void {
    (actor as unknown as { ctx: Context<Message> }).ctx = ctx;
  }
}
