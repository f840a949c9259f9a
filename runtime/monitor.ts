/** One actor's interest in another's end. */

import type { ExitReason } from "./exit-reason.ts";
import type { Ref, Watcher } from "./ref.ts";

export interface MonitorOwner {
  monitorEnded(monitor: Monitor, reason: ExitReason): void;
}

export class Monitor implements Watcher {
  readonly id: number;
  readonly ref: Ref;
  readonly #owner: MonitorOwner;

  constructor(id: number, ref: Ref, owner: MonitorOwner) {
    this.id = id;
    this.ref = ref;
    this.#owner = owner;
  }

  ended(reason: ExitReason): void {
    this.#owner.monitorEnded(this, reason);
  }
}
