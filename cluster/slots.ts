/**
 * The process slots below one dynamic supervisor. It forgets them when it crashes, so those that
 * are wanted are kept here, and are started again when it is back.
 */

import { AskError } from "../runtime/kernel/errors.ts";
import type { Ref } from "../runtime/kernel/ref.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import type { ChildSpec } from "../runtime/supervision/child-spec.ts";
import type { SupervisorMessage } from "../runtime/supervision/supervisor.ts";

/** Time between two looks for a supervisor that is being restarted. */
const LOOK_MS = 20;
/** A process that is late is told of by its own actor, whose words explain more. */
const READY_MARGIN_MS = 2_000;

export type SlotStart = {
  /** Its name below the supervisor. */
  readonly id: string;
  /** `tells`: a start that fails is told and given up; else it is tried again as after a crash. */
  readonly spec: (first_start: "tells" | "tried") => ChildSpec;
  /** Budget until its process is ready. */
  readonly ready_ms: number;
  /** Longest time that its end takes. */
  readonly stop_ms: number;
};

type Wanted = { readonly slot: SlotStart; ready: boolean };

export class Slots {
  readonly #system: ActorSystem;
  readonly #path: string;
  readonly #wanted = new Map<string, Wanted>();
  #closed = false;

  /** @param path of the supervisor */
  constructor(system: ActorSystem, path: string) {
    this.#system = system;
    this.#path = path;
  }

  /** Once its supervisor runs: from then on it is watched. */
  watch(): void {
    const supervisor = this.#supervisor();
    if (supervisor === undefined) throw new Error(`there is no ${this.#path}`);
    this.#system.onDown(supervisor, () => this.#again(supervisor));
  }

  /**
   * Resolves when the slot's process is ready, also if its supervisor crashes meanwhile. Rejects
   * with AskError when it cannot start, or is ended before; then nothing is left of it.
   */
  async start(slot: SlotStart): Promise<void> {
    const wanted = { slot, ready: false };
    this.#wanted.set(slot.id, wanted);
    try {
      await this.#startUntilReady(wanted);
      wanted.ready = true;
    } catch (error) {
      if (this.#wanted.get(slot.id) === wanted) await this.end(slot.id);
      throw error;
    }
  }

  /** Resolves when the slot is gone for good, with its process. */
  async end(id: string): Promise<void> {
    const wanted = this.#wanted.get(id);
    // From here on no crash of the supervisor brings it back.
    this.#wanted.delete(id);
    const supervisor = this.#supervisor();
    if (supervisor === undefined) return;
    const options = { deadline_ms: wanted?.slot.stop_ms ?? READY_MARGIN_MS };
    try {
      await this.#system.ask(supervisor, { kind: "terminate_child", id }, options);
    } catch (error) {
      // It ended with its supervisor, or has ended before.
      if (error instanceof AskError && error.code !== "deadline") return;
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
  }

  async #startUntilReady(wanted: Wanted): Promise<void> {
    const { slot } = wanted;
    const { clock } = this.#system.capabilities;
    const until_ms = clock.now_ms() + slot.ready_ms + READY_MARGIN_MS;
    for (;;) {
      const supervisor = this.#supervisor();
      try {
        if (supervisor === undefined) throw new AskError("down", `${this.#path} is restarted`);
        const deadline_ms = Math.max(0, until_ms - clock.now_ms());
        const message = { kind: "start_child", spec: slot.spec("tells") } as const;
        await this.#system.ask(supervisor, message, { deadline_ms });
        return;
      } catch (error) {
        if (!this.#mayTryAgain(wanted, error, until_ms)) throw error;
        await new Promise<void>((resolve) => clock.after(LOOK_MS, resolve));
      }
    }
  }

  /** The supervisor crashed under it. */
  #mayTryAgain(wanted: Wanted, error: unknown, until_ms: number): boolean {
    if (!(error instanceof AskError && error.code === "down")) return false;
    const still = this.#wanted.get(wanted.slot.id) === wanted;
    return still && !this.#closed && this.#system.capabilities.clock.now_ms() < until_ms;
  }

  #supervisor(): Ref<SupervisorMessage> | undefined {
    return this.#system.lookup(this.#path) as Ref<SupervisorMessage> | undefined;
  }

  /** Starts the slots again. `dead` keeps its path until all its watchers were told of its end. */
  #again(dead: Ref<SupervisorMessage>): void {
    const { clock, log } = this.#system.capabilities;
    if (this.#closed) return;
    const now = this.#supervisor();
    if (now === undefined || now === dead) {
      clock.after(LOOK_MS, () => this.#again(dead));
      return;
    }
    this.watch();
    for (const { slot, ready } of this.#wanted.values()) {
      // Whoever starts one that never was ready tries again.
      if (!ready) continue;
      const message = { kind: "start_child", spec: slot.spec("tried") } as const;
      const options = { deadline_ms: slot.ready_ms };
      this.#system.ask(now, message, options).catch((error: unknown) => {
        if (this.#closed || !this.#wanted.has(slot.id)) return;
        log.log("error", `${slot.id} does not start again`, { error: String(error) });
      });
    }
  }
}
