/**
 * What two simulated machines share: a bus like NATS and a table of names like Redis, each of which
 * may be away for a while. Every process has its own connection, gated like all that reaches it.
 */
import type { Random } from "../../../runtime/capabilities.ts";
import type { Planes } from "../../../runtime/planes.ts";
import { MemoryTable, type SharedTable } from "../../../runtime/registry/registry-table.ts";
import type { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { type MemoryBus, MemoryBusWorld } from "../../../runtime/transport/memory-bus.ts";
import type { SimulatedProcess } from "./process.ts";

/** How long the clients take to connect again, at most. */
const comeBack_ms = 500;

export class SimulatedPlanes {
  readonly #clock: VirtualClock;
  readonly #delay_ms: () => number;
  readonly #bus: MemoryBusWorld;
  readonly #table: MemoryTable;
  readonly #clients = new Map<SimulatedProcess, MemoryBus>();

  constructor(clock: VirtualClock, random: Random, delay_ms_max: number, delay_ms: () => number) {
    this.#clock = clock;
    this.#delay_ms = delay_ms;
    this.#bus = new MemoryBusWorld(clock, random, { delay_ms_max });
    this.#table = new MemoryTable(clock);
  }

  /** As a root opens them. */
  open(process: SimulatedProcess): Planes {
    const bus = this.busOf(process);
    return {
      bus,
      table: this.#tableOf(process),
      ready: async () => {},
      close: async () => this.died(process),
    };
  }

  busOf(process: SimulatedProcess): MemoryBus {
    const client = this.#bus.client((run) => process.deliver(run));
    this.#clients.set(process, client);
    return client;
  }

  died(process: SimulatedProcess): void {
    void this.#clients.get(process)?.close();
    this.#clients.delete(process);
  }

  busDown(): void {
    this.#bus.down();
  }

  /** One process alone loses its connection, or has it again. */
  cut(process: SimulatedProcess | undefined, cut: boolean): void {
    if (process !== undefined) this.#clients.get(process)?.cut(cut);
  }

  tableDown(): void {
    this.#table.away = true;
  }

  tableBack(wiped: boolean): void {
    if (wiped) this.#table.wipe();
    this.#table.away = false;
  }

  busBack(): void {
    if (!this.#bus.up) this.#bus.comeBack(comeBack_ms);
  }

  heal(): void {
    this.busBack();
    this.tableBack(false);
    for (const client of this.#clients.values()) client.cut(false);
  }

  #tableOf(process: SimulatedProcess): SharedTable {
    const table = this.#table;
    const far = <T>(call: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        const back = (run: () => void) =>
          this.#clock.after(this.#delay_ms(), () => process.deliver(run));
        this.#clock.after(this.#delay_ms(), () => {
          call().then(
            (value) => back(() => resolve(value)),
            (error: unknown) => back(() => reject(error)),
          );
        });
      });
    return {
      name: table.name,
      exchange: (exchange) => far(() => table.exchange(exchange)),
      leave: (holder) => far(() => table.leave(holder)),
      join: (protocol) => far(() => table.join(protocol)),
      onBell: (listener) => table.onBell(() => process.deliver(listener)),
    };
  }
}
