/** The worker: messages in, engine passes, batches out. Its face says what for. */
import type {
  Accepted,
  ConsumerMessage,
  Drain,
  Embed,
  FetchBlob,
  Generate,
  KvEvents,
  Refused,
  SubscribeKv,
  SubscribeLoad,
  WorkerLoad,
  WorkerMessage,
  WorkerNews,
} from "../../proto/index.ts";
import type { Timer } from "../../runtime/capabilities.ts";
import { Actor, type Down, type Snapshot } from "../../runtime/kernel/actor.ts";
import type { ReplyPort } from "../../runtime/kernel/ref.ts";
import { type BlockMeter, watchEventLoop } from "../../runtime/observe/event-loop.ts";
import { refOf, wireOf } from "../../runtime/remote/node.ts";
import { AUDIT_PERIOD_MS, OrphanWatch } from "../../runtime/supervision/orphan-watch.ts";
import type { Engine, EngineEvent } from "../engine/engine.ts";
import { Answers, type AnswersTimer } from "./answers/answers.ts";
import { KvPublisher } from "./cache/kv-publisher.ts";
import { runCanary } from "./canary.ts";
import { HAND_OVER_AGAIN_MS } from "./draining.ts";
import { EmbedJobs, type EmbedMessage } from "./embed-jobs.ts";
import { EngineHealth, EngineStuckError, healthDefaults } from "./engine-health.ts";
import { engineRequests, isWellFormed } from "./engine-request.ts";
import { LoadPublisher } from "./load/load-publisher.ts";
import { loadOf } from "./load/worker-load.ts";
import { Probation, TRIAL_MS } from "./probation.ts";
import { WorkerMetrics } from "./worker-metrics.ts";
import { keepDefaults, type WorkerModel, type WorkerOptions } from "./worker-options.ts";

type Own =
  | { readonly kind: "engine_pass" }
  | AnswersTimer
  | { readonly kind: "engine_look" }
  | EmbedMessage
  | { readonly kind: "audit" }
  | { readonly kind: "drain_look" }
  | { readonly kind: "trial"; readonly request: string }
  | { readonly kind: "drain_late" };

type Refusal = { readonly code: string; readonly message: string };

function refused(request: string, { code, message }: Refusal): Refused {
  return { kind: "refused", request, code, message, retry_after_ms: 0 };
}

/** More are fetched in the next pass, so that messages get their turn in between. */
const EVENTS_A_PASS = 4_096;
/**
 * An engine without delay is stepped for so long, or so often, before its tokens are sent: each
 * batch costs its receiver a message and its client a write, whatever number of tokens is in it.
 * A step that takes longer than this, as those of real models do, is sent at once.
 */
const GATHER_MS = 0.5;
const GATHER_STEPS = 8;
const ENGINE_LOOK_MS = 1_000;
/** How soon a batch that a full outbound queue refused is tried again. */
const RESEND_MS = 5;

export class WorkerActor extends Actor<WorkerMessage | Own> {
  readonly #options: WorkerOptions;
  #engine!: Engine;
  #model!: WorkerModel;
  #load!: LoadPublisher;
  #kv!: KvPublisher;
  #health!: EngineHealth;
  #stuck = false;
  #meter!: BlockMeter;
  #metrics!: WorkerMetrics;
  #orphans!: OrphanWatch;
  readonly #answers: Answers;
  readonly #embeds: EmbedJobs;
  readonly #probation: Probation;
  #ready = false;
  #last_handle = 0;
  #stepping = false;
  #pass_queued = false;
  #pass_timer: Timer | undefined;
  /** When `pass_timer` fires. */
  #pass_due_ms = 0;
  /** Set while draining: who asked, how many answers ended since, when it has to be over. */
  #drain: { readonly ports: ReplyPort[]; finished: number; until_ms: number } | undefined;

  constructor(options: WorkerOptions) {
    super();
    this.#options = options;
    this.#probation = new Probation({
      admit: (generate) => this.#answerTo(generate),
      later: (request) => this.ctx.after(TRIAL_MS, { kind: "trial", request }),
      tell: (consumer, batch) => refOf<ConsumerMessage>(this.ctx.system, consumer).tell(batch),
    });
    this.#answers = new Answers({
      ctx: () => this.ctx,
      keep: { ...keepDefaults, ...options.keep },
      cancel: (handles) => this.#cancelAll(handles),
      ended: (duration_ms) => this.#answerEnded(duration_ms),
    });
    this.#embeds = new EmbedJobs({
      ctx: () => this.ctx,
      engine: () => this.#engine,
      nextHandle: () => this.#nextHandle(),
      cancel: (handles) => this.#cancelAll(handles),
      wake: () => this.#wake(),
      changed: () => this.#embedsChanged(),
    });
  }

  override async init(): Promise<void> {
    const { worker, role, progress, registry, labels = [], taints = [] } = this.#options;
    progress({ stage: "load", fraction: 0, detail: "" });
    this.#engine = await this.#options.open((fraction, detail) =>
      progress({ stage: "load", fraction, detail }),
    );
    // Before anything is computed: what is published is all of the cache.
    this.#kv = this.#publishCache();
    this.#model = await this.#options.describe(this.#engine.describe());
    progress({ stage: "canary", fraction: 0, detail: "" });
    await runCanary(this.#engine, this.ctx.clock, this.#options.canary);
    const { canary, shared } = this.#options;
    this.#load = new LoadPublisher(this.ctx.clock, () => this.#loadNow(), shared?.reports);
    this.#engine.onWake(() => {
      // A stepped engine calls from within its step: the pass that made it polls anyway.
      if (!this.#stepping) this.#wake();
    });
    progress({ stage: "register", fraction: 0, detail: "" });
    const ref = wireOf(this.ctx.system, this.ctx.self);
    const { card } = this.#model;
    await registry.register({
      worker,
      role,
      ref,
      card,
      labels: [...labels],
      taints: [...taints],
    });
    const { health = shared?.health ?? healthDefaults } = this.#options;
    const worked_ms = shared?.workedMs(this.ctx.random) ?? this.ctx.clock.now_ms();
    this.#health = new EngineHealth(this.#engine, canary, health, worked_ms);
    this.ctx.every(shared?.look_ms ?? ENGINE_LOOK_MS, { kind: "engine_look" });
    // From here on, since loading a model may block and harms nobody.
    this.#meter = shared?.meter ?? watchEventLoop(this.ctx.clock);
    this.#metrics = new WorkerMetrics(this.ctx.system.metrics, worker, this.#model.card.name, {
      inflight: () => this.#answers.count,
      event_loop_block_ms_max: () => this.#meter.block_ms_max(),
    });
    this.#orphans = new OrphanWatch(this.ctx.system.metrics, { of: "answers", worker });
    this.ctx.every(shared?.look_ms ?? AUDIT_PERIOD_MS, { kind: "audit" });
    this.#ready = true;
    progress({ stage: "ready", fraction: 1, detail: "" });
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
        this.#pass_queued = false;
        if (this.#pass_timer !== undefined) this.ctx.cancel(this.#pass_timer);
        this.#pass_timer = undefined;
        this.#pass();
        break;
      case "engine_look":
        this.#lookAtEngine();
        break;
      case "cancel":
        this.#probation.drop(message.request);
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
        this.#passAfterTick();
        break;
      case "claim":
        this.ctx.reply(this.#answers.claim(message));
        break;
      case "embed": {
        const refusal = this.#startEmbed(message);
        if (refusal !== undefined) this.ctx.reply(refusal);
        break;
      }
      case "fetch_blob":
        this.#onFetchBlob(message);
        break;
      case "subscribe_load":
        this.#onSubscribeLoad(message);
        break;
      case "subscribe_kv":
        this.#onSubscribeKv(message);
        break;
      case "fetch_kv_events":
        this.ctx.reply(this.#kv.range(message.from));
        break;
      case "fetch_kv_dump":
        this.ctx.reply(this.#kv.dumpPage(message));
        break;
      case "drain":
        this.#onDrain(message);
        break;
      case "probe":
        this.#onProbe(message.request);
        break;
      default:
        this.#onOwn(message);
    }
  }

  /** The timers of its answers, its embeddings and its end. */
  #onOwn(message: WorkerMessage | Own): void {
    switch (message.kind) {
      case "answer_late":
        this.#answers.late(message.request);
        break;
      case "grace_over":
        this.#answers.graceOver(message.request);
        break;
      case "sweep_kept":
        this.#answers.sweep();
        break;
      case "embed_late":
        this.#embeds.late(message.number);
        break;
      case "audit":
        this.#orphans.look(this.#unowned(), this.ctx.clock.now_ms());
        this.#answers.sweepLast();
        break;
      case "drain_look":
        this.#handOver();
        break;
      case "drain_late":
        this.#endDrain();
        break;
      case "trial":
        this.#probation.start(message.request);
        break;
    }
  }

  #onGenerate(message: Generate): void {
    if (message.alone && !this.#probation.full) {
      this.#probation.hold({ generate: message, port: this.ctx.replyLater() });
      return;
    }
    this.ctx.reply(this.#answerTo(message));
  }

  #answerTo(message: Generate): Accepted | Refused {
    const answer = this.#admit(message);
    if (answer.kind === "accepted") this.#metrics.taken();
    else this.#metrics.refused(answer.code);
    return answer;
  }

  #admit(generate: Generate): Accepted | Refused {
    const { request, consumer: wire, sampling } = generate;
    const refusal = this.#whyNot(request, generate.model);
    if (refusal !== undefined) return refused(request, refusal);
    if (wire === undefined || sampling === undefined || !isWellFormed(generate)) {
      const message =
        "a generation needs a consumer, sampling parameters, choices with a number of their own " +
        "and whole tokens";
      return refused(request, { code: "bad_request", message });
    }
    const parts = engineRequests(generate, sampling, () => this.#nextHandle());
    for (const [index, part] of parts.entries()) {
      const no = this.#engine.submit(part);
      if (no === undefined) continue;
      this.#cancelAll(parts.slice(0, index).map((each) => each.handle));
      return refused(request, no);
    }
    this.#answers.open(generate, wire, parts);
    if (generate.alone) this.#probation.begin(parts.map(({ handle }) => handle));
    this.#wake();
    this.#load.changed();
    return { kind: "accepted", request };
  }

  /** Why new work is not taken, before the engine is asked. */
  #whyNot(request: string, model: string): Refusal | undefined {
    if (this.#drain !== undefined) {
      return {
        code: "draining",
        message: "The worker of this request is being stopped. Try again: another one takes it.",
      };
    }
    const own = this.#model.card.name;
    if (model !== own) {
      return {
        code: "model_mismatch",
        message: `The worker serves '${own}' by now, not '${model}'. Try again in a moment.`,
      };
    }
    if (this.#answers.holds(request)) {
      return { code: "bad_request", message: `A request with the id ${request} runs already.` };
    }
    if (this.#answers.count >= (this.#options.answers_max ?? 4_096)) {
      return {
        code: "queue_full",
        message: "The worker holds as many answers as it may. Try again in a moment.",
      };
    }
    return undefined;
  }

  /** Returns why not; an embedding that was taken is answered when its last input is done. */
  #startEmbed(embed: Embed): Refused | undefined {
    const { request, model } = embed;
    const refusal = this.#whyNot(request, model);
    if (refusal !== undefined) return refused(request, refusal);
    return this.#embeds.start(embed);
  }

  /** The consumer of an answer, or a subscriber to our load or cache events, is gone. */
  override down(signal: Down): void {
    if (this.#load.unsubscribe(signal.monitor) || this.#kv.unsubscribe(signal.monitor)) return;
    if (this.#embeds.askerGone(signal.monitor)) return;
    this.#answers.consumerGone(signal.monitor);
    this.#flush();
  }

  /** An answer is live no more. */
  #answerEnded(duration_ms: number | undefined): void {
    if (duration_ms !== undefined) this.#metrics.ended(duration_ms);
    this.#load.changed();
    if (this.#drain === undefined) return;
    this.#drain.finished++;
    if (this.#isIdle) this.#endDrain();
  }

  #embedsChanged(): void {
    this.#load.changed();
    if (this.#drain !== undefined && this.#isIdle) this.#endDrain();
  }

  /** The engine stops them within one step, and takes that step now. */
  #cancelAll(handles: readonly number[]): void {
    if (handles.length === 0) return;
    for (const handle of handles) this.#engine.cancel(handle);
    this.#wake();
  }

  /** Answers that nobody can want, and work of the engine that is for no answer. */
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
    const sent = this.#probation.holds(request) ? 0 : this.#answers.sentTo(request);
    const { steps_total: passes, waiting } = this.#engine.stats();
    this.ctx.reply({ kind: "probed", known: sent !== undefined, sent: sent ?? 0, passes, waiting });
  }

  #onFetchBlob({ hash }: FetchBlob): void {
    const bytes = this.#model.blobs.get(hash);
    const found = bytes !== undefined;
    this.ctx.reply({ kind: "blob", hash, found, bytes: bytes ?? new Uint8Array(0) });
  }

  #onSubscribeLoad(message: SubscribeLoad): void {
    if (message.subscriber === undefined) return;
    const subscriber = refOf<WorkerLoad | WorkerNews>(this.ctx.system, message.subscriber);
    const monitor = this.ctx.monitor(subscriber);
    const old = this.#load.subscribe(subscriber, monitor, message.subscription);
    if (old !== undefined) this.ctx.demonitor(old);
  }

  #publishCache(): KvPublisher {
    const { kv_events } = this.#engine;
    const publisher = new KvPublisher({
      clock: this.ctx.clock,
      block_size: this.#engine.describe().block_size,
      publishes: true,
      caches: kv_events !== undefined,
      reports: this.#options.shared?.reports,
    });
    kv_events?.onEvent((event) => publisher.publish(event));
    return publisher;
  }

  #onSubscribeKv({ subscriber, subscription }: SubscribeKv): void {
    if (subscriber === undefined) return;
    const ref = refOf<KvEvents>(this.ctx.system, subscriber);
    const old = this.#kv.subscribe(ref, subscription, this.ctx.monitor(ref));
    if (old !== undefined) this.ctx.demonitor(old);
    this.ctx.reply(this.#kv.subscribed());
  }

  #onDrain({ budget_ms }: Drain): void {
    const port = this.ctx.replyLater();
    if (this.#drain !== undefined) {
      this.#drain.ports.push(port);
      if (this.#isIdle) this.#endDrain();
      return;
    }
    const until_ms = this.ctx.clock.now_ms() + budget_ms;
    this.#drain = { ports: [port], finished: 0, until_ms };
    // Nobody waits for this: whoever has not heard yet is refused with "draining".
    void this.#options.registry.deregister(this.#options.worker).catch((error: unknown) => {
      this.ctx.log.log("warn", "could not leave the registry", { error: String(error) });
    });
    for (const { generate, port } of this.#probation.takeAll())
      port.reply(this.#answerTo(generate));
    this.ctx.after(budget_ms, { kind: "drain_late" });
    if (this.#isIdle) this.#endDrain();
    else this.#handOver();
  }

  /** Whoever has no other place now is asked again: one may come up. */
  #handOver(): void {
    if (this.#drain === undefined || this.#isIdle) return;
    this.#answers.handOver(this.#drain.until_ms - this.ctx.clock.now_ms());
    this.ctx.after(HAND_OVER_AGAIN_MS, { kind: "drain_look" });
  }

  #endDrain(): void {
    if (this.#drain === undefined) return;
    const { ports, finished } = this.#drain;
    const drained = { kind: "drained", finished, unfinished: this.#answers.count };
    for (const port of ports.splice(0)) port.reply(drained);
  }

  #lookAtEngine(): void {
    try {
      if (this.#health.look(this.ctx.clock.now_ms())) this.#wake();
    } catch (error) {
      this.#stuck = error instanceof EngineStuckError;
      throw error;
    }
  }

  /** The engine has something to do, or to say: a pass follows the messages already waiting. */
  #wake(): void {
    if (this.#pass_queued) return;
    this.#pass_queued = true;
    if (this.#pass_timer !== undefined) this.ctx.cancel(this.#pass_timer);
    this.#pass_timer = undefined;
    if (!this.ctx.self.tell({ kind: "engine_pass" })) {
      // The mailbox is full of other people's messages; the engine must go on nevertheless.
      this.#pass_queued = false;
      this.#passIn(RESEND_MS);
    }
  }

  #pass(): void {
    const { clock } = this.ctx;
    // The engine's queue may have been full.
    this.#embeds.fill();
    const started_ms = clock.now_ms();
    let now_ms = started_ms;
    let next_ms: number | undefined;
    let seen = 0;
    for (let steps = 1; ; steps++) {
      next_ms = this.#step(now_ms);
      const events = this.#engine.poll(EVENTS_A_PASS - seen);
      seen += events.length;
      const urgent = this.#record(events);
      if (next_ms === undefined || next_ms > 0) break;
      if (urgent || steps === GATHER_STEPS || seen >= EVENTS_A_PASS) break;
      now_ms = clock.now_ms();
      if (now_ms - started_ms >= GATHER_MS) break;
    }
    this.#flush();
    // Behind the flush: its consumer has heard of the last one's first token.
    this.#probation.tryNext();
    if (seen > 0) this.#load.changed();
    if (seen >= EVENTS_A_PASS || (next_ms !== undefined && next_ms <= 0)) {
      this.#passAfterTick();
    } else if (next_ms !== undefined) {
      this.#passIn(next_ms);
    }
  }

  #step(now_ms: number): number | undefined {
    this.#stepping = true;
    try {
      return this.#engine.step(now_ms);
    } finally {
      this.#stepping = false;
    }
  }

  /** True when an answer's first token is among them, for which somebody waits. */
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

  /** Sockets and timers get their turn first: an engine without delays would starve them. */
  #passAfterTick(): void {
    if (this.#pass_queued) return;
    this.#pass_queued = true;
    this.ctx.clock.defer(() => {
      this.#pass_queued = false;
      this.#wake();
    });
  }

  #passIn(delay_ms: number): void {
    if (this.#pass_queued) return;
    const due_ms = this.ctx.clock.now_ms() + delay_ms;
    if (this.#pass_timer !== undefined) {
      if (this.#pass_due_ms <= due_ms) return;
      this.ctx.cancel(this.#pass_timer);
    }
    this.#pass_due_ms = due_ms;
    this.#pass_timer = this.ctx.after(delay_ms, { kind: "engine_pass" });
  }

  /** Sends what may be sent; answers that were delivered whole are over. */
  #flush(): void {
    this.#answers.flush();
    if (this.#answers.has_unsent) this.#passIn(RESEND_MS);
  }

  #nextHandle(): number {
    do this.#last_handle = (this.#last_handle % 0xffff_fffe) + 1;
    while (this.#answers.hasHandle(this.#last_handle) || this.#embeds.has(this.#last_handle));
    return this.#last_handle;
  }

  #loadNow(): WorkerLoad {
    const waiting = this.#embeds.waiting + this.#probation.waiting;
    return loadOf(this.#options.worker, this.#engine, waiting, this.#meter.block_ms_max());
  }

  override async terminate(): Promise<void> {
    // One that makes no step would not end either; its process takes it along.
    if (!this.#stuck) await this.#engine.close();
  }

  /** After a kill or a failed start too: an open engine holds gigabytes. */
  override release(): void {
    if (this.#options.shared === undefined) this.#meter?.stop();
    this.#metrics?.remove();
    this.#orphans?.remove();
    this.#load?.stop();
    this.#kv?.stop();
    if (!this.#stuck) void this.#engine?.close();
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
      draining: this.#drain !== undefined,
      subscribers: this.#load.subscriber_count,
      kv_subscribers: this.#kv.subscriber_count,
      kv_blocks: this.#kv.blocks,
      canaries_total: this.#health.canaries_total,
      probing: this.#health.probing,
      ...load,
    };
  }
}
