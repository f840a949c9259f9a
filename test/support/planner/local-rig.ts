/** The local connector over the real pool, whose workforce is made up: it obeys, waits or fails. */
import type { Connector } from "../../../actors/planner/connect/connector.ts";
import { LocalConnector } from "../../../actors/planner/connect/local.ts";
import { ChangeBook, WorkerPool, type Workforce } from "../../../actors/pool/pool.ts";
import type {
  AddWorkers,
  ChangeRole,
  Pool,
  PoolMessage,
  RetireWorkers,
  WorkerRole,
  WorkersAdded,
  WorkersRetired,
} from "../../../proto/index.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { createSystem } from "../../../runtime/kernel/system.ts";
import { realCapabilities } from "../../../runtime/real/capabilities.ts";
import { type ConnectorRig, model } from "./connector-rig.ts";

type Hand = { role: WorkerRole; state: "starting" | "serving" | "retiring" };
type Mood =
  | { readonly kind: "obeys" | "ignores" }
  | { readonly kind: "fails"; readonly why: string };

class Hands implements Workforce {
  readonly hands = new Map<string, Hand>();
  readonly #book = new ChangeBook();
  #mood: Mood = { kind: "ignores" };
  #woken: (() => void)[] = [];
  #made = 0;

  set mood(mood: Mood) {
    this.#mood = mood;
    for (const wake of this.#woken.splice(0)) wake();
  }

  add(change: AddWorkers): Promise<WorkersAdded> {
    const { change: name, epoch, count } = change;
    const begun = this.#book.once({ name: `add ${name}`, epoch, about: model, asked: count }, () =>
      this.#add(change),
    );
    const none = { kind: "workers_added", change: name, workers: [], failed: [] } as const;
    return begun ?? Promise.resolve({ ...none, refused: `epoch ${epoch} is over` });
  }

  retire(change: RetireWorkers): Promise<WorkersRetired> {
    const { change: name, epoch, workers } = change;
    const named = { name: `retire ${name}`, epoch, about: model, asked: workers.length };
    const begun = this.#book.once(named, () => this.#retire(change));
    const none = { kind: "workers_retired", change: name, retired: [], failed: [] } as const;
    return begun ?? Promise.resolve({ ...none, refused: `epoch ${epoch} is over` });
  }

  pool({ change, epoch = 0, model: about = "" }: Parameters<Workforce["pool"]>[0] = {}): Pool {
    if (epoch > 0) this.#book.raise(about, epoch);
    const workers = [...this.hands].map(([worker, { role, state }]) => {
      return { worker, process: worker, model, role, state, added: true, state_ms: 0, change: "" };
    });
    const asked = this.#book.asked(`add ${change}`) || this.#book.asked(`retire ${change}`);
    const { epoch: highest } = this.#book;
    const rest = { workers, models: [model], asked, cores: 4, up_ms: 1e9, pairs: true };
    return { kind: "pool", machine: "here", epoch: highest, ...rest };
  }

  async #add({ change, count, role = "aggregated" }: AddWorkers): Promise<WorkersAdded> {
    const names = Array.from({ length: count }, () => `worker-${this.#made++}`);
    for (const name of names) this.hands.set(name, { role, state: "starting" });
    const workers: string[] = [];
    const failed: { worker: string; why: string }[] = [];
    for (const worker of names) {
      const why = await this.#turn(() => this.hands.get(worker)?.state !== "starting");
      const hand = this.hands.get(worker);
      if (why === undefined && hand?.state === "starting") {
        hand.state = "serving";
        workers.push(worker);
        continue;
      }
      if (hand?.state === "starting") this.hands.delete(worker);
      failed.push({ worker, why: why ?? "it was taken back" });
    }
    return { kind: "workers_added", change, workers, failed, refused: "" };
  }

  async #retire({ change, workers }: RetireWorkers): Promise<WorkersRetired> {
    for (const worker of workers) {
      const hand = this.hands.get(worker);
      if (hand !== undefined) hand.state = "retiring";
    }
    await this.#turn(() => false);
    const retired = workers.map((worker) => {
      const role = this.hands.get(worker)?.role ?? "aggregated";
      this.hands.delete(worker);
      return { worker, model, role, finished: 0, unfinished: 0 };
    });
    return { kind: "workers_retired", change, retired, failed: [], refused: "" };
  }

  /** Waits for a mood in which something happens; text: it fails. */
  async #turn(over: () => boolean): Promise<string | undefined> {
    while (this.#mood.kind === "ignores" && !over()) {
      await new Promise<void>((resolve) => this.#woken.push(resolve));
    }
    return this.#mood.kind === "fails" ? this.#mood.why : undefined;
  }
}

class HandActor extends Actor<ChangeRole> {
  readonly #hand: Hand;

  constructor(hand: Hand) {
    super();
    this.#hand = hand;
  }

  override receive({ role }: ChangeRole): void {
    this.#hand.role = role;
    this.ctx.reply({ kind: "role_changed", role, why: "" });
  }
}

export function localRig(): ConnectorRig {
  const system = createSystem({
    node: "here",
    capabilities: realCapabilities({ log_level: "error", log_fields: {} }),
  });
  const hands = new Hands();
  const pool = system.spawn(() => new WorkerPool(hands), { name: "pool" }) as Ref<PoolMessage>;
  const again = (): Connector =>
    new LocalConnector(system, {
      pools: () => [pool],
      worker: (name) => {
        const hand = hands.hands.get(name);
        return hand && (system.spawn(() => new HandActor(hand), { name }) as Ref<ChangeRole>);
      },
      roleOf: (name) => hands.hands.get(name)?.role,
      start_ms: 10_000,
      drain_ms: 10_000,
    });
  return {
    connector: again(),
    again,
    obey: () => {
      hands.mood = { kind: "obeys" };
    },
    ignore: () => {
      hands.mood = { kind: "ignores" };
    },
    refuse: (why) => {
      hands.mood = { kind: "fails", why };
    },
    stop: async () => {
      hands.mood = { kind: "obeys" };
      await system.shutdown();
    },
  };
}
