/**
 * The worker actor: messages in, engine passes, batches out. `worker.ts` has the overview.
 *
 * Long because every message of a worker comes here, and the order of its start and end is here.
 */
import type {
  Accepted,
  ConsumerMessage,
  FetchBlob,
  Generate,
  LoadAdapter,
  Refused,
  UnloadAdapter,
  WorkerLoad,
  WorkerMessage,
} from "../../proto/index.ts";
import { Actor, type Down, type Snapshot } from "../../runtime/kernel/actor.ts";
import type { ReplyPort } from "../../runtime/kernel/ref.ts";
import { type BlockMeter, watchEventLoop } from "../../runtime/observe/event-loop.ts";
import { refOf, wireOf } from "../../runtime/remote/node.ts";
import { AUDIT_PERIOD_MS, OrphanWatch } from "../../runtime/supervision/orphan-watch.ts";
import type { Engine, EngineEvent } from "../engine/engine.ts";
import { workerKey } from "../names/names.ts";
import { type AdaptersTimer, WorkerAdapters } from "./adapters.ts";
import { Admission } from "./admission.ts";
import { exportAnswer } from "./answers/answer-spans.ts";
import { Answers, type AnswersTimer } from "./answers/answers.ts";
import { Arrivals } from "./answers/arrivals.ts";
import { fillingABlock, runCanary } from "./canary.ts";
import { ChangingRole } from "./changing-role.ts";
import { Draining, type DrainMessage } from "./draining.ts";
import { EmbedJobs, type EmbedMessage } from "./embed-jobs.ts";
import { EngineHealth, EngineStuckError, healthDefaults } from "./engine-health.ts";
import { EngineLoop, type LoopMessage } from "./engine-loop.ts";
import type { Came } from "./kv/onboard.ts";
import { TierMetrics } from "./kv/tier-metrics.ts";
import { NO_HAND_OFF, type TiersTimer, WorkerTiers } from "./kv/tiers.ts";
import { loadOf } from "./load/worker-load.ts";
import { Preparations, type PreparedMessage } from "./preparations.ts";
import { Probation, TRIAL_MS } from "./probation.ts";
import { refused } from "./refusal.ts";
import { Subscriptions } from "./subscriptions.ts";
import { workerDetail } from "./worker-detail.ts";
import { WorkerMetrics } from "./worker-metrics.ts";
import { keepDefaults, type WorkerModel, type WorkerOptions } from "./worker-options.ts";

type Own =
  | LoopMessage
  | AnswersTimer
  | { readonly kind: "engine_look" | "audit" }
  | EmbedMessage
  | DrainMessage
  | AdaptersTimer
  | PreparedMessage
  | TiersTimer
  | { readonly kind: "trial"; readonly request: string };

const ANSWERS_MAX = 4_096;
const ENGINE_LOOK_MS = 1_000;
/** Time until a batch is tried again after a full outbound queue. */
const RESEND_MS = 5;

export class WorkerActor extends Actor<WorkerMessage | Own> {
  readonly #options: WorkerOptions;
  #engine!: Engine;
  #model!: WorkerModel;
  #subscriptions!: Subscriptions;
  #health!: EngineHealth;
  #stuck = false;
  #meter!: BlockMeter;
  #metrics!: WorkerMetrics;
  #orphans!: OrphanWatch;
  readonly #answers: Answers;
  readonly #embeds: EmbedJobs;
  readonly #adapters: WorkerAdapters;
  readonly #probation: Probation;
  readonly #preparations: Preparations;
  /** Undefined: blocks stay in the engine. */
  #tiers: WorkerTiers | undefined;
  #tier_metrics: TierMetrics | undefined;
  readonly #admission: Admission;
  readonly #arrivals: Arrivals;
  #ready = false;
  #registered = false;
  #last_handle = 0;
  readonly #loop: EngineLoop;
  readonly #drain: Draining;
  readonly #role: ChangingRole;

  constructor(options: WorkerOptions) {
    super();
    this.#options = options;
    const arrivals = new Arrivals({
      now_ms: () => this.ctx.clock.now_ms(),
      trace: () => this.ctx.trace,
    });
    this.#arrivals = arrivals;
    this.#probation = new Probation({
      arrivals,
      admit: (generate) => this.#admit(generate),
      later: (request) => this.ctx.after(TRIAL_MS, { kind: "trial", request }),
      tell: (consumer, batch) => refOf<ConsumerMessage>(this.ctx.system, consumer).tell(batch),
    });
    this.#preparations = new Preparations(
      () => this.#engine,
      (message) => {
        // The mailbox may be full.
        if (!this.ctx.self.tell(message)) this.ctx.after(RESEND_MS, message);
      },
      arrivals,
    );
    this.#answers = new Answers({
      ctx: () => this.ctx,
      keep: { ...keepDefaults, ...options.keep },
      cancel: (handles) => this.#cancelAll(handles),
      ended: (answer, duration_ms) => {
        exportAnswer(this.ctx.capabilities, options.worker, answer);
        this.#answerEnded(duration_ms);
      },
    });
    this.#embeds = new EmbedJobs({
      ctx: () => this.ctx,
      engine: () => this.#engine,
      nextHandle: () => this.#nextHandle(),
      cancel: (handles) => this.#cancelAll(handles),
      wake: () => this.#loop.wake(),
      changed: () => this.#embedsChanged(),
    });
    this.#adapters = new WorkerAdapters({
      ctx: () => this.ctx,
      engine: () => this.#engine,
      model: () => this.#model.card.name,
      keeper: options.adapters,
      changed: () => this.#register(),
      cut: (adapter) => this.#answers.endAdapter(adapter),
    });
    this.#admission = new Admission({
      engine: () => this.#engine,
      model: () => this.#model.card.name,
      hasAdapter: (name) => this.#adapters.has(name),
      ...{ answers: this.#answers, embeds: this.#embeds, probation: this.#probation, arrivals },
      answers_max: options.answers_max ?? ANSWERS_MAX,
      isDraining: () => this.#drain.active,
      nextHandle: () => this.#nextHandle(),
      cancel: (handles) => this.#cancelAll(handles),
    });
    this.#loop = new EngineLoop({
      ctx: () => this.ctx,
      engine: () => this.#engine,
      // The engine's queue may have been full.
      prepare: () => this.#embeds.fill(),
      record: (events) => this.#record(events),
      flush: (seen) => this.#passed(seen),
    });
    this.#drain = new Draining({
      ctx: () => this.ctx,
      unfinished: () => this.#answers.count,
      isIdle: () => this.#isIdle,
      begun: () => this.#takeNoMore(),
      handOver: (left_ms) => this.#answers.handOver(left_ms),
    });
    this.#role = new ChangingRole(options.role, {
      ctx: () => this.ctx,
      drain: () => this.#drain,
      changed: (role) => this.#metrics.roleIs(role),
      register: () => this.#register(),
    });
  }

  override async init(): Promise<void> {
    const { worker, progress } = this.#options;
    progress({ stage: "load", fraction: 0, detail: "" });
    this.#engine = await this.#options.open((fraction, detail) =>
      progress({ stage: "load", fraction, detail }),
    );
    const { canary, shared } = this.#options;
    const load = () => this.#loadNow();
    // Before anything is computed, so that the events describe all of the cache.
    this.#subscriptions = new Subscriptions(this.ctx, this.#engine, load, shared?.reports);
    this.#model = await this.#options.describe(this.#engine.describe());
    this.#openTiers();
    progress({ stage: "canary", fraction: 0, detail: "" });
    const first = this.#tiers ? fillingABlock(canary, this.#engine.describe()) : canary;
    await runCanary(this.#engine, this.ctx.clock, first);
    this.#engine.onWake(() => this.#loop.engineWoke());
    await this.#adapters.follow();
    progress({ stage: "register", fraction: 0, detail: "" });
    if (this.#tiers === undefined) {
      this.#registered = true;
      await this.#register();
    }
    const { health = shared?.health ?? healthDefaults } = this.#options;
    const worked_ms = shared?.workedMs(this.ctx.random) ?? this.ctx.clock.now_ms();
    this.#health = new EngineHealth(this.#engine, canary, health, worked_ms);
    this.ctx.every(shared?.look_ms ?? ENGINE_LOOK_MS, { kind: "engine_look" });
    // Measured from here on: a block while the model loads delays no request.
    this.#meter = shared?.meter ?? watchEventLoop(this.ctx.clock);
    const drafts = () => this.#engine.draftCounts?.() ?? [];
    const elsewhere = () => this.#tiers?.elsewhere ?? 0;
    const gauges = { inflight: () => this.#answers.count, load, elsewhere, drafts };
    const [{ name }, { metrics }] = [this.#model.card, this.ctx.system];
    this.#metrics = new WorkerMetrics(metrics, worker, name, this.#role.now, gauges);
    this.#orphans = new OrphanWatch(this.ctx.system.metrics, { of: "answers", worker });
    this.ctx.every(shared?.look_ms ?? AUDIT_PERIOD_MS, { kind: "audit" });
    this.#ready = true;
    this.#tiers?.start();
    progress({ stage: "ready", fraction: 1, detail: "" });
  }

  #openTiers(): void {
    const { tiers: options, worker } = this.#options;
    const { blocks } = this.#engine;
    if (options === undefined || blocks === undefined) return;
    const { kv } = this.#subscriptions;
    const labels = { worker, model: this.#model.card.name };
    this.#tier_metrics = new TierMetrics(this.ctx.system.metrics, labels);
    const tiers = new WorkerTiers({
      ...{ ctx: () => this.ctx, engine: this.#engine, blocks, options, arrivals: this.#arrivals },
      metrics: this.#tier_metrics,
      name: () => workerKey(worker, wireOf(this.ctx.system, this.ctx.self)),
      cachedRow: (hashes) => kv.cachedRow(hashes),
      publish: (event) => kv.publish(event),
      ready: (generate, port, came) => this.#place(generate, port, came),
      isHere: (request) => this.#answers.holds(request),
      settled: () => this.#registerNow(),
      wake: () => this.#loop.wake(),
    });
    this.#subscriptions.onKvEvent = (event) => tiers.onEvent(event);
    this.#tiers = tiers;
  }

  /** What others know of this worker; it says nothing before it is ready, and none in a drain. */
  async #register(): Promise<void> {
    if (!this.#registered || this.#drain.active) return;
    const { worker, registry, labels = [], taints = [] } = this.#options;
    const role = this.#role.now;
    const ref = wireOf(this.ctx.system, this.ctx.self);
    const { card } = this.#model;
    const adapters = { items: [...this.#adapters.list] };
    const marks = { labels: [...labels], taints: [...taints] };
    const record = { worker, role, ref, card, ...marks, ...this.#tiers?.record() };
    await registry.register(adapters.items.length === 0 ? record : { ...record, adapters });
  }

  #registerNow(): void {
    this.#registered = true;
    void this.#register().catch((error: unknown) => {
      this.ctx.log.log("warn", "the registry does not hear this worker", { error: String(error) });
    });
  }

  override receive(message: WorkerMessage | Own): void {
    switch (message.kind) {
      case "generate":
        this.#onGenerate(message);
        break;
      case "credit":
        this.#answers.credit(message);
        this.#flush();
        break;
      case "engine_pass":
        this.#loop.pass();
        break;
      case "engine_look":
        this.#lookAtEngine();
        break;
      case "cancel":
        this.#probation.drop(message.request);
        this.#preparations.drop(message.request);
        this.#tiers?.drop(message.request);
        this.#cancelAll(this.#answers.cancel(message));
        this.#embeds.cancel(message.request);
        this.#flush();
        break;
      case "detach":
        this.#answers.detach(message);
        this.#flush();
        break;
      case "find_answer":
        this.ctx.reply(this.#answers.find(message));
        break;
      case "attach":
        this.ctx.reply(this.#answers.attach(message));
        // The reply goes before the first batch.
        this.#loop.passAfterTick();
        break;
      case "claim":
        this.ctx.reply(this.#answers.claim(message));
        break;
      case "fetch_blob":
        this.#onFetchBlob(message);
        break;
      case "subscribe_load":
        this.#subscriptions.toLoad(message);
        break;
      case "subscribe_kv":
      case "fetch_kv_events":
      case "fetch_kv_dump":
      case "clear_kv":
        this.#subscriptions.onKv(message);
        break;
      case "kv_arrived":
      case "kv_tier_news":
      case "hand_off_is":
      case "first_drawn":
      case "prefetch_kv":
        this.#tiers?.hear(message);
        break;
      case "load_adapter":
      case "unload_adapter":
        this.#onAdapter(message);
        break;
      case "drain":
        this.#drain.start(message.budget_ms);
        break;
      case "probe":
        this.#onProbe(message.request);
        break;
      default:
        this.#onOwn(message);
    }
  }

  /** Embeddings, messages that come seldom, and those of timers. */
  #onOwn(message: WorkerMessage | Own): void {
    switch (message.kind) {
      case "embed": {
        const refusal = this.#admission.startEmbed(message);
        if (refusal !== undefined) this.ctx.reply(refusal);
        break;
      }
      case "change_role":
        this.#role.change(message);
        break;
      case "answer_late":
      case "grace_over":
      case "sweep_kept":
        this.#answers.onTimer(message);
        break;
      case "follow_again":
      case "adapter_late":
        this.#adapters.onTimer(message);
        break;
      case "embed_late":
        this.#embeds.late(message.number);
        break;
      case "audit":
        this.#orphans.look(this.#unowned(), this.ctx.clock.now_ms());
        this.#answers.sweepLast();
        break;
      case "drain_look":
      case "drain_late":
        this.#drain.onTimer(message);
        break;
      case "trial":
        this.#probation.start(message.request);
        break;
      case "kv_open":
      case "kv_resend":
      case "kv_flush":
      case "kv_waited":
      case "kv_late":
        this.#tiers?.onTimer(message);
        break;
      case "prepared":
        this.#onPrepared(message);
    }
  }

  #onGenerate(message: Generate): void {
    if (message.hand_off?.send && !this.#drain.active && !this.#tiers?.send(message)) {
      this.ctx.reply(refused(message.request, NO_HAND_OFF));
      return;
    }
    const refusal = this.#preparations.start(message, () => this.ctx.replyLater());
    if (refusal === "held") {
      this.#tiers?.ahead(message);
      return;
    }
    if (refusal !== undefined) {
      this.#metrics.refused(refusal.code);
      this.ctx.reply(refused(message.request, refusal));
    } else if (message.alone && !this.#probation.full) {
      this.#probation.hold({ generate: message, port: this.ctx.replyLater() });
    } else if (!this.#tiers?.hold(message, () => this.ctx.replyLater())) {
      this.ctx.reply(this.#admit(message));
      this.#tiers?.look();
    }
  }

  /** Everything that the request needs is here. */
  #place(generate: Generate, port: ReplyPort, came?: Came): void {
    port.reply(this.#admit(generate, came));
    this.#tiers?.look();
  }

  /** A request's constraint is compiled, or cannot be. */
  #onPrepared(message: PreparedMessage): void {
    const held = this.#preparations.take(message);
    if (held === undefined) return;
    const { generate, port } = held;
    if (message.refusal !== undefined) {
      this.#metrics.refused(message.refusal.code);
      port.reply(refused(generate.request, message.refusal));
    } else if (generate.alone && !this.#probation.full) {
      this.#probation.hold({ generate, port });
    } else if (!this.#tiers?.hold(generate, () => port)) {
      this.#place(generate, port);
    }
  }

  #onAdapter(message: LoadAdapter | UnloadAdapter): void {
    const port = this.ctx.replyLater();
    const work =
      message.kind === "load_adapter"
        ? this.#adapters.load(message)
        : this.#adapters.unload(message);
    void work.then((answer) => port.reply(answer));
  }

  #admit(message: Generate, came = this.#tiers?.nothingCame()): Accepted | Refused {
    const answer = this.#admission.admit(message, came);
    if (answer.kind === "refused") {
      this.#metrics.refused(answer.code);
      return answer;
    }
    this.#metrics.taken();
    this.#loop.wake();
    this.#subscriptions.load.changed();
    return answer;
  }

  /** The consumer of an answer, or a subscriber to our load or cache events, is gone. */
  override down(signal: Down): void {
    if (this.#subscriptions.subscriberGone(signal.monitor)) return;
    if (this.#adapters.keeperGone(signal.monitor)) return;
    if (this.#tiers?.keeperGone(signal.monitor)) return;
    if (this.#embeds.askerGone(signal.monitor)) return;
    this.#answers.consumerGone(signal.monitor);
    this.#flush();
  }

  /** An answer is not live any more. */
  #answerEnded(duration_ms: number | undefined): void {
    if (duration_ms !== undefined) this.#metrics.ended(duration_ms);
    this.#subscriptions.load.changed();
    this.#drain.answerEnded();
  }

  #embedsChanged(): void {
    this.#subscriptions.load.changed();
    this.#drain.endIfIdle();
  }

  /** Stops these handles. The engine does so within one step, which follows at once. */
  #cancelAll(handles: readonly number[]): void {
    if (handles.length === 0) return;
    for (const handle of handles) this.#engine.cancel(handle);
    this.#loop.wake();
  }

  /** Answers without an owner, and engine work that belongs to no answer. */
  *#unowned(): Iterable<string> {
    yield* this.#answers.unowned();
    const { running, waiting } = this.#engine.stats();
    const owned = this.#answers.handle_count + this.#embeds.running + Number(this.#health.probing);
    if (running + waiting > owned) yield "engine";
  }

  get #isIdle(): boolean {
    return this.#answers.count === 0 && this.#embeds.isIdle;
  }

  #onProbe(request: string): void {
    if (this.#tiers?.holds(request)) {
      // It waits for blocks, not for the engine, which may have nothing to do.
      const passes = this.ctx.clock.now_ms();
      this.ctx.reply({ kind: "probed", known: true, sent: 0, passes, waiting: 0 });
      return;
    }
    const waits = this.#probation.holds(request) || this.#preparations.holds(request);
    const sent = waits ? 0 : this.#answers.sentTo(request);
    const { steps_total: passes, waiting } = this.#engine.stats();
    this.ctx.reply({ kind: "probed", known: sent !== undefined, sent: sent ?? 0, passes, waiting });
  }

  #onFetchBlob({ hash }: FetchBlob): void {
    const bytes = this.#model.blobs.get(hash);
    const found = bytes !== undefined;
    this.ctx.reply({ kind: "blob", hash, found, bytes: bytes ?? new Uint8Array(0) });
  }

  /** The drain begins. */
  #takeNoMore(): void {
    // Not awaited: a router that has not heard yet gets the refusal "draining".
    void this.#options.registry.deregister(this.#options.worker).catch((error: unknown) => {
      this.ctx.log.log("warn", "could not leave the registry", { error: String(error) });
    });
    for (const { generate, port } of this.#probation.takeAll()) port.reply(this.#admit(generate));
  }

  #lookAtEngine(): void {
    try {
      if (this.#health.look(this.ctx.clock.now_ms())) this.#loop.wake();
    } catch (error) {
      this.#stuck = error instanceof EngineStuckError;
      throw error;
    }
  }

  /** True: an answer's first token is among the events, for which a client waits. */
  #record(events: readonly EngineEvent[]): boolean {
    let urgent = false;
    for (const event of events) {
      if (this.#health.took(event)) continue;
      if (this.#probation.busy) this.#probation.onEvent(event.handle);
      if (event.kind === "embedding" || this.#embeds.has(event.handle)) {
        this.#embeds.record(event);
      } else {
        this.#answers.record(event);
        if (event.kind === "tokens" && event.first_index === 0) urgent = true;
      }
    }
    return urgent;
  }

  /** A pass of the engine is over; it had `seen` events. */
  #passed(seen: number): void {
    this.#flush();
    this.#tiers?.passed();
    // After the flush, so that the last suspect's first token has left before the next trial.
    this.#probation.tryNext();
    if (seen > 0) this.#subscriptions.load.changed();
  }

  /** Sends all batches that have credit, and ends answers that are delivered whole. */
  #flush(): void {
    this.#answers.flush();
    if (this.#answers.has_unsent) this.#loop.passIn(RESEND_MS);
  }

  #nextHandle(): number {
    do this.#last_handle = (this.#last_handle % 0xffff_fffe) + 1;
    while (this.#answers.hasHandle(this.#last_handle) || this.#embeds.has(this.#last_handle));
    return this.#last_handle;
  }

  #loadNow(): WorkerLoad {
    const held = this.#preparations.waiting + (this.#tiers?.waiting ?? 0);
    const waiting = this.#embeds.waiting + this.#probation.waiting + held;
    return loadOf(this.#options.worker, this.#engine, waiting, this.#meter.block_ms_max());
  }

  override async terminate(): Promise<void> {
    // A stuck engine would never close; the end of its process ends it.
    if (!this.#stuck) await this.#engine.close();
  }

  /** Closes the engine, after a kill or a failed start too: it holds gigabytes. */
  override release(): void {
    if (this.#options.shared === undefined) this.#meter?.stop();
    this.#metrics?.remove();
    this.#tier_metrics?.remove();
    // Else the process ends with it, and with the engine's thread, which may still copy.
    if (this.#options.shared !== undefined) this.#tiers?.end();
    this.#orphans?.remove();
    this.#subscriptions?.stop();
    if (!this.#stuck) void this.#engine?.close();
  }

  override detail(name: string, about: string): Snapshot | undefined {
    const { worker } = this.#options;
    if (!this.#ready || (about !== "" && about !== worker)) return undefined;
    const model = this.#model.card.name;
    const { kv } = this.#subscriptions;
    return workerDetail(name, { worker, model, kv, engine: this.#engine, tiers: this.#tiers });
  }

  override inspect(): Snapshot {
    if (!this.#ready) return { ready: false };
    const { kind: _, ...load } = this.#loadNow();
    return {
      ready: true,
      model: this.#model.card.name,
      answers: this.#answers.count,
      ...this.#answers.inspectKept(),
      orphans: this.#orphans.count,
      embeddings: this.#embeds.running + this.#embeds.waiting,
      on_trial: this.#probation.waiting + Number(this.#probation.busy),
      role: this.#role.now,
      draining: this.#drain.active,
      ...(this.#tiers === undefined ? {} : { kv_tiers: this.#tiers.inspect() }),
      ...this.#subscriptions.inspect(),
      canaries_total: this.#health.canaries_total,
      probing: this.#health.probing,
      block_size: this.#model.card.block_size,
      ...load,
    };
  }
}
