/**
 * How a door stops: it tells connections to go elsewhere, then takes no new request, and is over
 * with its last answer or at the end of its budget. One drain at a time; the actor that owns the
 * door calls it on its turns and gives it the messages of its timers.
 *
 *   start ─▶ (shared port: notice, until others take the connections) ─▶ shut ─▶ over
 */
import type { Drain, Drained } from "../../../proto/index.ts";
import type { Clock, HttpServer, Timer } from "../../../runtime/capabilities.ts";
import type { ReplyPort } from "../../../runtime/kernel/ref.ts";
import type { Door } from "./door.ts";

/** Messages of its timers to the actor, which hands them back. */
export type DrainMessage =
  /** The time is over in which open connections were told to go elsewhere. */
  | { readonly kind: "noticed" }
  | { readonly kind: "drain_over" }
  /** The last request has ended. */
  | { readonly kind: "idle" };

export type DrainPeers = {
  readonly clock: Clock;
  readonly after: (delay_ms: number, message: DrainMessage) => Timer;
  readonly cancel: (timer: Timer) => void;
  readonly door: Door;
  /** Undefined: the door takes no connections yet. */
  readonly server: () => HttpServer | undefined;
  /** Number of other doors that take connections at a shared port; undefined: not shared. */
  readonly siblings: (() => number) | undefined;
  /** Called when other doors should take the connections. */
  readonly left: () => void;
};

export const SHUTTING_DOWN = "This server is shutting down.";
/** Time for the last bytes of answers that have just ended, when the server closes. */
export const FLUSH_MS = 50;
/**
 * How long a door that leaves a shared port answers with `Connection: close`. After that, idle
 * connections are closed. The door waits longer (QUIET_MS at a time, NOTICE_MOST_MS at most) while
 * answers end, because the client of an ended stream may be sending its next request.
 */
const NOTICE_MS = 100;
const QUIET_MS = 20;
const NOTICE_MOST_MS = 500;
/** Time that the door goes on without another door at its port, as one may be starting. */
const RELIEF_MS = 5_000;
const LOOK_FOR_RELIEF_MS = 50;

type Running = {
  readonly port: ReplyPort;
  readonly live: number;
  readonly timer: Timer;
  /** When the drain began, on the clock's scale. */
  readonly began_ms: number;
  readonly relief_until_ms: number;
  /** New requests cannot come or are refused. The drain is over when the last request is. */
  shut: boolean;
};

export class DoorDrain {
  readonly #peers: DrainPeers;
  #running: Running | undefined;

  constructor(peers: DrainPeers) {
    this.#peers = peers;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  /** Begins a drain. `port` gets `drained`, or a refusal if another drain is running. */
  start({ budget_ms, nobody_follows }: Drain, port: ReplyPort): void {
    const { clock, after, door, server, siblings, left } = this.#peers;
    if (this.#running !== undefined) {
      this.#startAgain(budget_ms, nobody_follows, port);
      return;
    }
    const began_ms = clock.now_ms();
    const timer = after(budget_ms, { kind: "drain_over" });
    const relief_until_ms = began_ms + Math.min(RELIEF_MS, budget_ms / 2);
    this.#running = { port, live: door.live, timer, began_ms, relief_until_ms, shut: false };
    left();
    // A door that was drained before has given its notice already.
    const known = door.draining || server() === undefined;
    if (siblings === undefined || nobody_follows || known) {
      door.drain();
      this.#shut();
      return;
    }
    door.leave();
    after(Math.min(NOTICE_MS, budget_ms / 2), { kind: "noticed" });
  }

  receive(message: DrainMessage): void {
    switch (message.kind) {
      case "noticed":
        this.#noticed();
        return;
      case "idle":
        if (this.#running?.shut === true && !this.#peers.door.busy) this.#end(0);
        return;
      case "drain_over":
        this.#end(this.#peers.door.cut(SHUTTING_DOWN));
        return;
    }
  }

  /** A drain is running. Without a budget, streams end now; that is answered when they have. */
  #startAgain(budget_ms: number, nobody_follows: boolean, port: ReplyPort): void {
    const { door, clock } = this.#peers;
    if (budget_ms === 0) {
      door.drain();
      const unfinished = door.cut(SHUTTING_DOWN);
      this.#end(unfinished);
      const reply: Drained = { kind: "drained", finished: 0, unfinished };
      clock.after(FLUSH_MS, () => port.reply(reply));
      return;
    }
    port.fail("refused", "already draining");
    if (!nobody_follows || this.#running?.shut === true) return;
    door.drain();
    this.#shut();
  }

  /** Without another door at its port it goes on for a while, and then refuses requests. */
  #noticed(): void {
    if (this.#running === undefined) return;
    const { clock, after, door, server, siblings } = this.#peers;
    const now_ms = clock.now_ms();
    const restless = door.ended_ms > now_ms - QUIET_MS;
    if (restless && now_ms < this.#running.began_ms + NOTICE_MOST_MS) {
      after(QUIET_MS, { kind: "noticed" });
      return;
    }
    if ((siblings?.() ?? 0) > 0) {
      server()?.drain();
    } else if (now_ms < this.#running.relief_until_ms) {
      after(LOOK_FOR_RELIEF_MS, { kind: "noticed" });
      return;
    } else {
      door.drain();
    }
    this.#shut();
  }

  #shut(): void {
    if (this.#running === undefined) return;
    this.#running.shut = true;
    if (!this.#peers.door.busy) this.#end(0);
  }

  #end(unfinished: number): void {
    if (this.#running === undefined) return;
    const { port, live, timer } = this.#running;
    this.#running = undefined;
    this.#peers.cancel(timer);
    const reply: Drained = { kind: "drained", finished: live - unfinished, unfinished };
    port.reply(reply);
  }
}
