/**
 * A message bus inside one process, for the simulator and for tests. Delays come from a seeded
 * source, and the order of one publisher to one subscriber is kept. Messages are lost while the bus
 * is down, to clients that have not subscribed again yet, and by chance if configured.
 */
import type { Clock, Random } from "../capabilities.ts";
import { type Bus, BusError } from "./bus.ts";

export type MemoryBusOptions = {
  /** One-way delay, uniform between the two; both 0 = the end of the same tick. */
  readonly delay_ms_min: number;
  readonly delay_ms_max: number;
  /** Share of published messages that is lost by chance: 0 to 1. */
  readonly lost: number;
  readonly payload_limit_bytes: number;
};

const memoryBusDefaults: MemoryBusOptions = {
  delay_ms_min: 0,
  delay_ms_max: 0,
  lost: 0,
  payload_limit_bytes: 1024 * 1024,
};

type Take = (bytes: Uint8Array, reply: ((bytes: Uint8Array) => void) | undefined) => void;
type Gate = (run: () => void) => void;
type Subscriber = { readonly owner: MemoryBus; readonly take: Take };

/** The server and all its clients. */
export class MemoryBusWorld {
  readonly clock: Clock;
  readonly random: Random;
  options: MemoryBusOptions;
  readonly subscribers = new Map<string, Set<Subscriber>>();
  readonly #clients = new Set<MemoryBus>();
  #up = true;

  constructor(clock: Clock, random: Random, options: Partial<MemoryBusOptions> = {}) {
    this.clock = clock;
    this.random = random;
    this.options = { ...memoryBusDefaults, ...options };
  }

  /** The bus as one process sees it. All messages to the process come through its gate. */
  client(gate: Gate = (run) => run()): MemoryBus {
    const client = new MemoryBus(this, gate);
    this.#clients.add(client);
    return client;
  }

  forget(client: MemoryBus): void {
    this.#clients.delete(client);
  }

  get up(): boolean {
    return this.#up;
  }

  /** The server dies: messages under way are lost, and every client notices. */
  down(): void {
    this.#up = false;
    for (const client of this.#clients) client.serverChanged();
  }

  /** The server is back without any state; each client connects again in its own time. */
  comeBack(within_ms: number): void {
    this.#up = true;
    for (const client of this.#clients) {
      this.clock.after(this.random.unit() * within_ms, () => client.serverChanged());
    }
  }

  delay_ms(): number {
    const { delay_ms_min, delay_ms_max } = this.options;
    return delay_ms_min + this.random.unit() * (delay_ms_max - delay_ms_min);
  }
}

export class MemoryBus implements Bus {
  readonly name = "memory";
  readonly #world: MemoryBusWorld;
  readonly #gate: Gate;
  readonly #listeners = new Set<(up: boolean) => void>();
  #connected: boolean;
  /** True: a fault cut the client off, or it was closed. */
  #cut = false;
  /** Number of the connection; messages of earlier ones do not arrive. */
  #connection = 0;
  /** Last arrival at each other client: no message may arrive before an earlier one. */
  readonly #lastArrival_ms = new Map<MemoryBus, number>();

  constructor(world: MemoryBusWorld, gate: Gate) {
    this.#world = world;
    this.#gate = gate;
    this.#connected = world.up;
  }

  get up(): boolean {
    return this.#connected;
  }

  get payload_limit_bytes(): number {
    return this.#world.options.payload_limit_bytes;
  }

  publish(subject: string, bytes: Uint8Array): void {
    const { options, random } = this.#world;
    if (options.lost > 0 && random.unit() < options.lost) return;
    this.#deliver(subject, bytes, undefined);
  }

  subscribe(subject: string, take: (bytes: Uint8Array) => void): () => void {
    return this.#subscribe(subject, (bytes) => take(bytes));
  }

  answer(subject: string, answer: (bytes: Uint8Array) => Uint8Array): () => void {
    return this.#subscribe(subject, (bytes, reply) => reply?.(answer(bytes)));
  }

  ask(subject: string, bytes: Uint8Array, timeout_ms: number): Promise<Uint8Array> {
    const { clock } = this.#world;
    return new Promise((resolve, reject) => {
      if (!this.#connected) {
        reject(new BusError("away", "the bus is away"));
        return;
      }
      const late = clock.after(timeout_ms, () =>
        this.#gate(() => reject(new BusError("late", `no answer within ${timeout_ms} ms`))),
      );
      const found = this.#deliver(subject, bytes, (answer) => {
        clock.cancel(late);
        resolve(answer);
      });
      if (found) return;
      clock.cancel(late);
      reject(new BusError("nobody", "nobody is there"));
    });
  }

  async settled(): Promise<void> {}

  onState(listener: (up: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Breaks or restores this client's own connection. */
  cut(cut: boolean): void {
    this.#cut = cut;
    this.serverChanged();
  }

  serverChanged(): void {
    const connected = this.#world.up && !this.#cut;
    if (connected === this.#connected) return;
    this.#connected = connected;
    this.#connection++;
    for (const listener of this.#listeners) this.#gate(() => listener(connected));
  }

  async close(): Promise<void> {
    this.cut(true);
    this.#world.forget(this);
    for (const subscribers of this.#world.subscribers.values()) {
      for (const subscriber of subscribers) {
        if (subscriber.owner === this) subscribers.delete(subscriber);
      }
    }
  }

  #subscribe(subject: string, take: Take): () => void {
    const { subscribers } = this.#world;
    const subscriber = { owner: this, take };
    const its = subscribers.get(subject) ?? new Set();
    subscribers.set(subject, its.add(subscriber));
    return () => its.delete(subscriber);
  }

  #deliver(
    subject: string,
    bytes: Uint8Array,
    reply: ((bytes: Uint8Array) => void) | undefined,
  ): boolean {
    if (!this.#connected) return false;
    let found = false;
    for (const { owner, take } of this.#world.subscribers.get(subject) ?? []) {
      if (!owner.#connected) continue;
      found = true;
      const back =
        reply === undefined
          ? undefined
          : (answer: Uint8Array) => owner.#carry(this, () => reply(answer));
      this.#carry(owner, () => take(bytes, back));
    }
    return found;
  }

  #carry(to: MemoryBus, arrive: () => void): void {
    const { clock } = this.#world;
    const mine = this.#connection;
    const its = to.#connection;
    const run = (): void => {
      if (this.#connection === mine && to.#connection === its) to.#gate(arrive);
    };
    const delay_ms = this.#world.delay_ms();
    const last_ms = this.#lastArrival_ms.get(to) ?? 0;
    if (delay_ms === 0 && last_ms === 0) {
      clock.defer(run);
      return;
    }
    const now_ms = clock.now_ms();
    const arrival_ms = Math.max(last_ms, now_ms + delay_ms);
    this.#lastArrival_ms.set(to, arrival_ms);
    clock.after(arrival_ms - now_ms, run);
  }
}
