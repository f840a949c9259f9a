/**
 * Starts its children from left to right, keeps them as their specifications say, and stops them
 * from right to left. `restart-policy.ts` decides what to do about an end; this file does it, one
 * step at a time: a child that is slow to start or to stop, or waits out its back-off, holds up its
 * own group and nothing else. `group-restart.ts` restarts several children.
 *
 * Long because a request, a start and an end each lead to the next step of the same child: the
 * steps call one another, and apart they would have to be handed to each other.
 */

import type { Timer } from "../capabilities.ts";
import { Actor, type ChildEnded, type Snapshot, type StopOrder } from "../kernel/actor.ts";
import type { Cell } from "../kernel/cell.ts";
import { cellOf } from "../kernel/cell-context.ts";
import { BadSupervisorSpec } from "../kernel/errors.ts";
import { describeExit, type ExitReason } from "../kernel/exit-reason.ts";
import type { Ask, Message } from "../kernel/message.ts";
import type { Ref, ReplyPort } from "../kernel/ref.ts";
import {
  type ChildSpec,
  type FullChildSpec,
  type FullSupervisorSpec,
  fillChildSpec,
  fillSupervisorSpec,
  type SupervisorSpec,
} from "./child-spec.ts";
import { GroupRestart } from "./group-restart.ts";
import { decide, healthyAfter_ms } from "./restart-policy.ts";
import {
  type Child,
  type ChildInfo,
  enterLoop,
  infoOf,
  leaveLoop,
  newChild,
  nobody,
  policyChild,
  refuseStart,
  whyAway,
} from "./supervised-child.ts";

/** A request that changes a child is answered when that is done, or `refused`. */
export type SupervisorMessage =
  | (Ask<Ref<Message>> & { readonly kind: "start_child"; readonly spec: ChildSpec })
  /** Its specification stays, unless it is temporary or the strategy dynamic. */
  | (Ask<true> & { readonly kind: "terminate_child"; readonly id: string })
  /** Starts a stopped child; stops a running one first. Does not count as a failure. */
  | (Ask<Ref<Message>> & { readonly kind: "restart_child"; readonly id: string })
  /** Forgets the specification of a stopped child. */
  | (Ask<true> & { readonly kind: "delete_child"; readonly id: string })
  | (Ask<readonly ChildInfo[]> & { readonly kind: "which_children" });

export class Supervisor extends Actor<SupervisorMessage> {
  readonly #spec: FullSupervisorSpec;
  /** In start order. */
  readonly #children = new Map<string, Child>();
  #history: readonly number[] = [];
  readonly #group = new GroupRestart({
    children: this.#children,
    start: (child) => this.#start(child),
    stop: (child) => this.#stop(child),
    later: (delay_ms, run) => this.#later(delay_ms, run),
    cancel: (timer) => this.ctx.cancel(timer),
  });
  /** Ends of children that came while `init` was still starting others. */
  #early: ChildEnded[] | undefined = [];

  /** Throws BadSupervisorSpec. */
  constructor(spec: SupervisorSpec) {
    super();
    this.#spec = fillSupervisorSpec(spec);
  }

  /** Synchronous as long as the children are. */
  override init(): void | Promise<void> {
    if (this.#spec.first_start === "all") return this.#startFrom(0);
    if (this.#spec.first_start === "together") return this.#startTogether();
    this.#early = undefined;
    for (const spec of this.#spec.children) {
      const child = this.#add(spec);
      child.fresh = false;
      this.#start(child);
    }
  }

  override receive(message: SupervisorMessage): void {
    switch (message.kind) {
      case "start_child":
        this.#startChild(message.spec);
        return;
      case "terminate_child":
        this.#terminateChild(message.id);
        return;
      case "restart_child":
        this.#restartOne(message.id, this.ctx.replyLater());
        return;
      case "delete_child":
        this.#deleteChild(message.id);
        return;
      case "which_children":
        this.ctx.reply([...this.#children.values()].map(infoOf));
        return;
    }
  }

  override childEnded(signal: ChildEnded): void {
    if (this.#early !== undefined) {
      this.#early.push(signal);
      return;
    }
    const child = this.#children.get(signal.name);
    if (child === undefined || child.cell !== signal.ref) return;
    const cell = child.cell;
    child.cell = undefined;
    if (child.status === "stopping") this.#stopped(child, cell);
    else this.#failed(child, cell, signal);
  }

  override release(): void {
    for (const child of this.#children.values()) this.#leaveLoop(child);
  }

  override restartChild(name: string): boolean {
    return this.#restartOne(name, undefined);
  }

  override inspect(): Snapshot {
    const { strategy, intensity, period_ms } = this.#spec;
    const children = [...this.#children.values()].map((child) => ({
      id: child.spec.id,
      status: child.status,
      restarts: child.restarts,
      crash_loop: child.loops > 0,
      last_crash: child.last_crash === undefined ? undefined : describeExit(child.last_crash),
    }));
    return { strategy, intensity, period_ms, recent_restarts: this.#history.length, children };
  }

  override nodeKind(): "supervisor" {
    return "supervisor";
  }

  override nodeState(): string | undefined {
    const loops = [...this.#children.values()].some((child) => child.loops > 0);
    return loops ? "crash_loop" : undefined;
  }

  override nodeTrouble(): string | undefined {
    return whyAway(this.#children.values());
  }

  override stopOrder(): StopOrder {
    return this.#spec.strategy === "dynamic" ? "together" : [...this.#children.keys()].reverse();
  }

  // ---- what it is asked ----------------------------------------------------------------------

  #startChild(spec: ChildSpec): void {
    if (this.#children.has(spec.id)) {
      this.ctx.refuse(`there is a child "${spec.id}" already`);
      return;
    }
    let child: Child;
    try {
      child = this.#add(fillChildSpec(spec, this.#spec.auto_shutdown));
    } catch (error) {
      if (!(error instanceof BadSupervisorSpec)) throw error;
      this.ctx.refuse(error.message);
      return;
    }
    child.starting = [...child.starting, this.ctx.replyLater()];
    // During a group restart a new child waits for its turn, which is the last one.
    if (!this.#group.active) this.#start(child);
    else child.status = "backing_off";
  }

  #terminateChild(id: string): void {
    const child = this.#children.get(id);
    if (child === undefined) {
      this.ctx.refuse(`there is no child "${id}"`);
      return;
    }
    child.again = false;
    refuseStart(child, "it was terminated");
    child.ending = [...child.ending, this.ctx.replyLater()];
    this.#group.leaveOut(child);
    this.#stop(child);
  }

  #restartOne(id: string, port: ReplyPort | undefined): boolean {
    const child = this.#children.get(id);
    if (child === undefined) {
      port?.fail("refused", `there is no child "${id}"`);
      return false;
    }
    if (port !== undefined) child.starting = [...child.starting, port];
    child.not_in = undefined;
    if (child.cell === undefined) {
      if (!this.#group.includes(child)) this.#start(child);
    } else {
      child.again = true;
      this.#stop(child);
    }
    return true;
  }

  #deleteChild(id: string): void {
    const child = this.#children.get(id);
    if (child === undefined) this.ctx.refuse(`there is no child "${id}"`);
    else if (child.status !== "stopped") this.ctx.refuse(`"${id}" is ${child.status}`);
    else {
      this.#children.delete(id);
      this.ctx.reply(true);
    }
  }

  // ---- the start ----------------------------------------------------------------------------

  /** A throw makes the kernel stop the running children, last one first, and fail this start. */
  #startFrom(index: number): void | Promise<void> {
    const { children } = this.#spec;
    for (let i = index; i < children.length; i++) {
      const child = this.#add(children[i] as FullChildSpec);
      this.#start(child);
      const cell = child.cell as Cell;
      if (cell.state === "running") continue;
      return this.#started(child, cell).then(() => this.#startFrom(i + 1));
    }
    this.#takeEarly();
  }

  /** A child whose `init` is synchronous runs before the next child starts. */
  #startTogether(): void | Promise<void> {
    const slow: Promise<void>[] = [];
    for (const spec of this.#spec.children) {
      const child = this.#add(spec);
      this.#start(child);
      const cell = child.cell as Cell;
      if (cell.state !== "running") slow.push(this.#started(child, cell));
    }
    if (slow.length === 0) return this.#takeEarly();
    return Promise.all(slow).then(() => this.#takeEarly());
  }

  async #started(child: Child, cell: Cell): Promise<void> {
    try {
      await cell.ready();
      this.#runs(child, cell);
    } catch (error) {
      const me = cellOf(this.ctx);
      if (me.state === "starting") me.kernel.report(cell, "start_error", child.spec.restart);
      throw error;
    }
  }

  #takeEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const signal of early) this.childEnded(signal);
  }

  // ---- one child -----------------------------------------------------------------------------

  #add(spec: FullChildSpec): Child {
    const child = newChild(spec);
    this.#children.set(spec.id, child);
    return child;
  }

  #start(child: Child): void {
    const { spec } = child;
    this.#clearTimer(child);
    child.again = false;
    child.status = "starting";
    child.started_at_ms = this.ctx.clock.now_ms();
    const { id: name, role, mailbox, shutdown_ms } = spec;
    const { restarts, last_crash } = child;
    const earlier = restarts === 0 ? undefined : { restarts, last_crash };
    const me = cellOf(this.ctx);
    const cell = me.spawnChild(spec.start, { name, role, mailbox, shutdown_ms }, earlier);
    child.cell = cell;
    if (cell.state === "running") {
      this.#runs(child, cell);
      return;
    }
    // A failure comes as `childEnded`, whether `init` failed at once or later. During this
    // supervisor's own start, `#startFrom` waits instead: a cell tells one listener.
    if (this.#early !== undefined) return;
    cell.whenStarted((failed) => {
      if (failed === undefined) me.call(() => this.#running(child, cell));
    });
  }

  #runs(child: Child, cell: Cell): void {
    child.status = "running";
    child.fresh = false;
    const { starting } = child;
    child.starting = nobody;
    for (const port of starting) port.reply(cell);
    if (child.loops === 0) return;
    child.timer = this.#later(healthyAfter_ms(this.#spec), () => {
      child.timer = undefined;
      child.streak = 0;
      this.#leaveLoop(child);
    });
  }

  #running(child: Child, cell: Cell): void {
    if (child.cell !== cell || child.status !== "starting") return;
    this.#runs(child, cell);
    this.#group.advance();
  }

  /** Asks a child to end, whatever it is doing. */
  #stop(child: Child): void {
    this.#clearTimer(child);
    if (child.cell === undefined) {
      this.#gone(child);
    } else if (child.status !== "stopping") {
      child.status = "stopping";
      child.cell.stopAsAgreed();
    }
  }

  /** The child ended because this supervisor told it to. */
  #stopped(child: Child, cell: Cell): void {
    const brutal = child.spec.shutdown_ms === "brutal";
    const { kind } = cell.reason ?? { kind: "shutdown" };
    if (kind === "crash" || (kind === "killed" && !brutal)) {
      cellOf(this.ctx).kernel.report(cell, "shutdown_error", child.spec.restart);
    }
    this.#gone(child);
    this.#group.advance();
  }

  /** The child has ended. A group restart, if there is one, starts it again in its turn. */
  #gone(child: Child): void {
    child.status = "stopped";
    if (!child.again) this.#leaveLoop(child);
    const { ending } = child;
    child.ending = nobody;
    const forgotten = child.spec.restart === "temporary" || this.#spec.strategy === "dynamic";
    if (child.again) {
      child.restarts++;
      if (!this.#group.includes(child)) this.#start(child);
    } else if (ending.length > 0 ? forgotten : child.spec.restart === "temporary") {
      this.#children.delete(child.spec.id);
    }
    for (const port of ending) port.reply(true);
  }

  /** The child ended on its own, or did not start. */
  #failed(child: Child, cell: Cell, signal: ChildEnded): void {
    const { kernel } = cellOf(this.ctx);
    const { reason } = signal;
    const now_ms = this.ctx.clock.now_ms();
    const context = signal.started ? "child_terminated" : "start_error";
    if (reason.kind === "crash" || reason.kind === "killed") child.last_crash = reason;
    if (!signal.started && child.fresh) {
      kernel.report(cell, context, child.spec.restart);
      this.#children.delete(child.spec.id);
      refuseStart(child, `it did not start: ${describeExit(reason)}`);
      this.#group.advance();
      return;
    }
    child.status = "stopped";
    this.#clearTimer(child);
    const lived_ms = now_ms - child.started_at_ms;
    if (signal.started && lived_ms > healthyAfter_ms(this.#spec)) child.streak = 0;
    const unit = hasJitter(this.#spec) ? this.ctx.random.unit() : 0;
    // A restarted child that does not start has failed, whatever its `init` said of the reason.
    const end_reason: ExitReason = signal.started ? reason : { kind: "crash", error: "no start" };
    const { streak, loops } = child;
    const end = { id: child.spec.id, reason: end_reason, now_ms, streak, loops, unit };
    const children = this.#concerned(child).map(policyChild);
    const { decision, history, report } = decide(this.#spec, children, this.#history, end);
    this.#history = history;
    if (report) kernel.report(cell, context, child.spec.restart);
    switch (decision.kind) {
      case "leave":
      case "auto_shutdown":
        refuseStart(child, `it ended: ${describeExit(reason)}`);
        this.#leaveLoop(child);
        if (decision.remove) this.#children.delete(child.spec.id);
        if (decision.kind === "auto_shutdown") this.ctx.stop(undefined, { kind: "shutdown" });
        else this.#group.advance();
        return;
      case "give_up":
        this.#giveUp(cell, child);
        return;
      case "restart":
        child.streak++;
        child.status = "backing_off";
        if (decision.loops) enterLoop(child, this.#spec.crash_loop, reason);
        if (decision.group.length > 1 || this.#group.active) {
          this.#group.begin(decision.group[0] ?? child.spec.id, decision.delay_ms);
        } else {
          this.#restartAfter(child, decision.delay_ms);
        }
        return;
    }
  }

  /** Children that the decision may depend on: not all, as thousands may come and go. */
  #concerned(child: Child): Child[] {
    const { strategy, auto_shutdown } = this.#spec;
    const alone = strategy === "one_for_one" || strategy === "dynamic";
    if (alone && auto_shutdown !== "all_significant") return [child];
    return [...this.#children.values()];
  }

  #leaveLoop(child: Child): void {
    leaveLoop(child, this.#spec.crash_loop);
  }

  #giveUp(cell: Cell, child: Child): void {
    const detail = "reached_max_restart_intensity";
    const { kernel } = cellOf(this.ctx);
    kernel.addReport({
      supervisor: cellOf(this.ctx).path,
      context: "shutdown",
      reason: { kind: "shutdown", detail },
      offender: {
        id: child.spec.id,
        path: cell.path,
        restart: child.spec.restart,
        restarts: child.restarts,
      },
      wall_ms: this.ctx.clock.wall_ms(),
    });
    this.ctx.stop(undefined, { kind: "shutdown", detail });
  }

  #restartAfter(child: Child, delay_ms: number): void {
    const restart = (): void => {
      child.timer = undefined;
      child.restarts++;
      this.#start(child);
    };
    if (delay_ms <= 0) restart();
    else child.timer = this.#later(delay_ms, restart);
  }

  // ---- timers --------------------------------------------------------------------------------

  /** On the signal lane, so that a flooded supervisor restarts its children in time. */
  #later(delay_ms: number, run: () => void): Timer {
    const cell = cellOf(this.ctx);
    return cell.timers().after(delay_ms, () => cell.call(run));
  }

  #clearTimer(child: Child): void {
    if (child.timer !== undefined) this.ctx.cancel(child.timer);
    child.timer = undefined;
  }
}

/**
 * Makes a supervisor anew for each of its lives. Throws BadSupervisorSpec when the specification
 * contradicts itself.
 */
export function supervisor(spec: SupervisorSpec): () => Supervisor {
  // Checked here as well, so that a contradiction throws before the tree starts.
  fillSupervisorSpec(spec);
  return () => new Supervisor(spec);
}

function hasJitter({ backoff, crash_loop }: FullSupervisorSpec): boolean {
  return backoff.jitter > 0 || (crash_loop?.backoff.jitter ?? 0) > 0;
}
