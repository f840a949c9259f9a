/**
 * The front of a router that has a process of its own: frontends ask here over the wire.
 *
 *   streams of many frontends ── Route, RouteFirst, RouteEnded ──▶ desk ──▶ router
 *                                                     Down ────────┘ (ends what that one asked for)
 *
 * A router inside a frontend ends with it, and so do its counts. A hosted router lives on: the desk
 * remembers the asker of each request, and ends the request when the asker is gone.
 */
import type { ActorRef, Plan, Refused, Route, RouterMessage, SetBusy } from "../../proto/index.ts";
import { Actor, type Down, type Snapshot } from "../../runtime/kernel/actor.ts";
import { AskError } from "../../runtime/kernel/errors.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { refOf } from "../../runtime/remote/node.ts";
import { SlotMap } from "../../runtime/slot-map.ts";
import { workerKey } from "../names/names.ts";

export type RouterDeskOptions = {
  /** The router of this process as it is now; undefined while it is being restarted. */
  readonly router: () => Ref<RouterMessage> | undefined;
  /** Requests of the desk before this one, which crashed: no asker will report their ends. */
  readonly left_over?: readonly string[];
};

type Asker = { readonly key: string; readonly monitor: number; readonly requests: Set<string> };
type Asked = { readonly asker: Asker | undefined };

const PASS_MS = 2_000;
const REQUESTS = "troupe_router_desk_requests";

export class RouterDesk extends Actor<RouterMessage> {
  readonly #options: RouterDeskOptions;
  /** Askers by the key of their life. */
  readonly #askers = new Map<string, Asker>();
  /** Asked for, and not ended. */
  readonly #asked = new SlotMap<string, Asked>();

  constructor(options: RouterDeskOptions) {
    super();
    this.#options = options;
  }

  /** Asked for, and not ended. */
  get requests(): readonly string[] {
    return [...this.#asked.keys()];
  }

  /** True: the request's asker still lives and has not ended it. */
  readonly isLive = (request: string): boolean => this.#asked.has(request);

  override init(): void {
    const help =
      "Requests that frontends have asked this hosted router for and that have not ended.";
    this.ctx.system.metrics.gauge(REQUESTS, help, {}, () => this.#asked.size);
    // Before the first request: askers that ask again are placed again.
    for (const request of this.#options.left_over ?? []) this.#cancel(request);
  }

  override release(): void {
    this.ctx.system.metrics.remove(REQUESTS, {});
  }

  override receive(message: RouterMessage): void {
    switch (message.kind) {
      case "route":
        this.#onRoute(message);
        break;
      case "route_first":
        this.#options.router()?.tell(message);
        break;
      case "route_ended":
        this.#forget(message.request);
        this.#options.router()?.tell(message);
        break;
      case "set_busy":
        this.#pass(message);
        break;
      // Workers, other routers and roots talk to the router itself.
      case "set_weights":
      case "worker_load":
      case "worker_news":
      case "kv_events":
      case "router_join":
      case "router_news":
        break;
    }
  }

  #pass(message: SetBusy): void {
    const router = this.#options.router();
    const port = this.ctx.replyLater();
    if (router === undefined) {
      port.fail("down", "the router is being restarted");
      return;
    }
    this.ctx.ask(router, message, { deadline_ms: PASS_MS }).then(
      (reply) => port.reply(reply),
      (error: unknown) => port.fail("down", String(error)),
    );
  }

  #onRoute(route: Route): void {
    const router = this.#options.router();
    const port = this.ctx.replyLater();
    if (router === undefined) {
      port.fail("down", "the router is being restarted");
      return;
    }
    const asked = this.#remember(route);
    const left_ms = (this.ctx.deadline_ms ?? Number.POSITIVE_INFINITY) - this.ctx.clock.now_ms();
    this.ctx.ask(router, route, { deadline_ms: Math.max(0, left_ms) }).then(
      (reply: Plan | Refused) => {
        if (reply.kind === "refused") this.#forget(route.request, asked);
        port.reply(reply);
      },
      (error: unknown) => {
        this.#forget(route.request, asked);
        if (error instanceof AskError) port.fail(error.code, error.message);
        else port.fail("down", String(error));
      },
    );
  }

  #remember({ request, asker }: Route): Asked {
    this.#forget(request);
    const asked = { asker: asker && this.#askerOf(asker) };
    asked.asker?.requests.add(request);
    this.#asked.set(request, asked);
    return asked;
  }

  /** `only`: drops just this ask, because a later ask for the same request may be live. */
  #forget(request: string, only?: Asked): void {
    const asked = this.#asked.get(request);
    if (asked === undefined || (only !== undefined && only !== asked)) return;
    this.#asked.delete(request);
    asked.asker?.requests.delete(request);
  }

  #askerOf(wire: ActorRef): Asker {
    const key = workerKey(wire.node + wire.path, wire);
    const known = this.#askers.get(key);
    if (known !== undefined) return known;
    const monitor = this.ctx.monitor(refOf(this.ctx.system, wire));
    const asker = { key, monitor, requests: new Set<string>() };
    this.#askers.set(key, asker);
    return asker;
  }

  override down({ monitor }: Down): void {
    for (const { key, requests, monitor: own } of this.#askers.values()) {
      if (own !== monitor) continue;
      this.#askers.delete(key);
      for (const request of requests) {
        this.#asked.delete(request);
        this.#cancel(request);
      }
      return;
    }
  }

  #cancel(request: string): void {
    const ended = { worker: "", outcome: "cancelled", output_tokens: 0 } as const;
    this.#options.router()?.tell({ kind: "route_ended", request, ...ended });
  }

  override inspect(): Snapshot {
    return { askers: this.#askers.size, requests: this.#asked.size };
  }
}
