/** The actors of one process (or of one simulated node) and what they share. */

import type { Capabilities } from "../capabilities.ts";
import { type CrashContext, type CrashReport, CrashReports } from "../observe/crash-report.ts";
import { type DeadLetter, DeadLetters } from "../observe/dead-letters.ts";
import { Metrics } from "../observe/metrics.ts";
import { type Shown, type TreeNode, treeOf } from "../observe/tree.ts";
import { TurnTimes } from "../observe/turn-times.ts";
import { Actor, type Snapshot } from "./actor.ts";
import { type AskOptions, ask, askDeadline_ms } from "./ask.ts";
import { Cell } from "./cell.ts";
import { cellOf } from "./cell-context.ts";
import type { CellHost } from "./cell-identity.ts";
import type { Earlier } from "./cell-state.ts";
import type { ActorSystem, ControlAction, Counters, Make } from "./context.ts";
import { Deadlines } from "./deadlines.ts";
import { describeExit, killed, shutdown } from "./exit-reason.ts";
import type { Message, ReplyTo } from "./message.ts";
import { formatAddress, type Meta, NOWHERE, type Ref } from "./ref.ts";
import { MicrotaskScheduler, macrotask, type Scheduler } from "./scheduler.ts";
import type { SpawnOptions } from "./spawn-options.ts";
import { type StepHook, SteppedCell } from "./stepped-cell.ts";

export type { ActorSystem } from "./context.ts";
export { controlActions } from "./context.ts";

/** A codec table, as far as the kernel needs it: the message as another process would get it. */
type HopCodec = { roundTrip(message: Message): Message };

export type SystemOptions = {
  readonly node: string;
  readonly capabilities: Capabilities;
  /** Several systems of one simulation share one. */
  readonly scheduler?: Scheduler;
  /** Tests: every message between local actors is encoded and decoded. */
  readonly encode_every_hop?: HopCodec;
  /** For fault injection: changes messages and steps of every actor but the guardian. */
  readonly steps?: StepHook;
  /** Writes down what comes to actors of its choice. */
  readonly recorder?: CellRecorder;
};

/** Makes the cells of actors that are recorded; undefined: not this one. */
export interface CellRecorder {
  newCell(steps: StepHook | undefined, ...of: ConstructorParameters<typeof Cell>): Cell | undefined;
}

/** The parent of the top-level actors. */
class Guardian extends Actor<never> {
  override receive(): void {}
  override stopOrder(): readonly string[] {
    return [...(cellOf(this.ctx).children?.keys() ?? [])].reverse();
  }
}

/** A cell whose messages go through bytes. */
class EncodingCell extends Cell {
  readonly #codec: HopCodec;

  constructor(codec: HopCodec, ...of: ConstructorParameters<typeof Cell>) {
    super(...of);
    this.#codec = codec;
  }
  override deliver(message: Message, meta: Meta | undefined): boolean {
    return super.deliver(this.#codec.roundTrip(message), meta);
  }
}

export class System implements CellHost {
  readonly node: string;
  readonly incarnation: bigint;
  readonly capabilities: Capabilities;
  readonly metrics = new Metrics();
  readonly deadlines: Deadlines;
  readonly dead_letters: DeadLetters;
  readonly counters: Counters = {
    asks: 0,
    late_replies: 0,
    expired_asks: 0,
    refused: 0,
    started: 0,
    stopped: 0,
    crashes: 0,
  };
  coarse_ms = 0;

  readonly #hop_codec: HopCodec | undefined;
  readonly #steps: StepHook | undefined;
  readonly #recorder: CellRecorder | undefined;
  /** Takes the turns while somebody watches. */
  turns: TurnTimes | undefined = undefined;
  readonly #scheduler: Scheduler;
  #watchers = 0;
  readonly #reports = new CrashReports();
  readonly #guardian: Cell;
  #last_id = 0;

  constructor(options: SystemOptions) {
    this.node = options.node;
    this.capabilities = options.capabilities;
    this.incarnation = options.capabilities.random.u64();
    this.deadlines = new Deadlines(options.capabilities.clock);
    this.#hop_codec = options.encode_every_hop;
    this.#steps = options.steps;
    this.#recorder = options.recorder;
    const { clock } = options.capabilities;
    this.dead_letters = new DeadLetters(clock);
    this.#scheduler = options.scheduler ?? new MicrotaskScheduler(() => clock.now_ms());
    this.#guardian = new Cell(this, undefined, { name: "", shutdown_ms: "infinity" });
    this.#guardian.start(() => new Guardian());
  }

  // ---- for cells -----------------------------------------------------------------------------

  schedule(cell: Cell): void {
    if (this.#scheduler.quiet) this.coarse_ms = this.capabilities.clock.now_ms();
    this.#scheduler.enqueue(cell);
  }

  scheduleUrgent(cell: Cell): void {
    if (this.#scheduler.quiet) this.coarse_ms = this.capabilities.clock.now_ms();
    this.#scheduler.enqueueUrgent(cell);
  }

  newCell(parent: Cell, options: SpawnOptions, earlier: Earlier | undefined): Cell {
    const steps = this.#steps;
    const recorded = this.#recorder?.newCell(steps, this, parent, options, earlier);
    if (recorded !== undefined) return recorded;
    if (steps !== undefined) return new SteppedCell(steps, this, parent, options, earlier);
    const codec = this.#hop_codec;
    if (codec !== undefined) return new EncodingCell(codec, this, parent, options, earlier);
    return new Cell(this, parent, options, earlier);
  }

  nextId(): number {
    return ++this.#last_id;
  }

  report(child: Cell, context: CrashContext, restart?: string): void {
    const reason = child.reason ?? shutdown;
    const { role, name, earlier } = child;
    this.addReport({
      supervisor: child.parent?.path ?? "",
      context,
      reason,
      offender: {
        id: name,
        path: child.path,
        restarts: earlier.restarts,
        ...(role === undefined ? {} : { role }),
        ...(restart === undefined ? {} : { restart }),
      },
      wall_ms: this.capabilities.clock.wall_ms(),
    });
  }

  addReport(report: CrashReport): void {
    this.#reports.add(report);
    const { supervisor, context, reason, offender } = report;
    const stack = reason.kind === "crash" ? reason.stack : undefined;
    this.capabilities.log.log("error", `${context}: ${offender.path}: ${describeExit(reason)}`, {
      supervisor,
      restarts: offender.restarts,
      stack,
    });
  }

  warn(cell: Cell, message: string, about: Ref): void {
    const fields = { actor: cell.path, about: formatAddress(about.address) };
    this.capabilities.log.log("warn", message, fields);
  }

  // ---- for everyone --------------------------------------------------------------------------

  spawn<N extends Message>(make: Make<N>, options: SpawnOptions): Ref<N> {
    return this.#guardian.spawnChild(make, options);
  }

  async spawnReady<N extends Message>(make: Make<N>, options: SpawnOptions): Promise<Ref<N>> {
    const cell = this.#guardian.spawnChild(make, options);
    await cell.ready();
    return cell;
  }

  ask<N extends Message, K extends N["kind"]>(
    ref: Ref<N>,
    message: N & { readonly kind: K },
    options: AskOptions,
  ): Promise<ReplyTo<N, K>> {
    const deadline_ms = askDeadline_ms(this.capabilities.clock, options, undefined);
    return ask(this, ref, message, deadline_ms, options.trace) as Promise<ReplyTo<N, K>>;
  }

  stop(ref: Ref): void {
    if (ref instanceof Cell) ref.stop(shutdown);
    else this.warn(this.#guardian, "stop: not an actor of this process", ref);
  }

  onDown(ref: Ref, then: (reason: CrashReport["reason"]) => void): () => void {
    const watcher = { place: NOWHERE, ended: then };
    ref.watch(watcher);
    return () => ref.unwatch(watcher);
  }

  lookup(path: string): Cell | undefined {
    if (!path.startsWith("/")) return undefined;
    let cell: Cell | undefined = this.#guardian;
    for (const name of path.slice(1).split("/")) {
      cell = cell.children?.get(name);
      if (cell === undefined) return undefined;
    }
    return cell;
  }

  resolveLocal(path: string, incarnation: bigint): Cell | undefined {
    const cell = this.lookup(path);
    return cell?.is(incarnation) ? cell : undefined;
  }

  tree(): TreeNode[] {
    return treeOf(this.#guardian, this.capabilities.clock.now_ms());
  }

  get top(): Shown {
    return this.#guardian;
  }

  watchTurns(): TurnTimes {
    this.#watchers++;
    const { clock } = this.capabilities;
    this.turns ??= new TurnTimes(() => clock.now_ms());
    return this.turns;
  }

  unwatchTurns(): void {
    if (this.#watchers > 0 && --this.#watchers === 0) this.turns = undefined;
  }

  control(path: string, action: ControlAction): boolean {
    if (action === "restart") return this.#restart(path);
    const cell = this.lookup(path);
    if (cell === undefined) return false;
    switch (action) {
      case "stop":
        cell.stop(shutdown);
        return true;
      case "kill":
        cell.stop(killed);
        return true;
      case "suspend":
        cell.suspend();
        return true;
      case "resume":
        cell.resume();
        return true;
    }
  }

  /** Restarts a child by path, also one that its supervisor has given up. */
  #restart(path: string): boolean {
    const slash = path.lastIndexOf("/");
    const parent = this.lookup(path.slice(0, slash));
    return parent?.actor?.restartChild(path.slice(slash + 1)) ?? false;
  }

  snapshot(path: string): Snapshot | undefined {
    return this.lookup(path)?.inspect();
  }

  detail(path: string, name: string, about: string): Snapshot | undefined {
    return this.lookup(path)?.actor?.detail(name, about);
  }

  deadLetters(): { readonly count: number; readonly recent: readonly DeadLetter[] } {
    return { count: this.dead_letters.count, recent: this.dead_letters.recent() };
  }

  crashReports(): readonly CrashReport[] {
    return this.#reports.all();
  }

  onCrash(listener: (report: CrashReport) => void): () => void {
    return this.#reports.listen(listener);
  }

  idle(): Promise<void> {
    return this.#scheduler.idle();
  }

  async shutdown(budget_ms = 30_000): Promise<void> {
    const guardian = this.#guardian;
    if (!guardian.alive) return;
    const { clock } = this.capabilities;
    const late = clock.after(budget_ms, () => guardian.stop(killed));
    await new Promise<void>((resolve) => {
      guardian.watch({ place: NOWHERE, ended: () => resolve() });
      guardian.stop(shutdown);
    });
    clock.cancel(late);
    this.deadlines.close();
    // Messages of the last turns are counted before the caller goes on.
    await macrotask();
  }
}

/** Makes the system of a process, or of a simulated node. Never throws. */
export function createSystem(options: SystemOptions): ActorSystem {
  return new System(options);
}
