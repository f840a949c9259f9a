/**
 * The public interfaces of the kernel: `Context`, an actor's `this.ctx`, and `ActorSystem`. They
 * and `Actor` name each other, as an actor is made with one and handed to the other.
 */

import type { Capabilities, Clock, Log, Random, Timer } from "../capabilities.ts";
import type { CrashReport } from "../observe/crash-report.ts";
import type { DeadLetter } from "../observe/dead-letters.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { TraceContext } from "../observe/trace.ts";
import type { Shown, Snapshot, TreeNode } from "../observe/tree.ts";
import type { TurnTimes } from "../observe/turn-times.ts";
import type { Outside } from "../outside.ts";
import type { Actor } from "./actor.ts";
import type { AskOptions } from "./ask.ts";
import type { AskError } from "./errors.ts";
import type { ExitReason } from "./exit-reason.ts";
import type { Message, ReplyTo } from "./message.ts";
import type { Ref, ReplyPort } from "./ref.ts";
import type { SpawnOptions } from "./spawn-options.ts";

/** Makes a fresh actor. One that can be driven from a recording takes its options from outside. */
export type Make<N extends Message> = (outside: Outside) => Actor<N>;

export interface Context<M extends Message> {
  readonly self: Ref<M>;
  readonly system: ActorSystem;
  readonly parent: Ref | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Every line carries the actor's path. */
  readonly log: Log;
  readonly capabilities: Capabilities;

  /**
   * Starts a child, which is stopped before this actor ends. Throws SpawnRefused: `bad_name`,
   * `name_taken`, `bad_mailbox`, or `parent_stopped` when this actor ends itself.
   */
  spawn<N extends Message>(make: Make<N>, options: SpawnOptions): Ref<N>;
  /**
   * Resolves when `init` is done. Rejects with SpawnRefused as `spawn`, or with StartError when
   * `init` failed or was overtaken by a stop.
   */
  spawnReady<N extends Message>(make: Make<N>, options: SpawnOptions): Promise<Ref<N>>;
  /**
   * Stops this actor (no `ref`; reason normal) or a child (reason shutdown). With reason `killed`
   * its `terminate` is left out. Never throws: a `ref` that is no child of this actor is logged.
   */
  stop(ref?: Ref, reason?: ExitReason): void;

  /**
   * `down` is called exactly once for each monitor, also when the actor is gone already. Returns
   * the monitor's number. Never throws.
   */
  monitor(ref: Ref): number;
  /** No Down of this monitor comes afterwards. */
  demonitor(monitor: number): void;

  /** Tells this actor `message` after `delay_ms`. Timers die with the actor. Never throws. */
  after(delay_ms: number, message: M): Timer;
  /** The n-th message comes n periods after now. Throws RangeError when a period is not above 0. */
  every(period_ms: number, message: M): Timer;
  /** Does nothing for a timer that has fired, or that is another actor's. */
  cancel(timer: Timer): void;

  /** As `ref.tell`, and carries the trace also after an `await`. Never throws. */
  tell<N extends Message>(ref: Ref<N>, message: N): boolean;
  /**
   * Rejects with AskError: `down` at once, `deadline`, `mailbox_full` or `refused`; with RangeError
   * when `deadline_ms` is not finite.
   */
  ask<N extends Message, K extends N["kind"]>(
    ref: Ref<N>,
    message: N & { readonly kind: K },
    options: AskOptions,
  ): Promise<ReplyTo<N, K>>;

  /**
   * As `ask`, but the outcome is handled in a turn of this actor, before waiting messages. An ended
   * actor gets no outcome; a throw is a crash. Throws RangeError when `deadline_ms` is not finite.
   */
  askThen<N extends Message, K extends N["kind"]>(
    ref: Ref<N>,
    message: N & { readonly kind: K },
    options: AskOptions,
    took: (answer: ReplyTo<N, K>) => void,
    failed: (error: AskError) => void,
  ): void;

  /** Answers the message being handled. False: nobody waits (a tell, or too late). */
  reply(value: unknown): boolean;
  /** The asker gets AskError `refused`. */
  refuse(detail: string): boolean;
  /** Takes the port, to answer after `receive` returned; a port never used fails at the deadline. */
  replyLater(): ReplyPort;

  /** Deadline of the ask being handled, absolute on the scale of `clock.now_ms`. */
  readonly deadline_ms: number | undefined;
  readonly trace: TraceContext | undefined;
}

export const controlActions = ["stop", "restart", "kill", "suspend", "resume"] as const;
export type ControlAction = (typeof controlActions)[number];

export interface ActorSystem {
  readonly node: string;
  /** Random u64 that names this life of the node. */
  readonly incarnation: bigint;
  readonly capabilities: Capabilities;
  readonly metrics: Metrics;

  /** Starts a top-level actor. Throws SpawnRefused as `Context.spawn`. */
  spawn<N extends Message>(make: Make<N>, options: SpawnOptions): Ref<N>;
  /** Rejects with SpawnRefused or StartError. */
  spawnReady<N extends Message>(make: Make<N>, options: SpawnOptions): Promise<Ref<N>>;
  /** Rejects with AskError; with RangeError when `deadline_ms` is not finite. */
  ask<N extends Message, K extends N["kind"]>(
    ref: Ref<N>,
    message: N & { readonly kind: K },
    options: AskOptions,
  ): Promise<ReplyTo<N, K>>;
  /** Stops any local actor (reason shutdown). A `ref` that is not local is logged. */
  stop(ref: Ref): void;
  /** Calls `then` once, when the actor has ended. Returns a function that ends the watch. */
  onDown(ref: Ref, then: (reason: CrashReport["reason"]) => void): () => void;
  /** The actor that has this path now. */
  lookup(path: string): Ref<Message> | undefined;
  /** As `lookup`, only for this life of the actor; for the remote layer. */
  resolveLocal(path: string, incarnation: bigint): Ref<Message> | undefined;

  /** Depth first, children in start order. */
  tree(): TreeNode[];
  /** The parent of the top-level actors, for who walks the tree. */
  readonly top: Shown;
  /** Begins to time turns; each call needs one of `unwatchTurns`. */
  watchTurns(): TurnTimes;
  unwatchTurns(): void;
  /** False when there is no such actor, or it cannot do that (restart needs a supervisor). */
  control(path: string, action: ControlAction): boolean;
  /** The result of the actor's `inspect`, or its throw. Undefined: no such actor. */
  snapshot(path: string): Snapshot | undefined;
  /** The result of the actor's `detail`, or its throw. Undefined: no such actor, no such view. */
  detail(path: string, name: string, about: string): Snapshot | undefined;
  /** The count of all since the start, and the last 64, oldest first. */
  deadLetters(): { readonly count: number; readonly recent: readonly DeadLetter[] };
  /** The last 256, oldest first. */
  crashReports(): readonly CrashReport[];
  /** Returns a function that removes the listener. */
  onCrash(listener: (report: CrashReport) => void): () => void;
  readonly counters: Readonly<Counters>;
  /** For tests: resolves when no actor has a message that it could handle. */
  idle(): Promise<void>;
  /** Stops the tree, last started first; what is left after `budget_ms` (30 s) is killed. */
  shutdown(budget_ms?: number): Promise<void>;
}

/** Counts since the system was made. */
export type Counters = {
  asks: number;
  late_replies: number;
  /** Asks that were over before their turn came, and were not handled. */
  expired_asks: number;
  /** Tells refused by a full mailbox. */
  refused: number;
  started: number;
  stopped: number;
  crashes: number;
};
