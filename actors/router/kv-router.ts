/**
 * The router of mode kv: requests go where most of their prompt is cached, as far as the load
 * there allows.
 *
 *   Route ── hashes ──▶ model's queue ── policy ──▶ Plan, at once or when there is room
 *                             ▲             ▲
 *   RouteFirst, RouteEnded ───┘             └── index ◀── feed ◀── KvEvents, dumps of the workers
 *
 * Each model has workers, a queue and a policy of its own; index and feed are shared. A request
 * whose model, or whose pinned worker, is not there waits a bounded time outside of the queue.
 *
 * Long because every message of the router comes here, and each change of workers concerns all of
 * its parts.
 */
import type {
  Plan,
  RefusalCode,
  Refused,
  Route,
  RouteEnded,
  RouterMessage,
  RouterWeights,
  SetBusy,
  SetWeights,
  WorkerLoad,
  WorkerNews,
} from "../../proto/index.ts";
import { Actor, type Down, type Snapshot } from "../../runtime/kernel/actor.ts";
import { refOf, wireOf } from "../../runtime/remote/node.ts";
import { AUDIT_PERIOD_MS, OrphanWatch } from "../../runtime/supervision/orphan-watch.ts";
import { type Candidate, modelName } from "./candidate.ts";
import { KvFeed } from "./feed/kv-feed.ts";
import { type Run, turnClock } from "./feed/turn-clock.ts";
import { heldMetrics } from "./held-metrics.ts";
import { CacheIndex } from "./index/cache-index.ts";
import type { KvDecision } from "./kv-decision.ts";
import { KvModel } from "./kv-model.ts";
import { workersSnapshot } from "./kv-router-snapshot.ts";
import { noPrefill, notWanted, tooManyWait, waitsOnMs, whyNoWorker } from "./no-worker.ts";
import { PeerLoad } from "./peers/peer-load.ts";
import { prefillName } from "./peers/peer-news.ts";
import { PeerRouters, type PeersOwn } from "./peers/peer-routers.ts";
import { type Pending, PendingRoutes } from "./pending-routes.ts";
import { BusyBook } from "./policy/busy-book.ts";
import type { KvPolicyOptions } from "./policy/kv-policies.ts";
import { withWeights } from "./policy/weights.ts";
import { hotPrefixes } from "./prefixes/hot-prefixes.ts";
import { RecentPrompts } from "./prefixes/recent-prompts.ts";
import type { RouterOptions } from "./router-options.ts";
import { type GetTraffic, trafficSum } from "./traffic.ts";
import { type WatchMessage, WorkerWatch } from "./worker-watch.ts";

type Own =
  | WatchMessage
  | GetTraffic
  | PeersOwn
  | { readonly kind: "weights_changed"; readonly weights: RouterWeights }
  | { readonly kind: "wait_over"; readonly request: string }
  | { readonly kind: "audit" }
  | Run;

const PEER_REQUESTS = "troupe_router_requests_of_other_routers";
/** A worker that does not answer the feed in this time is asked again. */
const FEED_ASK_MS = 5_000;
/** Tokens a block for a model whose workers have none: no prompt fills one. */
const NO_BLOCKS = 2 ** 30;

export class KvRouter extends Actor<RouterMessage | Own> {
  readonly #options: RouterOptions;
  readonly #index = new CacheIndex();
  #watch!: WorkerWatch;
  #feed!: KvFeed;
  #peers!: PeerRouters;
  readonly #models = new Map<string, KvModel>();
  readonly #peer_load = new PeerLoad(this.#models);
  /** By model, for people who ask. */
  readonly #recent = new Map<string, RecentPrompts>();
  #pending!: PendingRoutes;
  readonly #busy: BusyBook;
  /** Those of the flags, with the weights that were set since. */
  #policy: KvPolicyOptions;
  /** When they were set; 0: nothing was. */
  #weights_ms = 0;
  #unwatch_weights = () => {};
  /** Sent to a worker, and not ended. */
  readonly #placed = new Map<string, KvModel>();
  #routed_total = 0;
  #refused_total = 0;
  #orphans!: OrphanWatch;

  constructor(options: RouterOptions) {
    super();
    this.#options = options;
    this.#busy = new BusyBook(options.policy?.busy);
    this.#policy = { name: "adaptive", ...options.policy };
  }

  override init(): void {
    const { system, log, self } = this.ctx;
    const shown = heldMetrics(system.metrics, this.ctx.clock, (model) => {
      return this.#pending.heldOf(model);
    });
    this.#pending = new PendingRoutes(this.ctx, this.#options, shown);
    this.#feed = new KvFeed({
      index: this.#index,
      clock: turnClock(this.ctx),
      log,
      metrics: system.metrics,
      subscriber: () => wireOf(system, self),
      ask: (worker, message) =>
        system.ask(refOf(system, worker), message, { deadline_ms: FEED_ASK_MS }),
    });
    this.#feed.start();
    this.#orphans = new OrphanWatch(system.metrics, { of: "routes" });
    this.ctx.every(AUDIT_PERIOD_MS, { kind: "audit" });
    this.#watch = new WorkerWatch(this.ctx, this.#options, {
      up: (candidate) => this.#workerUp(candidate),
      gone: (candidate) => this.#workerGone(candidate),
      suspected: (candidate) => this.#workerSuspected(candidate),
      trusted: (candidate) => {
        this.#feed.workerBack(candidate.record.worker);
        this.#join(candidate);
      },
      avoided: (candidate) => this.#models.get(modelName(candidate))?.avoid(candidate),
      changed: () => this.#serveAll(),
    });
    this.#unwatch_weights =
      this.#options.watchWeights?.((weights) => self.tell({ kind: "weights_changed", weights })) ??
      this.#unwatch_weights;
    const help = "Requests that the other frontends' routers have sent and that have not ended.";
    system.metrics.gauge(PEER_REQUESTS, help, {}, () => this.#peer_load.requests);
    this.#peers = new PeerRouters(this.ctx, this.#options.peers, {
      whole: () => this.#whole(),
      news: (peer, news) => {
        this.#peer_load.take(peer, news);
        for (const busy of news.busy) this.#busy.take(busy);
        this.#serveAll();
      },
      forget: (peer) => this.#peer_load.forget(peer),
      lost: (peer) => this.#peer_load.lose(peer),
    });
  }

  override receive(message: RouterMessage | Own): void {
    switch (message.kind) {
      case "route":
        this.#onRoute(message);
        break;
      case "route_first": {
        const model = this.#placed.get(message.request);
        if (model === undefined) break;
        model.firstToken(message.request);
        this.#peers.tell({ first: [message.request] });
        this.#serve(model);
        break;
      }
      case "route_ended":
        this.#onRouteEnded(message);
        break;
      case "worker_load":
        this.#onLoad(message);
        break;
      case "worker_news":
        this.#onNews(message);
        break;
      case "kv_events":
        this.#feed.onEvents(message);
        break;
      case "workers_changed":
      case "subscribe_again":
      case "worker_crashed":
      case "look_round":
        this.#watch.receive(message);
        break;
      case "set_busy":
        this.#setBusy(message);
        break;
      case "set_weights":
        this.#setWeights(message);
        break;
      case "weights_changed":
        this.#takeWeights(message.weights);
        break;
      case "get_traffic":
        this.ctx.reply(trafficSum(this.#models.values()));
        break;
      case "audit":
        this.#audit();
        break;
      case "routers_are":
      case "tell_peers":
      case "join_again":
      case "router_join":
      case "router_news":
        this.#peers.receive(message);
        break;
      case "wait_over":
        this.#onWaitOver(message.request);
        break;
      case "run":
        message.run();
    }
  }

  #onRoute(route: Route): void {
    if (route.prefill_for !== undefined) {
      this.ctx.reply(this.#prefillAgain(route));
      return;
    }
    this.#forget(route.request);
    const pending = this.#pending.add(route, this.ctx.deadline_ms);
    this.#admit(pending);
    const model = this.#models.get(route.model);
    if (model !== undefined) this.#serve(model);
    if (this.#pending.get(route.request) !== pending) return;
    pending.port = this.ctx.replyLater();
    this.#pending.wait(pending);
    const hint = pending.held ? undefined : model?.prefetch();
    if (hint !== undefined) refOf(this.ctx.system, hint.worker).tell(hint.message);
  }

  /** Puts the request into the queue of its model, holds it back, or refuses it. */
  #admit(pending: Pending): void {
    const { route, constraints } = pending;
    const model = this.#models.get(route.model);
    if (model?.couldTake(constraints)) {
      this.#pending.release(pending);
      const decision = model.offer(route, constraints);
      if (decision !== undefined) this.#decided(model, decision);
      return;
    }
    if (pending.held) return;
    if (this.#pending.isFull) this.#refuse(pending, "overloaded", tooManyWait(route.model));
    else this.#pending.hold(pending);
  }

  #serve(model: KvModel): void {
    for (let decision = model.next(); decision !== undefined; decision = model.next()) {
      this.#decided(model, decision);
    }
  }

  #decided(model: KvModel, decision: KvDecision): void {
    if (decision.kind === "plan") {
      this.#placed.set(decision.plan.request, model);
      this.#routed_total++;
      this.#recent
        .get(model.model)
        ?.note(decision.placement.request.hashes, this.ctx.clock.now_ms());
      if (this.#peers.hasListeners) this.#peers.tell(model.newsOf(decision.placement));
      this.#answer(decision.plan);
      return;
    }
    const { request, code, message, retry_after_ms } = decision;
    const pending = this.#pending.get(request);
    if (pending !== undefined) this.#refuse(pending, code, message, retry_after_ms);
  }

  #refuse({ route }: Pending, code: RefusalCode, message: string, retry_after_ms = 0): void {
    this.#refused_total++;
    this.#answer({ kind: "refused", request: route.request, code, message, retry_after_ms });
  }

  #answer(reply: Plan | Refused): void {
    const pending = this.#pending.get(reply.request);
    if (pending === undefined) return;
    this.#pending.settle(pending);
    if (pending.port === undefined) this.ctx.reply(reply);
    else pending.port.reply(reply);
  }

  /** Drops a waiting request: its asker asks again, or has given up. */
  #forget(request: string): void {
    const pending = this.#pending.get(request);
    if (pending === undefined) return;
    this.#pending.settle(pending);
    this.#models.get(pending.route.model)?.cancel(request);
  }

  /** A request in its model's queue waits on, up to its own deadline; a held one is refused. */
  #onWaitOver(request: string): void {
    const pending = this.#pending.get(request);
    if (pending === undefined) return;
    const { route, held, deadline_ms, came_ms } = pending;
    const now_ms = this.ctx.clock.now_ms();
    const workers = this.#models.get(route.model)?.worker_count ?? 0;
    if (!held && workers > 0 && now_ms < deadline_ms) {
      this.#pending.wait(pending);
      return;
    }
    const all = this.#watch.workers.all();
    const waited = { ...this.#options, waited_ms: now_ms - came_ms };
    const more_ms = waitsOnMs(route, all, waited);
    if (more_ms > 0 && now_ms < deadline_ms) {
      this.#pending.wait(pending, more_ms);
      return;
    }
    this.#models.get(route.model)?.cancel(request);
    this.#refuse(pending, "no_worker", whyNoWorker(route, all, waited));
  }

  /** Answered at once: the worker that answers waits for it. */
  #prefillAgain(route: Route): Plan | Refused {
    const again = this.#placed.get(route.request)?.prefillAgain(route);
    if (again === undefined) return noPrefill(route.request);
    this.#peers.tell({ routed: again.news });
    return again.plan;
  }

  #onRouteEnded(ended: RouteEnded): void {
    const { request, prefill = false } = ended;
    const model = this.#placed.get(request);
    const prompt = model?.hasPrefill(request) ? [prefillName(request)] : [];
    if (!prefill) {
      // Who asked wants no plan any more; afar its question would wait until its deadline.
      this.#pending.get(request)?.port?.reply(notWanted(request));
      this.#forget(request);
      this.#placed.delete(request);
    }
    if (model === undefined) return;
    this.#peers.tell({ ended: prefill ? prompt : [request, ...prompt] });
    const candidate = prefill ? model.prefillEnded(ended) : model.ended(ended);
    if (candidate !== undefined) this.#watch.ended(candidate, ended.outcome);
    this.#serve(model);
  }

  #audit(): void {
    const { isLive = () => true } = this.#options;
    const held = [...this.#pending.requests(), ...this.#placed.keys()];
    const unowned = held.filter((request) => !isLive(request));
    this.#orphans.look(unowned, this.ctx.clock.now_ms());
  }

  #onLoad(load: WorkerLoad): void {
    const model = this.#takeLoad(load);
    if (model !== undefined) this.#serve(model);
  }

  /** Returns the model whose requests may be served now. */
  #takeLoad(load: WorkerLoad): KvModel | undefined {
    if (!this.#watch.loaded(load)) return undefined;
    this.#feed.noteLoad(load.worker, load.cached_blocks);
    const candidate = this.#watch.workers.get(load.worker);
    const model = candidate && this.#models.get(modelName(candidate));
    model?.loaded(load);
    return model;
  }

  /** Reports of many workers: their models are served when all of them are read. */
  #onNews({ loads, alive, events }: WorkerNews): void {
    for (const each of events) this.#feed.onEvents({ kind: "kv_events", ...each });
    let models: Set<KvModel> | undefined;
    for (const load of loads) {
      const model = this.#takeLoad({ kind: "worker_load", ...load });
      if (model !== undefined) models = (models ?? new Set()).add(model);
    }
    if (alive.length > 0) this.#watch.alive(alive);
    for (const model of models ?? []) this.#serve(model);
  }

  #workerUp(candidate: Candidate): void {
    this.#feed.workerUp(candidate.record);
    this.#join(candidate);
  }

  #join(candidate: Candidate): void {
    const { worker } = candidate.record;
    const slot = this.#feed.slotOf(worker);
    if (slot === undefined) return;
    const name = modelName(candidate);
    let model = this.#models.get(name);
    if (model === undefined) {
      const { clock, random, system } = this.ctx;
      model = new KvModel({
        model: name,
        block_size: this.#feed.blockSize(name) ?? NO_BLOCKS,
        policy: this.#policyOf(name),
        ...{ index: this.#index, random, metrics: system.metrics },
        now_ms: () => clock.now_ms(),
        wall_ms: () => clock.wall_ms(),
      });
      this.#models.set(name, model);
      this.#recent.set(name, new RecentPrompts());
    }
    model.workerUp(candidate, slot);
    this.#peer_load.workerUp(candidate.key);
  }

  #workerSuspected(candidate: Candidate): void {
    const model = this.#models.get(modelName(candidate));
    if (model === undefined) return;
    model.workerGone(candidate.record.worker);
    this.#holdBack(model);
  }

  /** Requests whose only worker is gone wait outside of the queue for its return. */
  #holdBack(model: KvModel): void {
    for (const pending of this.#pending.values()) {
      const { route, constraints, held } = pending;
      if (held || route.model !== model.model || model.couldTake(constraints)) continue;
      model.cancel(route.request);
      this.#pending.hold(pending);
    }
  }

  #workerGone(candidate: Candidate): void {
    const { worker } = candidate.record;
    const name = modelName(candidate);
    const model = this.#models.get(name);
    this.#feed.workerGone(worker);
    model?.workerGone(worker);
    if (model === undefined) return;
    this.#holdBack(model);
    if (this.#watch.workers.all().some((each) => modelName(each) === name)) return;
    // The next worker of this model may have another block size: it gets a new queue.
    model.close();
    this.#models.delete(name);
    this.#recent.delete(name);
  }

  #serveAll(): void {
    for (const pending of this.#pending.held()) if (pending.held) this.#admit(pending);
    for (const model of this.#models.values()) this.#serve(model);
  }

  #setBusy({ busy }: SetBusy): void {
    const changed = busy && this.#busy.change(busy, this.ctx.clock.wall_ms());
    if (changed !== undefined) this.#peers.tell({ busy: [changed] });
    this.ctx.reply(this.#busy.answer());
    this.#serveAll();
  }

  #setWeights({ weights }: SetWeights): void {
    if (weights !== undefined) this.#takeWeights(weights);
    this.ctx.reply({ kind: "weights_are", supported: true, set_ms: this.#weights_ms });
  }

  /** Weights that are older than those that hold came late. */
  #takeWeights({ items, set_ms }: RouterWeights): void {
    if (set_ms <= this.#weights_ms) return;
    this.#weights_ms = set_ms;
    const weights = Object.fromEntries(items.map(({ name, value }) => [name, value]));
    this.#policy = withWeights({ name: "adaptive", ...this.#options.policy }, weights);
    for (const [name, model] of this.#models) model.retune(this.#policyOf(name));
    this.#serveAll();
  }

  #policyOf(model: string): KvPolicyOptions {
    return { ...this.#policy, busy: () => this.#busy.of(model) };
  }

  #whole() {
    const models = [...this.#models.values()];
    const routed = models.flatMap((model) => model.routed());
    const sessions = models.flatMap((model) => model.sessions());
    return { routed, sessions, busy: this.#busy.set() };
  }

  override down(signal: Down): void {
    if (!this.#peers.down(signal)) this.#watch.down(signal);
  }

  override release(): void {
    this.#unwatch_weights();
    this.#watch?.stop();
    this.#feed?.stop();
    this.#orphans?.remove();
    this.#peers?.stop();
    this.ctx.system.metrics.remove(PEER_REQUESTS, {});
    for (const model of this.#models.values()) model.close();
  }

  override detail(name: string, about: string): Snapshot | undefined {
    if (name !== "prefixes") return undefined;
    const now_ms = this.ctx.clock.now_ms();
    const names = new Map(this.#feed.workers().map(({ slot, worker }) => [slot, worker]));
    const asked = [...this.#recent].filter(([model]) => about === "" || model === about);
    return {
      models: asked.map(([model, recent]) =>
        hotPrefixes(model, recent, this.#index, (slot) => names.get(slot), now_ms),
      ),
    };
  }

  override recordedState() {
    const pending = [...this.#pending.values()].map(({ route, held, deadline_ms }) => {
      return { request: route.request, held, deadline_ms };
    });
    return { ...this.inspect(), placed: [...this.#placed.keys()], pending };
  }

  override inspect(): Snapshot {
    return {
      mode: "kv",
      ...{ policy: this.#policy.name, weights_set_ms: this.#weights_ms },
      ...workersSnapshot(this.#watch.workers, this.#models.values(), this.#feed),
      routers: this.#peers.inspect(),
      sent_by_other_routers: this.#peer_load.requests,
      index_bytes: this.#index.bytes,
      ...{ waiting: this.#pending.size, held: this.#pending.held_count },
      ...{ routed_total: this.#routed_total, refused_total: this.#refused_total },
      orphans: this.#orphans.count,
    };
  }
}
