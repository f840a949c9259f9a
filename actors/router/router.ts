/**
 * The face of `router`: one actor in each frontend's process says which worker serves a request.
 * It is asked once per answer (and once more for each worker that failed it); tokens never pass
 * through it.
 *
 *   stream ── Route ──▶ router ── Plan | Refused ──▶ stream
 *                         ▲ ▲
 *     registry's watch ───┘ └─── WorkerLoad, from each worker it subscribed to
 *
 * A request that no worker can take now waits, first come first served, for a bounded time: a
 * worker that is being restarted after a crash is back within it.
 */
import type {
  Plan,
  Refused,
  Route,
  RouteEnded,
  RouterMessage,
  SubscribeLoad,
  WorkerLoad,
  WorkerRecord,
} from "../../proto/index.ts";
import { Actor, type Down, type Snapshot } from "../../runtime/actor.ts";
import type { Timer } from "../../runtime/capabilities.ts";
import type { ReplyPort } from "../../runtime/ref.ts";
import { refOf, wireOf } from "../../runtime/remote/node.ts";
import type { Candidate } from "./candidate.ts";
import { eligible, newPolicyState, policies, type RouterMode } from "./policy.ts";
import { WorkerSet } from "./worker-set.ts";

export { workerKey } from "./candidate.ts";
export { isRouterMode, type RouterMode, routerModes } from "./policy.ts";

/** What the registry tells of workers; `all` replaces everything known before. */
export type WorkersChange =
  | { readonly kind: "all"; readonly records: readonly WorkerRecord[] }
  | { readonly kind: "up"; readonly record: WorkerRecord }
  | { readonly kind: "gone"; readonly worker: string };

/** Calls the listener with `all` first, then with each change; returns what ends the watch. */
export type WatchWorkers = (listener: (change: WorkersChange) => void) => () => void;

export type RouterOptions = {
  readonly mode: RouterMode;
  readonly watch: WatchWorkers;
  /** How long a request waits for a worker when there is none. Default 10,000. */
  readonly wait_ms?: number;
  /** How many may wait. Default 1,024. */
  readonly waiting_max?: number;
};

/** What the router hears beside its wire messages. */
type Own =
  | { readonly kind: "workers_changed"; readonly change: WorkersChange }
  | { readonly kind: "wait_over"; readonly request: string }
  | { readonly kind: "subscribe_again"; readonly candidate: Candidate };

type Waiting = { readonly route: Route; readonly port: ReplyPort; readonly timer: Timer };

const SUBSCRIBE_AGAIN_MS = 1_000;

export class RouterActor extends Actor<RouterMessage | Own> {
  private readonly options: RouterOptions;
  private readonly workers = new WorkerSet();
  private readonly waiting = new Map<string, Waiting>();
  private readonly state = newPolicyState();
  /** By the number of our monitor on it. */
  private readonly monitored = new Map<number, Candidate>();
  private unwatch: () => void = () => {};
  private refused_total = 0;
  private routed_total = 0;

  constructor(options: RouterOptions) {
    super();
    this.options = options;
  }

  override init(): void {
    const self = this.ctx.self;
    this.unwatch = this.options.watch((change) => self.tell({ kind: "workers_changed", change }));
  }

  override receive(message: RouterMessage | Own): void {
    switch (message.kind) {
      case "route":
        this.onRoute(message);
        break;
      case "route_ended":
        this.onRouteEnded(message);
        break;
      case "worker_load":
        this.onLoad(message);
        break;
      case "workers_changed":
        this.onWorkersChanged(message.change);
        break;
      case "wait_over":
        this.onWaitOver(message.request);
        break;
      case "subscribe_again":
        this.onSubscribeAgain(message.candidate);
        break;
    }
  }

  private onRoute(route: Route): void {
    const answer = this.plan(route);
    if (answer !== undefined) {
      this.ctx.reply(answer);
      return;
    }
    if (this.waiting.size >= (this.options.waiting_max ?? 1_024)) {
      const message = `no worker serves ${route.model} now and too many requests wait for one`;
      this.ctx.reply(this.refuse(route, "overloaded", message));
      return;
    }
    this.leaveQueue(route.request);
    const left_ms = (this.ctx.deadline_ms ?? Number.POSITIVE_INFINITY) - this.ctx.clock.now_ms();
    const wait_ms = Math.min(this.options.wait_ms ?? 10_000, left_ms);
    const timer = this.ctx.after(wait_ms, { kind: "wait_over", request: route.request });
    this.waiting.set(route.request, { route, port: this.ctx.replyLater(), timer });
  }

  /** The plan, or a refusal, or undefined when the request has to wait for a worker. */
  private plan(route: Route): Plan | Refused | undefined {
    const { candidates, excluded } = eligible(this.workers.all(), route);
    if (candidates.length === 0) {
      if (excluded === 0) return undefined;
      const message = `every worker that serves ${route.model} has refused this request`;
      return this.refuse(route, "overloaded", message);
    }
    const choose = policies[this.options.mode];
    const choice = choose(candidates, route, this.ctx.random, this.state);
    if (choice.kind === "refused") return this.refuse(route, choice.code, choice.message);
    const { worker, ref } = choice.candidate.record;
    this.workers.begin(route, choice.candidate);
    this.routed_total++;
    return { kind: "plan", request: route.request, worker, ref };
  }

  private refuse(route: Route, code: string, message: string): Refused {
    this.refused_total++;
    return { kind: "refused", request: route.request, code, message };
  }

  private onRouteEnded(ended: RouteEnded): void {
    this.leaveQueue(ended.request);
    const candidate = this.workers.end(ended.request);
    // The stream saw the worker go; waiting for our own news would send the next request there.
    if (ended.outcome === "lost" && candidate !== undefined) this.suspect(candidate);
  }

  private leaveQueue(request: string): void {
    const waiting = this.waiting.get(request);
    if (waiting === undefined) return;
    this.ctx.cancel(waiting.timer);
    this.waiting.delete(request);
  }

  private onWaitOver(request: string): void {
    const waiting = this.waiting.get(request);
    if (waiting === undefined) return;
    this.waiting.delete(request);
    waiting.port.reply(this.refuse(waiting.route, "no_worker", this.whyNone(waiting.route)));
  }

  private whyNone(route: Route): string {
    const pinned = route.pin === "" ? "" : ` under the name ${route.pin}`;
    return `no worker serves ${route.model}${pinned} at the moment; try again in a few seconds`;
  }

  private onLoad(load: WorkerLoad): void {
    if (this.workers.report(load)) this.serveWaiting();
  }

  private onWorkersChanged(change: WorkersChange): void {
    switch (change.kind) {
      case "gone":
        this.removeWorker(change.worker);
        break;
      case "up":
        this.addWorker(change.record);
        break;
      case "all": {
        const present = new Set(change.records.map((record) => record.worker));
        for (const { record } of this.workers.all()) {
          if (!present.has(record.worker)) this.removeWorker(record.worker);
        }
        for (const record of change.records) this.addWorker(record);
      }
    }
    this.serveWaiting();
  }

  private addWorker(record: WorkerRecord): void {
    const known = this.workers.get(record.worker);
    const fresh = this.workers.add(record);
    if (fresh === undefined) return;
    if (known !== undefined) this.unsubscribe(known);
    this.subscribe(fresh);
  }

  private removeWorker(worker: string): void {
    const gone = this.workers.remove(worker);
    if (gone !== undefined) this.unsubscribe(gone);
  }

  private subscribe(candidate: Candidate): void {
    this.unsubscribe(candidate);
    if (candidate.record.ref === undefined) return;
    const ref = refOf<SubscribeLoad>(this.ctx.system, candidate.record.ref);
    this.monitored.set(this.ctx.monitor(ref), candidate);
    const subscriber = wireOf(this.ctx.system, this.ctx.self);
    ref.tell({ kind: "subscribe_load", subscriber });
  }

  /** The worker forgets us when it sees us go; here only the monitor has to end. */
  private unsubscribe(candidate: Candidate): void {
    for (const [monitor, watched] of this.monitored) {
      if (watched !== candidate) continue;
      this.ctx.demonitor(monitor);
      this.monitored.delete(monitor);
    }
  }

  override down(signal: Down): void {
    const candidate = this.monitored.get(signal.monitor);
    this.monitored.delete(signal.monitor);
    if (candidate !== undefined) this.suspect(candidate);
  }

  /**
   * A broken connection is not a death: the registry says when a worker is gone. Until it does,
   * or until the worker is heard of again, nothing is sent there.
   */
  private suspect(candidate: Candidate): void {
    if (candidate.suspect) return;
    candidate.suspect = true;
    this.ctx.after(SUBSCRIBE_AGAIN_MS, { kind: "subscribe_again", candidate });
  }

  private onSubscribeAgain(candidate: Candidate): void {
    const still_known = this.workers.get(candidate.record.worker) === candidate;
    if (!still_known || !candidate.suspect) return;
    this.subscribe(candidate);
    this.ctx.after(SUBSCRIBE_AGAIN_MS, { kind: "subscribe_again", candidate });
  }

  private serveWaiting(): void {
    for (const [request, waiting] of this.waiting) {
      const answer = this.plan(waiting.route);
      if (answer === undefined) continue;
      this.ctx.cancel(waiting.timer);
      this.waiting.delete(request);
      waiting.port.reply(answer);
    }
  }

  override terminate(): void {
    this.unwatch();
  }

  override inspect(): Snapshot {
    const workers = this.workers.all().map((each) => ({
      worker: each.record.worker,
      model: each.record.card?.name ?? "",
      in_flight: each.in_flight,
      suspect: each.suspect,
    }));
    const { waiting, routed_total, refused_total } = this;
    return { mode: this.options.mode, workers, waiting: waiting.size, routed_total, refused_total };
  }
}
