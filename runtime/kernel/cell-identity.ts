/** An actor's identity: its system, its place in the tree, and which of its lives it is. */

import type { CrashContext, CrashReport } from "../observe/crash-report.ts";
import type { DeadLetters } from "../observe/dead-letters.ts";
import type { TurnTimes } from "../observe/turn-times.ts";
import type { AskHost } from "./ask.ts";
import type { Cell } from "./cell.ts";
import type { Earlier } from "./cell-state.ts";
import type { ActorSystem, Counters } from "./context.ts";
import type { Address } from "./message.ts";
import { formatAddress, type Ref } from "./ref.ts";
import type { Runnable } from "./scheduler.ts";
import type { SpawnOptions } from "./spawn-options.ts";

/** The part of a system that all its cells share. */
export interface CellHost extends ActorSystem, AskHost {
  readonly counters: Counters;
  readonly dead_letters: DeadLetters;
  /** The time when the running batch of turns began: good enough for ages, free to read. */
  readonly coarse_ms: number;
  /** Takes the turns of all cells while somebody watches. */
  readonly turns: TurnTimes | undefined;
  schedule(cell: Runnable): void;
  scheduleUrgent(cell: Runnable): void;
  newCell(parent: Cell, options: SpawnOptions, earlier: Earlier | undefined): Cell;
  nextId(): number;
  report(child: Cell, context: CrashContext, restart?: string): void;
  addReport(report: CrashReport): void;
  warn(cell: Cell, message: string, about: Ref): void;
}

/** A handle that others may keep after the cell has ended; it does not keep the cell. */
export type Life = {
  readonly incarnation: bigint;
  /** Undefined once it has ended. */
  cell: Cell | undefined;
};

export abstract class CellIdentity {
  readonly kernel: CellHost;
  readonly parent: Cell | undefined;
  readonly name: string;
  #life: Life | undefined = undefined;
  protected abstract readonly living: Cell | undefined;

  constructor(kernel: CellHost, parent: Cell | undefined, name: string) {
    this.kernel = kernel;
    this.parent = parent;
    this.name = name;
  }

  /** Handles at most `budget` messages and returns how many it did, signals included. */
  abstract takeTurn(budget: number): number;

  /** The same, as the scheduler asks for it: somebody may watch how long it takes. */
  runTurn(budget: number): number {
    const { turns } = this.kernel;
    return turns === undefined ? this.takeTurn(budget) : turns.runTurn(this, budget);
  }

  get local(): boolean {
    return true;
  }

  /** Built at each read: the path of most actors is never read. */
  get path(): string {
    return this.parent === undefined ? "" : `${this.parent.path}/${this.name}`;
  }

  /** Unique in the cluster. */
  get id(): string {
    return this.kernel.node + this.path;
  }

  /**
   * Drawn at the first read: a number that no one knows cannot be out of date, and most short-lived
   * actors are never addressed from outside.
   */
  get incarnation(): bigint {
    return this.life.incarnation;
  }

  get life(): Life {
    this.#life ??= { incarnation: this.kernel.capabilities.random.u64(), cell: this.living };
    return this.#life;
  }

  protected endLife(): void {
    if (this.#life !== undefined) this.#life.cell = undefined;
  }

  get address(): Address {
    return { node: this.kernel.node, path: this.path, incarnation: this.incarnation };
  }

  /** True when `incarnation` names this life. */
  is(incarnation: bigint): boolean {
    return this.#life?.incarnation === incarnation;
  }

  /** How logs and snapshots show a reference. */
  toJSON(): string {
    return formatAddress(this.address);
  }
}
