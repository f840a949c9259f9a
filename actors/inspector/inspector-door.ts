/** The inspector's HTTP door, in the root process: loopback only unless asked otherwise. */
import type { InspectMessage, ProcessInfo, Tree } from "../../proto/index.ts";
import type { HttpServer } from "../../runtime/capabilities.ts";
import { Actor } from "../../runtime/kernel/actor.ts";
import type { Message } from "../../runtime/kernel/message.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { controlActions } from "../../runtime/kernel/system.ts";
import type { PlaneState } from "../../runtime/planes.ts";
import { isAllowedHost } from "./allowed-host.ts";
import { clusterMetrics } from "./cluster-metrics.ts";
import { kvPage, type Said } from "./kv-page.ts";
import { mergeTrees } from "./merge-trees.ts";
import { workerActors, workerRoles } from "./process-inspector.ts";

export type InspectorDoorOptions = {
  readonly host: string;
  /** Called at each start; 0: any free port. */
  readonly port: () => number;
  /** Names in a request's Host that are taken beside loopback and `host`. */
  readonly allow_hosts?: readonly string[];
  /** The inspector actors of all processes that are there now, the root's own first. */
  readonly processes: () => readonly Ref<InspectMessage>[];
  /** With several machines: the planes, and which of them answer now. */
  readonly planes?: () => readonly PlaneState[];
  /** Called once it listens. */
  readonly listening: (host: string, port: number) => void;
};

/** A process that does not answer within this is left out of the tree rather than waited for. */
const ANSWER_DEADLINE_MS = 1_000;

export class InspectorDoor extends Actor<Message> {
  readonly #options: InspectorDoorOptions;
  #server: HttpServer | undefined;
  #served = 0;

  constructor(options: InspectorDoorOptions) {
    super();
    this.#options = options;
  }

  override async init(): Promise<void> {
    const { host, port } = this.#options;
    this.#server = await this.ctx.capabilities.net.serve({
      host,
      port: port(),
      share_port: false,
      fetch: (request) => this.#answer(request),
    });
    this.#options.listening(this.#server.host, this.#server.port);
  }

  override receive(): void {}

  override release(): void {
    void this.#server?.close();
  }

  override inspect() {
    return { served: this.#served, port: this.#server?.port ?? 0 };
  }

  async #answer(request: Request): Promise<Response> {
    this.#served += 1;
    const { host, allow_hosts = [] } = this.#options;
    const named = request.headers.get("host");
    // Bun builds the URL from the Host header, so an invalid header gives no URL.
    const url = isAllowedHost(named, host, allow_hosts) ? URL.parse(request.url) : null;
    if (url === null) return json({ error: otherHost(named) }, 403);
    const { pathname } = url;
    const allow = allowedAt(pathname);
    if (request.method === "POST" && allow.startsWith("POST")) {
      return this.#change(request, pathname);
    }
    if (!isServed(pathname)) return json({ error: `no ${pathname}; ${usage.trim()}` }, 404);
    if (request.method === "OPTIONS") {
      return new Response(null, { status: 204, headers: { allow } });
    }
    if (!["GET", "HEAD"].includes(request.method) || !allow.startsWith("GET")) {
      const error = `${request.method} is not served at ${pathname}; it takes ${allow}`;
      return json({ error }, 405, { allow });
    }
    return this.#read(pathname);
  }

  async #read(pathname: string): Promise<Response> {
    const place = readPlace(pathname);
    if (place !== undefined) return this.#snapshot(place);
    switch (pathname) {
      case "/":
        return new Response(usage);
      case "/api/tree": {
        const [own, ...others] = await this.#trees();
        if (own === undefined) return json({ error: "the root does not answer" }, 503);
        return json({ nodes: mergeTrees(own, others) });
      }
      case "/api/processes":
        return json({ processes: (await this.#processInfos()).map(withoutMetrics) });
      case "/metrics": {
        const text = await clusterMetrics(this.ctx.system, this.#options.processes());
        return new Response(text, { headers: { "content-type": PROMETHEUS_TEXT } });
      }
      case "/api/planes":
        return json({ planes: this.#options.planes?.() ?? [] });
      case "/api/kv":
        return json(kvPage(...(await this.#saidOfBlocks())));
      case "/api/orphans":
        return json(orphansOf(await this.#processInfos()));
      default:
        return json({ error: `no ${pathname}; ${usage.trim()}` }, 404);
    }
  }

  async #snapshot({ node, path }: Place): Promise<Response> {
    const owner = this.#options.processes().find((ref) => ref.address.node === node);
    if (owner === undefined) return json({ error: `there is no process ${node}` }, 404);
    const question = { kind: "get_snapshot", path } as const;
    try {
      const answer = await this.ctx.system.ask(owner, question, {
        deadline_ms: ANSWER_DEADLINE_MS,
      });
      if (!answer.found)
        return json({ error: `${node} has no ${path} that shows a snapshot` }, 404);
      return json({ node, path, snapshot: JSON.parse(answer.json) });
    } catch (error) {
      return json({ error: `${node} does not answer: ${(error as Error).message}` }, 503);
    }
  }

  /** A page of another site must not be able to do this with its visitor's browser. */
  async #change(request: Request, pathname: string): Promise<Response> {
    if (!isOwnPage(request)) {
      return json({ error: "refused: the request comes from another site's page" }, 403);
    }
    const command = readCommand(pathname);
    if (command === undefined) return json({ error: `no such action; ${usage.trim()}` }, 404);
    const { action } = command;
    const { node, path } = inside.includes(action) ? await this.#insideOf(command) : command;
    const owner = this.#options.processes().find((ref) => ref.address.node === node);
    if (owner === undefined) return json({ error: `there is no process ${node}` }, 404);
    const control = { kind: "control_actor", path, action } as const;
    try {
      const { done } = await this.ctx.system.ask(owner, control, {
        deadline_ms: ANSWER_DEADLINE_MS,
      });
      if (done) return json({ node, path, action, done });
      return json({ error: `${node} has no ${path} that can ${action}` }, 404);
    } catch (error) {
      return json({ error: `${node} does not answer: ${(error as Error).message}` }, 503);
    }
  }

  /** The actors inside a process do it, so the command goes to its inspector. */
  async #insideOf(place: Place): Promise<Place> {
    const owner = this.#options.processes().find((ref) => ref.address.node === place.node);
    if (owner === undefined) return place;
    const question = { kind: "get_snapshot", path: place.path } as const;
    const answer = await this.ctx.system
      .ask(owner, question, { deadline_ms: ANSWER_DEADLINE_MS })
      .catch(() => undefined);
    const { node, pid } = JSON.parse(answer?.json ?? "{}") ?? {};
    const isProcess = typeof node === "string" && typeof pid === "number";
    return isProcess ? { node, path: "" } : place;
  }

  /** Of all workers, and of all keepers of blocks. */
  async #saidOfBlocks(): Promise<[workers: Said[], keepers: Said[]]> {
    const trees = await this.#trees();
    const said = (roles: readonly string[]) => {
      const places = trees.flatMap(({ node, nodes }) =>
        nodes
          .filter(({ kind, role }) => kind === "actor" && roles.includes(role))
          .map(({ path }) => ({ node, path })),
      );
      return Promise.all(places.map((place) => this.#said(place)));
    };
    const [workers, keepers] = await Promise.all([said(workerActors), said(["kv"])]);
    return [workers.filter((each) => each !== undefined), keepers.filter((each) => !!each)];
  }

  async #said({ node, path }: Place): Promise<Said | undefined> {
    const owner = this.#options.processes().find((ref) => ref.address.node === node);
    if (owner === undefined) return undefined;
    const question = { kind: "get_snapshot", path } as const;
    const answer = await this.ctx.system
      .ask(owner, question, { deadline_ms: ANSWER_DEADLINE_MS })
      .catch(() => undefined);
    const snapshot = answer?.found ? (JSON.parse(answer.json) as Said["snapshot"] | null) : null;
    return snapshot === null ? undefined : { node, snapshot };
  }

  async #trees(): Promise<Tree[]> {
    return this.#askAll((ref) =>
      this.ctx.system.ask(ref, { kind: "get_tree" }, { deadline_ms: ANSWER_DEADLINE_MS }),
    );
  }

  #processInfos(): Promise<ProcessInfo[]> {
    return this.#askAll<ProcessInfo>((ref) =>
      this.ctx.system.ask(ref, { kind: "get_process" }, { deadline_ms: ANSWER_DEADLINE_MS }),
    );
  }

  async #askAll<T>(ask: (ref: Ref<InspectMessage>) => Promise<T>): Promise<T[]> {
    const answers = await Promise.allSettled(this.#options.processes().map(ask));
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  }
}

type Place = { readonly node: string; readonly path: string };

/** Those that the actors inside a process carry out. */
const inside: readonly string[] = ["drain", ...workerRoles];
const actions = [...controlActions, "drain", ...workerRoles] as const;

const usage = `Troupe's inspector: GET /api/tree, /api/processes, /api/planes, /api/orphans, /api/kv, \
/metrics, /api/actors/ID/snapshot, POST /api/actors/ID/{${actions.join(",")}}
`;

function orphansOf(infos: readonly { readonly node: string; readonly orphans: number }[]) {
  const processes = infos.map(({ node, orphans }) => ({ node, orphans }));
  return { orphans: processes.reduce((sum, { orphans }) => sum + orphans, 0), processes };
}

const PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8";

const withoutMetrics = ({ kind: _kind, metrics: _metrics, ...info }: ProcessInfo) => info;

/** `/api/actors/ID/ACTION`; an id is a node's name and a path, with or without %2F for its slashes. */
function readCommand(pathname: string) {
  const found = /^\/api\/actors\/(.+)\/([a-z]+)$/.exec(pathname);
  const id = decoded(found?.[1] ?? "");
  const slash = id.indexOf("/");
  const action = actions.find((name) => name === found?.[2]);
  if (slash <= 0 || action === undefined) return undefined;
  return { node: id.slice(0, slash), path: id.slice(slash), action };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `/api/actors/ID/snapshot`. */
function readPlace(pathname: string): Place | undefined {
  const id = decoded(/^\/api\/actors\/(.+)\/snapshot$/.exec(pathname)?.[1] ?? "");
  const slash = id.indexOf("/");
  return slash <= 0 ? undefined : { node: id.slice(0, slash), path: id.slice(slash) };
}

const reads = [
  ...["/", "/api/tree", "/api/processes", "/api/planes", "/api/orphans", "/api/kv", "/metrics"],
];

const isServed = (pathname: string): boolean =>
  reads.includes(pathname) ||
  readPlace(pathname) !== undefined ||
  readCommand(pathname) !== undefined;

const allowedAt = (pathname: string): string =>
  pathname.startsWith("/api/actors/") && !pathname.endsWith("/snapshot")
    ? "POST, OPTIONS"
    : "GET, HEAD, OPTIONS";

/** A browser names the page that sends a POST; its host must be the one that was asked. */
function isOwnPage(request: Request): boolean {
  const origin = request.headers.get("origin");
  return origin === null || URL.parse(origin)?.host === new URL(request.url).host;
}

const otherHost = (named: string | null) =>
  `refused: ${
    named === null
      ? "the request has no Host header, and it must have"
      : `the Host header says ${JSON.stringify(named.slice(0, 128))}, which is not`
  } a name of this inspector. ` +
  "Use localhost, 127.0.0.1 or the address of --inspector-host, or start " +
  "the cluster with --inspector-allow-host NAME.";

function json(
  body: object,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json(body, { status, headers });
}
