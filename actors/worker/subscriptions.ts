/** Subscribers to this worker's load and to its cache events. */
import type { KvEvent } from "../../llm/blocks/kv-event.ts";
import type {
  ActorRef,
  KvEvents,
  KvSourceMessage,
  SubscribeKv,
  SubscribeLoad,
  WorkerLoad,
  WorkerNews,
} from "../../proto/index.ts";
import type { Context } from "../../runtime/kernel/context.ts";
import type { Message } from "../../runtime/kernel/message.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { refOf } from "../../runtime/remote/node.ts";
import type { Engine } from "../engine/engine.ts";
import { KvPublisher } from "./cache/kv-publisher.ts";
import { LoadPublisher } from "./load/load-publisher.ts";
import type { ProcessReports } from "./load/process-reports.ts";

type SubscriptionContext = Pick<
  Context<Message>,
  "clock" | "system" | "monitor" | "demonitor" | "reply"
>;

export class Subscriptions {
  readonly #ctx: SubscriptionContext;
  readonly #engine: Engine;
  /** Hears the engine's events beside the routers. */
  onKvEvent: (event: KvEvent) => void = () => {};
  readonly kv: KvPublisher;
  readonly load: LoadPublisher;

  /**
   * Listens to the engine's cache from here on. `reports`: gathers the messages of several workers
   * in one process.
   */
  constructor(
    ctx: SubscriptionContext,
    engine: Engine,
    load: () => WorkerLoad,
    reports: ProcessReports | undefined,
  ) {
    this.#ctx = ctx;
    this.#engine = engine;
    const { clock } = ctx;
    const { kv_events } = engine;
    const kv = new KvPublisher({
      clock,
      block_size: engine.describe().block_size,
      publishes: true,
      caches: kv_events !== undefined,
      reports,
    });
    kv_events?.onEvent((event) => {
      kv.publish(event);
      this.onKvEvent(event);
    });
    this.kv = kv;
    this.load = new LoadPublisher(clock, load, reports);
  }

  toLoad({ subscriber, subscription }: SubscribeLoad): void {
    if (subscriber === undefined) return;
    const ref = this.#refOf<WorkerLoad | WorkerNews>(subscriber);
    const old = this.load.subscribe(ref, this.#ctx.monitor(ref), subscription);
    if (old !== undefined) this.#ctx.demonitor(old);
  }

  onKv(message: KvSourceMessage): void {
    const { kv } = this;
    if (message.kind === "fetch_kv_events") this.#ctx.reply(kv.range(message.from));
    else if (message.kind === "fetch_kv_dump") this.#ctx.reply(kv.dumpPage(message));
    else if (message.kind === "clear_kv") this.#clearKv();
    else this.#toKv(message);
  }

  #clearKv(): void {
    const blocks = this.#engine.stats().cached_blocks;
    const cleared = this.#engine.clearCache?.() ?? false;
    this.#ctx.reply({ kind: "kv_cleared", cleared, blocks });
    this.load.changed();
  }

  #toKv({ subscriber, subscription }: SubscribeKv): void {
    if (subscriber === undefined) return;
    const ref = this.#refOf<KvEvents>(subscriber);
    const old = this.kv.subscribe(ref, subscription, this.#ctx.monitor(ref));
    if (old !== undefined) this.#ctx.demonitor(old);
    this.#ctx.reply(this.kv.subscribed());
  }

  #refOf<M extends Message>(wire: ActorRef): Ref<M> {
    return refOf<M>(this.#ctx.system, wire);
  }

  /** False: the monitor belongs to no subscriber. */
  subscriberGone(monitor: number): boolean {
    return this.load.unsubscribe(monitor) || this.kv.unsubscribe(monitor);
  }

  inspect() {
    const { load, kv } = this;
    return {
      subscribers: load.subscriber_count,
      kv_subscribers: kv.subscriber_count,
      kv_blocks: kv.blocks,
      kv_told: kv.told,
      kv_evicted: kv.evicted,
    };
  }

  stop(): void {
    this.load.stop();
    this.kv.stop();
  }
}
