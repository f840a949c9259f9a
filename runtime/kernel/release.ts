/** The last call of an actor's life, which nothing may stop. */
import type { Actor } from "./actor.ts";
import type { Cell } from "./cell.ts";
import { crashOf, describeExit } from "./exit-reason.ts";

/** What it throws is logged: the end goes on. */
export function release(cell: Cell, actor: Actor<never> | undefined): void {
  try {
    actor?.release();
  } catch (error) {
    cell.kernel.warn(cell, `release failed: ${describeExit(crashOf(error))}`, cell);
  }
}
