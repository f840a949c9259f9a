/**
 * The router of the modes that look at load alone. A request that no worker can take now waits,
 * first come first served. The wait is bounded, and long enough for a restart of a crashed worker.
 */
import type {
  Plan,
  RefusalCode,
  Refused,
  Route,
  RouteEnded,
  RouterMessage,
} from "../../proto/index.ts";
import type { Timer } from "../../runtime/capabilities.ts";
import { Actor, type Down, type Snapshot } from "../../runtime/kernel/actor.ts";
import type { ReplyPort } from "../../runtime/kernel/ref.ts";
import { AUDIT_PERIOD_MS, OrphanWatch } from "../../runtime/supervision/orphan-watch.ts";
import { planFor, withReasons } from "./candidate.ts";
import { LoadPairs } from "./load-pairs.ts";
import {
  noPrefill,
  notWanted,
  noWorkerWait,
  tooManyWait,
  waitsOnMs,
  whyNoWorker,
} from "./no-worker.ts";
import { eligible, type LoadMode, newPolicyState, policies } from "./policy/load-modes.ts";
import { loadChoice } from "./policy/reasons/load-reasons.ts";
import type { RouterOptions } from "./router-options.ts";
import type { GetTraffic, Traffic } from "./traffic.ts";
import { type WatchMessage, WorkerWatch } from "./worker-watch.ts";

/** The router's own messages beside those of the wire. */
type Own =
  | WatchMessage
  | GetTraffic
  | { readonly kind: "wait_over"; readonly request: string }
  | { readonly kind: "audit" };

type Waiting = {
  readonly route: Route;
  readonly port: ReplyPort;
  timer: Timer;
  readonly came_ms: number;
  /** Its asker is gone then. */
  readonly deadline_ms: number;
};

export class LoadRouter extends Actor<RouterMessage | Own> {
  readonly #mode: LoadMode;
  readonly #options: RouterOptions;
  #watch!: WorkerWatch;
  readonly #waiting = new Map<string, Waiting>();
  readonly #state = newPolicyState();
  readonly #pairs: LoadPairs;
  #orphans!: OrphanWatch;
  #refused_total = 0;
  #routed_total = 0;

  constructor(mode: LoadMode, options: RouterOptions) {
    super();
    this.#mode = mode;
    this.#options = options;
    this.#pairs = new LoadPairs(mode, options);
  }

  override init(): void {
    const changed = () => this.#serveWaiting();
    this.#watch = new WorkerWatch(this.ctx, this.#options, { changed });
    this.#orphans = new OrphanWatch(this.ctx.system.metrics, { of: "routes" });
    this.ctx.every(AUDIT_PERIOD_MS, { kind: "audit" });
  }

  override receive(message: RouterMessage | Own): void {
    switch (message.kind) {
      case "route":
        this.#onRoute(message);
        break;
      case "set_busy":
        this.ctx.reply({ kind: "busy_is", supported: false, busy: [] });
        break;
      case "set_weights":
        this.ctx.reply({ kind: "weights_are", supported: false, set_ms: 0 });
        break;
      case "get_traffic":
        this.ctx.reply(this.#traffic());
        break;
      case "route_ended":
        this.#onRouteEnded(message);
        break;
      case "worker_load":
        this.#watch.loaded(message);
        break;
      case "worker_news":
        for (const load of message.loads) this.#watch.loaded({ kind: "worker_load", ...load });
        this.#watch.alive(message.alive);
        break;
      case "workers_changed":
      case "subscribe_again":
      case "worker_crashed":
      case "look_round":
        this.#watch.receive(message);
        break;
      case "audit":
        this.#audit();
        break;
      case "wait_over":
        this.#onWaitOver(message.request);
        break;
      case "route_first":
      case "kv_events":
        break;
    }
  }

  /** It knows no priorities, and of other routers nothing. */
  #traffic(): Traffic {
    const { workers } = this.#watch;
    const waiting = this.#waiting.size;
    const sent = [...workers.requests()].length;
    return { workers: workers.all().length, requests: sent + waiting, lowest: 0, waiting };
  }

  #onRoute(route: Route): void {
    if (route.prefill_for !== undefined) {
      this.ctx.reply(this.#prefillAgain(route));
      return;
    }
    const answer = this.#plan(route);
    if (answer !== undefined) {
      this.ctx.reply(answer);
      return;
    }
    if (this.#waiting.size >= (this.#options.waiting_max ?? noWorkerWait.waiting_max)) {
      const message = tooManyWait(route.model);
      this.ctx.reply(this.#refuse(route, "overloaded", message));
      return;
    }
    this.#leaveQueue(route.request);
    const came_ms = this.ctx.clock.now_ms();
    const { deadline_ms = Number.POSITIVE_INFINITY } = this.ctx;
    const wait_ms = Math.min(this.#options.wait_ms ?? noWorkerWait.wait_ms, deadline_ms - came_ms);
    const timer = this.ctx.after(wait_ms, { kind: "wait_over", request: route.request });
    const port = this.ctx.replyLater();
    this.#waiting.set(route.request, { route, port, timer, came_ms, deadline_ms });
  }

  /** The plan, or a refusal, or undefined when the request has to wait for a worker. */
  #plan(route: Route): Plan | Refused | undefined {
    const { workers } = this.#watch;
    const now_ms = this.ctx.clock.now_ms();
    const { answering } = workers.byRole();
    const reachable = answering.filter((each) => this.#pairs.mayGo(workers, route, each));
    // Where nobody may for want of a prefill worker, the request waits for one.
    if (reachable.length === 0 && answering.length > 0) return undefined;
    const may = eligible(reachable, route, now_ms);
    if (may.kind === "refused") {
      return may.code === "overloaded" ? this.#refuse(route, may.code, may.message) : undefined;
    }
    const choose = policies[this.#mode];
    const choice = choose(may.candidates, route, this.ctx.random, this.#state);
    if (choice.kind === "refused") return this.#refuse(route, choice.code, choice.message);
    const { candidates } = may;
    const reasons = route.explain
      ? loadChoice(this.#mode, candidates, answering, choice.candidate)
      : undefined;
    workers.begin(route.request, choice.candidate);
    this.#routed_total++;
    const { random } = this.ctx;
    const prefill = this.#pairs.begin(workers, route, choice.candidate, random, now_ms);
    const plan = planFor(route.request, choice.candidate, prefill);
    return withReasons(plan, [reasons]);
  }

  #prefillAgain(route: Route): Plan | Refused {
    const { workers } = this.#watch;
    const answers = workers.of(route.request);
    if (answers === undefined || answers.key !== route.prefill_for) return noPrefill(route.request);
    const now_ms = this.ctx.clock.now_ms();
    const leg = this.#pairs.begin(workers, route, answers, this.ctx.random, now_ms);
    if (leg === undefined) return noPrefill(route.request);
    return { kind: "plan", request: route.request, legs: [leg] };
  }

  #refuse(route: Route, code: RefusalCode, message: string): Refused {
    this.#refused_total++;
    return { kind: "refused", request: route.request, code, message, retry_after_ms: 0 };
  }

  #onRouteEnded(ended: RouteEnded): void {
    const { request, prefill = false, outcome } = ended;
    const { workers } = this.#watch;
    const prompt = this.#pairs.end(request);
    if (!prefill) {
      // Who asked wants no plan any more; afar its question would wait until its deadline.
      this.#waiting.get(request)?.port.reply(notWanted(request));
      this.#leaveQueue(request);
    }
    const candidate = prefill ? prompt : workers.end(request);
    if (candidate !== undefined) this.#watch.ended(candidate, outcome);
  }

  #audit(): void {
    const { isLive = () => true } = this.#options;
    const held = [...this.#waiting.keys(), ...this.#watch.workers.requests()];
    const unowned = held.filter((request) => !isLive(request));
    this.#orphans.look(unowned, this.ctx.clock.now_ms());
  }

  #leaveQueue(request: string): void {
    const waiting = this.#waiting.get(request);
    if (waiting === undefined) return;
    this.ctx.cancel(waiting.timer);
    this.#waiting.delete(request);
  }

  #onWaitOver(request: string): void {
    const waiting = this.#waiting.get(request);
    if (waiting === undefined) return;
    const { route, came_ms, deadline_ms } = waiting;
    const now_ms = this.ctx.clock.now_ms();
    const workers = this.#watch.workers.all();
    const waited = { ...this.#options, waited_ms: now_ms - came_ms };
    const more_ms = Math.min(waitsOnMs(route, workers, waited), deadline_ms - now_ms);
    if (more_ms > 0) {
      waiting.timer = this.ctx.after(more_ms, { kind: "wait_over", request });
      return;
    }
    this.#waiting.delete(request);
    const why = whyNoWorker(route, workers, waited);
    waiting.port.reply(this.#refuse(route, "no_worker", why));
  }

  override down(signal: Down): void {
    this.#watch.down(signal);
  }

  #serveWaiting(): void {
    for (const [request, waiting] of this.#waiting) {
      const answer = this.#plan(waiting.route);
      if (answer === undefined) continue;
      this.ctx.cancel(waiting.timer);
      this.#waiting.delete(request);
      waiting.port.reply(answer);
    }
  }

  override release(): void {
    this.#watch?.stop();
    this.#orphans?.remove();
  }

  override inspect(): Snapshot {
    const workers = this.#watch.workers.all().map((each) => ({
      worker: each.record.worker,
      model: each.record.card?.name ?? "",
      in_flight: each.in_flight,
      suspect: each.suspect,
    }));
    const mode = this.#mode;
    const waiting = this.#waiting;
    const routed_total = this.#routed_total;
    const refused_total = this.#refused_total;
    const orphans = this.#orphans.count;
    return { mode, workers, waiting: waiting.size, routed_total, refused_total, orphans };
  }
}
