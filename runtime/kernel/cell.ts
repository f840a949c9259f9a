/**
 * One life of one actor: its mailbox, its signals, its place in the tree. It is the actor's local
 * reference too, so that a tell is one call into one object.
 *
 * Two lanes lead in. Messages wait in a bounded ring and are handled one at a time. Signals (stop,
 * kill, down, a child's end) are handled before any message and also while a handler waits;
 * their number is bounded by the relations the actor has, not by its traffic.
 *
 * Memory counts here (there may be 100,000 of these), so everything that not every actor has is
 * made when first used.
 *
 * Long because every part of it reads and sets the same gate, mailbox and signals, which are
 * private, and each message passes them: two files would make them public or add a call to each
 * tell. This file, `cell-identity.ts` (its base) and `cell-context.ts` (its view) import one
 * another.
 */

import { isPromise } from "../is-promise.ts";
import { type Outside, unseen } from "../outside.ts";
import { SlotMap } from "../slot-map.ts";
import { Actor, type ChildEnded, type Snapshot } from "./actor.ts";
import { ActorTimers } from "./actor-timers.ts";
import { AskPort, type AskTarget } from "./ask.ts";
import { CellContext } from "./cell-context.ts";
import { type CellHost, CellIdentity } from "./cell-identity.ts";
import {
  type CellState,
  type Earlier,
  firstLife,
  INIT_FAILED,
  SCHEDULED,
  STARTING,
  STOPPED,
  STOPPING,
  SUSPENDED,
  stateOf,
  TERMINATING,
  WAITING,
} from "./cell-state.ts";
import { ChildStop } from "./child-stop.ts";
import { SpawnRefused, StartError } from "./errors.ts";
import { crashOf, describeExit, type ExitReason, killed, noproc, shutdown } from "./exit-reason.ts";
import { defaultMailbox, Mailbox, type MailboxOptions } from "./mailbox.ts";
import type { Message } from "./message.ts";
import { ambient, type Meta, type Ref, TellMeta, type Watcher } from "./ref.ts";
import { Monitor, type MonitorOwner, Relations } from "./relations.ts";
import type { Runnable } from "./scheduler.ts";
import {
  checkSpawnOptions,
  DEFAULT_SHUTDOWN_MS,
  type Shutdown,
  type SpawnOptions,
} from "./spawn-options.ts";

/** A signal is handled before any message, also while a message's handler awaits. */
type Signal =
  | { readonly kind: "stop"; readonly reason: ExitReason }
  | { readonly kind: "kill" }
  | { readonly kind: "down"; readonly monitor: Monitor; readonly reason: ExitReason }
  | { readonly kind: "child_ended"; readonly child: Cell; readonly started: boolean }
  /** Used by the kernel itself: `run` is called in the actor's turn. */
  | { readonly kind: "call"; readonly run: () => void };

type Make = (outside: Outside) => Actor<never>;

export class Cell extends CellIdentity implements Ref<Message>, Runnable, AskTarget, MonitorOwner {
  readonly role: string | undefined;
  readonly shutdown_ms: Shutdown;
  readonly earlier: Earlier;

  actor: Actor<never> | undefined = undefined;
  /** Why the actor ends or ended. */
  reason: ExitReason | undefined = undefined;
  handled = 0;
  /** Metadata of the message being handled, also across its awaits. */
  current: Meta | undefined = undefined;
  asks: AskPort | undefined = undefined;
  children: SlotMap<string, Cell> | undefined = undefined;

  #gate = STARTING;
  #pending = 0;
  /** In the scheduler's urgent queue, or taking its turn. */
  #urgent = false;
  readonly #mailbox_options: MailboxOptions;
  #mailbox: Mailbox | undefined = undefined;
  #signals: Signal[] | undefined = undefined;
  #relations: Relations | undefined = undefined;
  #timers: ActorTimers | undefined = undefined;
  #on_started: ((failed: ExitReason | undefined) => void) | undefined = undefined;
  #child_stop: ChildStop | undefined = undefined;
  #stop_bounded = false;

  constructor(
    kernel: CellHost,
    parent: Cell | undefined,
    options: SpawnOptions,
    earlier?: Earlier,
  ) {
    super(kernel, parent, options.name);
    this.role = options.role;
    this.shutdown_ms = options.shutdown_ms ?? DEFAULT_SHUTDOWN_MS;
    this.earlier = earlier ?? firstLife;
    this.#mailbox_options = options.mailbox ?? defaultMailbox;
  }

  // ---- the reference -------------------------------------------------------------------------

  tell(message: Message): boolean {
    const { trace } = ambient;
    return this.deliver(message, trace === undefined ? undefined : new TellMeta(trace));
  }

  deliver(message: Message, meta: Meta | undefined): boolean {
    if (this.#gate >= STOPPING) {
      this.kernel.dead_letters.add(this, message.kind, meta, "stopped");
      return false;
    }
    const mailbox = this.#mailbox ?? this.#openMailbox();
    if (mailbox.count < mailbox.capacity) mailbox.push(message, meta);
    else if (!this.#overflow(mailbox, message, meta)) return false;
    if (meta instanceof AskPort && !meta.settled) {
      meta.waitFor(this);
      this.#hurry();
    } else if (this.#gate === 0) this.#schedule();
    return true;
  }

  watch(watcher: Watcher): void {
    if (this.#gate & STOPPED) {
      watcher.ended(noproc);
      return;
    }
    this.#related().addWatcher(watcher);
  }

  unwatch(watcher: Watcher): void {
    this.#relations?.removeWatcher(watcher);
  }

  // ---- what the context does -----------------------------------------------------------------

  /** Throws SpawnRefused. A failing `init` is told by `ready`, `childEnded` or a crash report. */
  spawnChild(make: Make, options: SpawnOptions, earlier?: Earlier): Cell {
    const { name } = options;
    checkSpawnOptions(options);
    if (this.#gate >= STOPPING) {
      throw new SpawnRefused("parent_stopped", `${this.path} is ending and takes no child`);
    }
    this.children ??= new SlotMap();
    if (this.children.has(name)) {
      throw new SpawnRefused("name_taken", `${this.path} has a child "${name}" already`);
    }
    const child = this.kernel.newCell(this, options, earlier);
    this.children.set(name, child);
    child.start(make);
    return child;
  }

  start(make: Make): void {
    try {
      const actor = make(unseen);
      Actor.attach(actor, this.context());
      this.actor = actor;
      const result: unknown = actor.init();
      if (isPromise(result)) {
        result.then(
          () => this.#started(actor),
          (error) => this.#startFailed(error, actor),
        );
      } else {
        this.#started(actor);
      }
    } catch (error) {
      this.#startFailed(error);
    }
  }

  context(): CellContext {
    return new CellContext(this);
  }

  /** Rejects with StartError when `init` failed, or was overtaken by a stop. */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.whenStarted((failed) => {
        if (failed === undefined) resolve();
        else reject(new StartError(this.path, failed));
      });
    });
  }

  /** Calls `then` when the start is over, at once if it is already. One caller at most. */
  whenStarted(then: (failed: ExitReason | undefined) => void): void {
    const gate = this.#gate;
    if (gate & STARTING && !(gate & STOPPED)) this.#on_started = then;
    else then(gate & STARTING || gate >= STOPPING ? (this.reason ?? shutdown) : undefined);
  }

  stop(reason: ExitReason): void {
    if (reason.kind === "killed") this.#post({ kind: "kill" });
    else this.#post({ kind: "stop", reason });
  }

  /** Ends the actor as its options say: a kill when `brutal`, else a stop. */
  stopAsAgreed(): void {
    this.stop(this.shutdown_ms === "brutal" ? killed : shutdown);
  }

  stopChild(ref: Ref, reason: ExitReason): void {
    if (ref instanceof Cell && ref.parent === this) ref.stop(reason);
    else this.kernel.warn(this, "stop: not a child of this actor", ref);
  }

  suspend(): void {
    if (this.#gate < STOPPING) this.#gate |= SUSPENDED;
  }

  resume(): void {
    this.#gate &= ~SUSPENDED;
    this.#wake();
  }

  /** Runs in this actor's next turn, before its messages. */
  call(run: () => void): void {
    this.#post({ kind: "call", run });
  }

  monitor(ref: Ref): number {
    const monitor = new Monitor(this.kernel.nextId(), ref, this);
    // An ended actor is told nothing, and its monitor would stay in the other's list for ever.
    if (this.alive) this.#related().addMonitor(monitor);
    return monitor.id;
  }

  monitorEnded(monitor: Monitor, reason: ExitReason): void {
    this.#post({ kind: "down", monitor, reason });
  }

  demonitor(id: number): void {
    this.#relations?.removeMonitor(id);
  }

  timers(): ActorTimers {
    if (this.#gate & STOPPED) return ActorTimers.ended;
    this.#timers ??= new ActorTimers(this.kernel.capabilities.clock);
    return this.#timers;
  }

  // ---- what the system sees ------------------------------------------------------------------

  protected get living(): Cell | undefined {
    return this.alive ? this : undefined;
  }
  get alive(): boolean {
    return (this.#gate & STOPPED) === 0;
  }
  get state(): CellState {
    return stateOf(this.#gate);
  }
  get mailbox_count(): number {
    return this.#mailbox?.count ?? 0;
  }
  get relations(): Relations | undefined {
    return this.#relations;
  }
  oldestAge_ms(now_ms: number): number {
    return this.#mailbox?.oldestAge_ms(now_ms) ?? 0;
  }

  inspect(): Snapshot {
    return this.actor?.inspect() ?? {};
  }

  // ---- turns ---------------------------------------------------------------------------------

  takeTurn(budget: number): number {
    this.#urgent = true;
    let done = this.#signals === undefined ? 0 : this.#runSignals();
    if (this.#gate === SCHEDULED && this.#mailbox !== undefined) {
      done += this.#runMessages(this.#mailbox, budget);
    }
    // From here on the actor may be enqueued again.
    this.#gate &= ~SCHEDULED;
    this.#urgent = false;
    this.#wake();
    return done;
  }

  #runMessages(mailbox: Mailbox, budget: number): number {
    const actor = this.actor as Actor<never>;
    let done = 0;
    mailbox.beginTurn(this.kernel.coarse_ms);
    try {
      while (done < budget && mailbox.count > 0) {
        const message = mailbox.shift() as never;
        const { meta } = mailbox;
        done++;
        // The asker has its outcome already, mostly its deadline, and has acted on it.
        if (meta?.port?.settled) {
          this.kernel.counters.expired_asks++;
          continue;
        }
        const result =
          meta === undefined ? actor.receive(message) : this.#receiveWith(actor, message, meta);
        if (result !== undefined) this.#await(result, meta);
        if (this.#gate !== SCHEDULED || this.#signals !== undefined) break;
      }
    } catch (error) {
      this.#crash(error);
    }
    this.handled += done;
    mailbox.endTurn(done, this.kernel.coarse_ms);
    return done;
  }

  #receiveWith(actor: Actor<never>, message: never, meta: Meta): void | Promise<void> {
    this.current = meta;
    ambient.trace = meta.trace;
    try {
      const result = actor.receive(message);
      if (result === undefined) this.current = undefined;
      return result;
    } finally {
      ambient.trace = undefined;
    }
  }

  /** Messages wait until the handler's promise is settled; signals do not. */
  #await(result: unknown, meta: Meta | undefined): void {
    if (!isPromise(result)) {
      this.current = undefined;
      return;
    }
    const { actor } = this;
    this.#pending++;
    this.#gate |= WAITING;
    result.then(
      () => {
        if (this.current === meta) this.current = undefined;
        this.#awaited(actor);
      },
      (error) => {
        this.#awaited(actor);
        this.#crash(error);
      },
    );
  }

  #awaited(actor: Actor<never> | undefined): void {
    this.#pending--;
    this.#settled(actor);
    if (this.#pending > 0) return;
    this.#gate &= ~WAITING;
    this.#wake();
  }

  #runSignals(): number {
    let done = 0;
    // A signal's handler may post another one: the list is taken anew until it is empty.
    for (let list = this.#signals; list !== undefined; list = this.#signals) {
      this.#signals = undefined;
      for (const signal of list) {
        done++;
        if (this.#gate & STOPPED) return done;
        this.#runSignal(signal);
      }
    }
    return done;
  }

  #runSignal(signal: Signal): void {
    switch (signal.kind) {
      case "stop":
        this.#beginStop(signal.reason);
        return;
      case "kill":
        this.kill();
        return;
      case "call":
        this.#guard(signal.run);
        return;
      case "child_ended":
        this.#childEnded(signal.child, signal.started);
        return;
      case "down": {
        const { monitor, reason } = signal;
        // The monitor may have been removed after the signal was posted.
        if (!this.#relations?.takeMonitor(monitor) || this.#gate >= STOPPING) return;
        this.#guard(() => this.actor?.down({ ref: monitor.ref, monitor: monitor.id, reason }));
        return;
      }
    }
  }

  /** Runs one of the actor's signal handlers; it fails as a message handler does. */
  #guard(handler: () => void | Promise<void>): void {
    try {
      const result = handler();
      if (result !== undefined) this.#await(result, undefined);
    } catch (error) {
      this.#crash(error);
    }
  }

  #schedule(): void {
    this.#gate |= SCHEDULED;
    this.kernel.schedule(this);
  }

  #wake(): void {
    if (this.#gate & (SCHEDULED | STOPPED)) return;
    if (this.#signals !== undefined) {
      this.#scheduleUrgent();
      return;
    }
    const mailbox = this.#mailbox;
    if (this.#gate !== 0 || mailbox === undefined || mailbox.count === 0) return;
    if (mailbox.asks > 0) this.#scheduleUrgent();
    else this.#schedule();
  }

  /** An ask or a signal waits: the actor enters the urgent queue too. */
  #hurry(): void {
    if ((this.#gate & ~SCHEDULED) === 0 && !this.#urgent) this.#scheduleUrgent();
  }

  #scheduleUrgent(): void {
    this.#gate |= SCHEDULED;
    this.#urgent = true;
    this.kernel.scheduleUrgent(this);
  }

  #post(signal: Signal): void {
    if (this.#gate & STOPPED) return;
    if (this.#signals === undefined) this.#signals = [signal];
    else this.#signals.push(signal);
    if (!this.#urgent) this.#scheduleUrgent();
  }

  #openMailbox(): Mailbox {
    this.#mailbox = new Mailbox(this.#mailbox_options);
    return this.#mailbox;
  }

  #overflow(mailbox: Mailbox, message: Message, meta: Meta | undefined): boolean {
    if (this.kernel.dead_letters.offer(this, mailbox, message, meta)) return true;
    this.kernel.counters.refused++;
    return false;
  }

  // ---- the start and the end -----------------------------------------------------------------

  #started(actor: Actor<never>): void {
    this.#settled(actor);
    // A stop overtook the start: the actor's end tells this to those who wait for the start.
    if (this.#gate >= STOPPING) return;
    this.#gate &= ~STARTING;
    this.kernel.counters.started++;
    this.#on_started?.(undefined);
    this.#on_started = undefined;
    this.#wake();
  }

  #startFailed(error: unknown, actor?: Actor<never>): void {
    this.#settled(actor);
    if (this.#gate >= STOPPING) return;
    const reason = error instanceof StartError ? error.reason : crashOf(error);
    this.#beginStop(reason, STOPPING | INIT_FAILED);
  }

  #crash(error: unknown): void {
    if (this.#gate >= STOPPING) return;
    this.kernel.counters.crashes++;
    this.#beginStop(crashOf(error));
  }

  /** Stops children, then calls `terminate`, then ends. STARTING stays set if the start failed. */
  #beginStop(reason: ExitReason, bits = STOPPING): void {
    if (this.#gate >= STOPPING) return;
    this.#gate |= bits;
    this.reason = reason;
    if (this.children === undefined || this.children.size === 0) {
      this.#terminate();
      return;
    }
    this.#boundStop();
    this.#child_stop = new ChildStop(this.children, this.actor?.stopOrder() ?? "together");
    this.#child_stop.next();
  }

  /** Arms the timer that kills the actor, only if the stop takes more than this turn. */
  #boundStop(): void {
    const { shutdown_ms } = this;
    if (typeof shutdown_ms !== "number" || this.#stop_bounded) return;
    this.#stop_bounded = true;
    this.timers().after(shutdown_ms, () => this.#post({ kind: "kill" }));
  }

  #childEnded(child: Cell, started: boolean): void {
    if (this.#gate >= STOPPING) {
      const reason = child.reason ?? shutdown;
      const brutal = child.shutdown_ms === "brutal" && reason.kind === "killed";
      const clean = reason.kind === "normal" || reason.kind === "shutdown" || brutal;
      if (!clean) this.kernel.report(child, "shutdown_error");
      if (this.#gate & TERMINATING) return;
      if (this.children === undefined || this.children.size === 0) this.#terminate();
      else this.#child_stop?.next();
      return;
    }
    const reason = child.reason ?? shutdown;
    const signal: ChildEnded = { ref: child, name: child.name, reason, started };
    this.#guard(() => this.actor?.childEnded(signal));
  }

  #terminate(): void {
    this.#gate |= TERMINATING;
    const reason = this.reason ?? shutdown;
    const failed = (error: unknown) => this.#end(reason.kind === "crash" ? reason : crashOf(error));
    try {
      const begun = (this.#gate & INIT_FAILED) === 0;
      const result: unknown = begun && this.actor?.terminate(reason);
      if (isPromise(result)) {
        this.#boundStop();
        result.then(() => this.#end(reason), failed);
      } else this.#end(reason);
    } catch (error) {
      failed(error);
    }
  }

  /** Ends the actor and its children without `terminate`. */
  kill(): void {
    if (this.#gate & STOPPED) return;
    this.#gate |= STOPPING | TERMINATING;
    if (this.children !== undefined) for (const child of this.children.values()) child.kill();
    this.#end(killed);
  }

  #end(reason: ExitReason): void {
    if (this.#gate & STOPPED) return;
    const started = (this.#gate & STARTING) === 0;
    this.reason = reason;
    this.#gate |= STOPPED;
    this.kernel.counters.stopped++;
    this.endLife();
    this.#timers?.cancelAll();
    this.#timers = undefined;
    // Before watchers are told, because they may want to open what it held (a port, say).
    this.#release(this.actor);
    this.#failWaiting();
    this.#relations?.end(reason);
    this.#relations = undefined;
    this.#on_started?.(reason);
    this.#on_started = undefined;
    this.actor = undefined;
    this.#signals = undefined;
    const { parent } = this;
    if (parent === undefined) return;
    parent.children?.delete(this.name);
    parent.childGone(this, started);
  }

  /** The parent's side of an end: a signal, when somebody there listens. */
  childGone(child: Cell, started: boolean): void {
    if (this.#gate & STOPPED) return;
    if (this.#gate >= STOPPING || this.actor?.childEnded !== Actor.prototype.childEnded) {
      this.#post({ kind: "child_ended", child, started });
    } else if (child.reason?.kind === "crash") {
      this.kernel.report(child, started ? "child_terminated" : "start_error");
    }
  }

  /** A handler that was pending at the end may have opened something since. */
  #settled(actor: Actor<never> | undefined): void {
    if (this.#gate & STOPPED) this.#release(actor);
  }

  /** The actor's last call. A throw is logged and stops nothing. */
  #release(actor: Actor<never> | undefined): void {
    try {
      actor?.release();
    } catch (error) {
      this.kernel.warn(this, `release failed: ${describeExit(crashOf(error))}`, this);
    }
  }

  #failWaiting(): void {
    if (this.#mailbox !== undefined) this.kernel.dead_letters.addAll(this, this.#mailbox);
    this.#mailbox = undefined;
    this.current?.port?.fail("down", "the actor ended while it was answering");
    while (this.asks !== undefined) this.asks.fail("down", "the actor ended before it answered");
  }

  #related(): Relations {
    this.#relations ??= new Relations();
    return this.#relations;
  }
}
