/**
 * The process slots below one dynamic supervisor. They come while the cluster starts, all at once,
 * so a supervisor that crashed comes back without them: then they are started again.
 */

import type { Ref } from "../runtime/kernel/ref.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import type { ChildSpec } from "../runtime/supervision/child-spec.ts";
import type { SupervisorMessage } from "../runtime/supervision/supervisor.ts";

/** Time between two looks for a supervisor that is being restarted. */
const LOOK_MS = 20;

export type SlotStart = {
  readonly spec: ChildSpec;
  /** Budget until its process is ready. */
  readonly ready_ms: number;
};

export class Slots {
  readonly #system: ActorSystem;
  readonly #path: string;
  readonly #slots: SlotStart[] = [];
  #closed = false;

  /** @param path of the supervisor */
  constructor(system: ActorSystem, path: string) {
    this.#system = system;
    this.#path = path;
  }

  /** Once its supervisor runs: from then on it is watched. */
  watch(): void {
    const supervisor = this.#supervisor();
    this.#system.onDown(supervisor, () => this.#again(supervisor));
  }

  /** Resolves when the slot's process is ready; rejects with AskError when it cannot start. */
  async start(slot: SlotStart): Promise<void> {
    this.#slots.push(slot);
    await this.#start(slot);
  }

  close(): void {
    this.#closed = true;
  }

  async #start({ spec, ready_ms }: SlotStart): Promise<void> {
    const message = { kind: "start_child", spec } as const;
    await this.#system.ask(this.#supervisor(), message, { deadline_ms: ready_ms });
  }

  #supervisor(): Ref<SupervisorMessage> {
    const ref = this.#system.lookup(this.#path);
    if (ref === undefined) throw new Error(`there is no ${this.#path}`);
    return ref as Ref<SupervisorMessage>;
  }

  /** Starts the slots again. `dead` keeps its path until all its watchers were told of its end. */
  #again(dead: Ref<SupervisorMessage>): void {
    const { clock, log } = this.#system.capabilities;
    if (this.#closed) return;
    const now = this.#system.lookup(this.#path);
    if (now === undefined || now === dead) {
      clock.after(LOOK_MS, () => this.#again(dead));
      return;
    }
    this.watch();
    for (const slot of this.#slots) {
      this.#start(slot).catch((error: unknown) => {
        if (this.#closed) return;
        log.log("error", `${slot.spec.id} does not start again`, { error: String(error) });
      });
    }
  }
}
