/** The inspector's HTTP door, in the root process: loopback only unless asked otherwise. */
import type { InspectMessage, ProcessInfo, Tree } from "../../../proto/index.ts";
import type { HttpExchange, HttpServer, WebSocketLimits } from "../../../runtime/capabilities.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import { failed, guarded, json } from "./answers.ts";
import { ANSWER_DEADLINE_MS, type Door, type InspectorDoorOptions, type Place } from "./door.ts";
import { LiveHub, WAITING_BYTES_MAX } from "./live/live-hub.ts";
import { topics } from "./live/topics.ts";
import { mayAct } from "./may-act.ts";
import { allowOf, RouteTable, routeMethods } from "./route.ts";
import { routesFor, usage } from "./routes.ts";
import { checkRequest } from "./security.ts";

/** Pages are small and few; whoever opens more is told to close one. */
const webSockets: WebSocketLimits = {
  count_max: 32,
  message_bytes_max: 4 * 1024,
  idle_ms: 60_000,
  waiting_bytes_max: 4 * WAITING_BYTES_MAX,
};

export class InspectorDoor extends Actor<Message> implements Door {
  readonly options: InspectorDoorOptions;
  readonly passing = { count: 0 };
  readonly planners = { seen: false };
  readonly #table: RouteTable;
  #server: HttpServer | undefined;
  #live: LiveHub | undefined;
  #served = 0;

  constructor(options: InspectorDoorOptions) {
    super();
    this.options = options;
    this.#table = new RouteTable(routesFor(options));
  }

  override async init(): Promise<void> {
    const { host, port, listening } = this.options;
    this.#live = new LiveHub({ door: this, clock: this.ctx.clock, log: this.ctx.log }, topics);
    this.#server = await this.ctx.capabilities.net.serve({
      host,
      port: port(),
      share_port: false,
      web_sockets: webSockets,
      fetch: async (request, exchange) => guarded(await this.#answer(request, exchange)),
    });
    listening(this.#server.host, this.#server.port);
  }

  override receive(): void {}

  override release(): void {
    this.#live?.close();
    void this.#server?.close();
  }

  override inspect() {
    const { pages = 0, watched = [] } = this.#live ?? {};
    const passing = this.passing.count;
    return { served: this.#served, port: this.#server?.port ?? 0, pages, watched, passing };
  }

  async #answer(request: Request, exchange: HttpExchange): Promise<Response> {
    this.#served += 1;
    const { host, allow_hosts = [], acting } = this.options;
    const checked = checkRequest(request, { listens: host, allow_hosts });
    if ("refused" in checked) return failed(checked.refused, 403);
    const { url } = checked;
    const found = this.#table.find(url.pathname);
    if (found === undefined) return failed(`no ${url.pathname}; ${usage().trim()}`, 404);
    const { route, params } = found;
    const allow = allowOf(route);
    if (request.method === "OPTIONS") {
      return new Response(null, { status: 204, headers: { allow } });
    }
    const asked = request.method === "HEAD" ? "GET" : request.method;
    const method = routeMethods.find((each) => each === asked);
    const handler = method && route.on[method];
    if (handler === undefined) {
      const error = `${request.method} is not served at ${url.pathname}; it takes ${allow}`;
      return json({ error }, 405, { allow });
    }
    if (method !== "GET" && route.changes_nothing !== true) {
      const refusal = mayAct(request, acting);
      if (refusal !== undefined) return failed(refusal.error, refusal.status);
    }
    return handler({ request, url, params, exchange }, this);
  }

  // ---- for routes ----------------------------------------------------------------------------

  get system(): ActorSystem {
    return this.ctx.system;
  }

  get path(): string {
    return this.ctx.self.address.path;
  }

  get live(): LiveHub {
    return this.#live!;
  }

  trees(): Promise<Tree[]> {
    return this.askAll((ref) =>
      this.system.ask(ref, { kind: "get_tree" }, { deadline_ms: ANSWER_DEADLINE_MS }),
    );
  }

  processInfos(): Promise<ProcessInfo[]> {
    return this.askAll<ProcessInfo>((ref) =>
      this.system.ask(ref, { kind: "get_process" }, { deadline_ms: ANSWER_DEADLINE_MS }),
    );
  }

  inspectorOf(node: string): Ref<InspectMessage> | undefined {
    return this.options.processes().find((ref) => ref.address.node === node);
  }

  async snapshotOf({ node, path }: Place) {
    const owner = this.inspectorOf(node);
    if (owner === undefined) return undefined;
    const question = { kind: "get_snapshot", path } as const;
    const answer = await this.system
      .ask(owner, question, { deadline_ms: ANSWER_DEADLINE_MS })
      .catch(() => undefined);
    const snapshot: unknown = answer?.found ? JSON.parse(answer.json) : null;
    return snapshot === null ? undefined : (snapshot as Readonly<Record<string, unknown>>);
  }

  async askAll<T>(ask: (ref: Ref<InspectMessage>) => Promise<T>): Promise<T[]> {
    const answers = await Promise.allSettled(this.options.processes().map(ask));
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  }
}
