/**
 * The planes that machines of one cluster share: a bus and a table of names. The starter of a
 * process opens them (runtime/real/planes.ts, loaded only then), or a simulation.
 */
import { Actor, type Snapshot } from "./kernel/actor.ts";
import type { Message } from "./kernel/message.ts";
import type { SharedTable } from "./registry/registry-table.ts";
import type { RedisCalls } from "./store/redis-calls.ts";
import type { Bus } from "./transport/bus.ts";

export type PlaneUrls = { readonly nats: string; readonly redis: string };

export interface Planes {
  readonly bus: Bus;
  readonly table: SharedTable;
  /** What the limits of keys are counted in; without it each machine counts alone. */
  readonly redis?: RedisCalls;
  /** Rejects with one line that says which plane does not answer, and why. */
  ready(timeout_ms: number): Promise<void>;
  close(): Promise<void>;
}

/** `who`: the client's name in the servers' own monitoring. */
export type OpenPlanes = (urls: PlaneUrls, namespace: string, who: string) => Promise<Planes>;
/** For a process that leaves the names to its root. */
export type OpenBus = (urls: PlaneUrls, who: string) => Promise<Bus>;
/** For a process that keeps values of its own in Redis. */
export type OpenRedis = (urls: PlaneUrls, who: string) => Promise<RedisCalls>;

export type PlaneState = {
  readonly plane: "nats" | "redis";
  readonly up: boolean;
};

/** Prefix of all subjects and keys of one cluster. */
export const planePrefix = (namespace: string): string => `troupe.${namespace}`;

/** Shows the planes of a process to the inspector and the metrics. */
export class PlaneWatch extends Actor<Message> {
  readonly #read: () => readonly PlaneState[];
  readonly #bus: Bus;
  #ignore: (() => void) | undefined = undefined;
  #outages = 0;

  constructor(bus: Bus, read: () => readonly PlaneState[]) {
    super();
    this.#bus = bus;
    this.#read = read;
  }

  override init(): void {
    const { metrics } = this.ctx.system;
    for (const { plane } of this.#read()) {
      metrics
        .gauge("troupe_plane_up", "1 while the server that machines share answers.", { plane })
        .readWith(() => (this.#read().find((each) => each.plane === plane)?.up ? 1 : 0));
    }
    const { log } = this.ctx;
    this.#ignore = this.#bus.onState((up) => {
      if (!up) this.#outages++;
      const where = { nats: this.#bus.name };
      if (up) log.log("info", "NATS answers", where);
      else log.log("warn", "NATS is away; links to other machines wait", where);
    });
  }

  override receive(): void {}

  override release(): void {
    this.#ignore?.();
  }

  override inspect(): Snapshot {
    const states = this.#read().map(({ plane, up }) => [plane, up ? "up" : "away"]);
    return { ...Object.fromEntries(states), nats_server: this.#bus.name, outages: this.#outages };
  }
}
