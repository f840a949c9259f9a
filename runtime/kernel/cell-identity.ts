/** Where an actor stands in the tree, and which of its lives it is. */

import type { Cell } from "./cell.ts";
import type { Address } from "./message.ts";
import { formatAddress } from "./ref.ts";
import type { System } from "./system.ts";

/** What others may hold of a cell for longer than it lives. */
export type Life = {
  readonly incarnation: bigint;
  /** Undefined once it has ended. */
  cell: Cell | undefined;
};

export abstract class CellIdentity {
  readonly kernel: System;
  readonly parent: Cell | undefined;
  readonly name: string;
  #life: Life | undefined = undefined;
  protected abstract readonly living: Cell | undefined;

  constructor(kernel: System, parent: Cell | undefined, name: string) {
    this.kernel = kernel;
    this.parent = parent;
    this.name = name;
  }

  get local(): boolean {
    return true;
  }

  /** Put together when asked for: most actors are never asked. */
  get path(): string {
    return this.parent === undefined ? "" : `${this.parent.path}/${this.name}`;
  }

  /** Unique in the cluster. */
  get id(): string {
    return this.kernel.node + this.path;
  }

  /**
   * Drawn when somebody first asks: as long as nobody knows the number, nobody can hold one that
   * is out of date, and most short-lived actors are never addressed from outside.
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

  /** What a log or a snapshot shows of a reference. */
  toJSON(): string {
    return formatAddress(this.address);
  }
}
