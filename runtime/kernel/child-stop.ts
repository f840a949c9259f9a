/** The order in which an ending actor stops its children: all at once, or by a list of names. */

import type { SlotMap } from "../slot-map.ts";

/** How an ending actor stops its children: all at once, or one after the other by name. */
export type StopOrder = "together" | readonly string[];

type Stoppable = { stopAsAgreed(): void };

export class ChildStop {
  readonly #children: SlotMap<string, Stoppable>;
  /** Children still to be stopped; the last one of the list is next. */
  #queue: string[] | undefined;

  constructor(children: SlotMap<string, Stoppable>, order: StopOrder) {
    this.#children = children;
    this.#queue = order === "together" ? undefined : [...order].reverse();
  }

  /** Stops the next children. Called to begin, and whenever a child ended. */
  next(): void {
    const queue = this.#queue;
    for (let name = queue?.pop(); name !== undefined; name = queue?.pop()) {
      const child = this.#children.get(name);
      if (child === undefined) continue;
      child.stopAsAgreed();
      return;
    }
    this.#queue = undefined;
    for (const child of [...this.#children.values()].reverse()) child.stopAsAgreed();
  }
}
