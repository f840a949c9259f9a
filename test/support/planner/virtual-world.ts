/** A virtual connector's keys in a store, on a clock that stands still until it is moved. */
import { VirtualConnector } from "../../../actors/planner/connect/virtual.ts";
import { VirtualClient } from "../../../actors/planner/connect/virtual-client.ts";
import { type PlanKeys, storeKeys } from "../../../actors/planner/connect/virtual-keys.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";

export class VirtualWorld {
  readonly clock = new VirtualClock();
  readonly store = new MemoryStore();
  readonly keys: PlanKeys;
  reads = 0;
  /** What the planners told people. */
  readonly logged: string[] = [];

  constructor() {
    const keys = storeKeys(this.store, "dynamo");
    this.keys = {
      ...keys,
      read: (names) => {
        this.reads++;
        return keys.read(names);
      },
    };
  }

  planner(options: { readonly mode?: "disagg" | "agg"; readonly keys?: PlanKeys } = {}) {
    const { mode = "disagg", keys = this.keys } = options;
    const { clock, logged } = this;
    const log = {
      log: (_level: string, message: string, fields?: Readonly<Record<string, unknown>>) => {
        logged.push([message, fields?.["error"]].filter(Boolean).join(": "));
      },
    };
    return new VirtualConnector({ keys, clock, log, planner: "planner", mode });
  }

  client(): VirtualClient {
    return new VirtualClient({ keys: this.keys, clock: this.clock });
  }

  async key(name: string): Promise<string | undefined> {
    const value = await this.store.get(`/dynamo/planner/${name}`);
    return value && Buffer.from(value).toString();
  }

  async set(name: string, value: string): Promise<void> {
    await this.store.put(`/dynamo/planner/${name}`, Buffer.from(value));
  }

  dynamoKeys(): Promise<(string | undefined)[]> {
    const names = ["num_prefill_workers", "num_decode_workers", "decision_id"];
    return Promise.all([...names, "scaled_decision_id"].map((name) => this.key(name)));
  }

  async pass(ms: number): Promise<void> {
    for (let gone = 0; gone < ms; gone += 500) await this.clock.advance(500);
  }
}
