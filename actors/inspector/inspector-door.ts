/** The inspector's HTTP door, in the root process: loopback only unless asked otherwise. */
import type { InspectMessage, ProcessInfo, Tree } from "../../proto/index.ts";
import { Actor } from "../../runtime/actor.ts";
import type { HttpServer } from "../../runtime/capabilities.ts";
import type { Message } from "../../runtime/message.ts";
import type { Ref } from "../../runtime/ref.ts";
import { mergeTrees } from "./merge-trees.ts";

export type InspectorDoorOptions = {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** The inspector actors of all processes that are there now, the root's own first. */
  readonly processes: () => readonly Ref<InspectMessage>[];
  /** Called once it listens. */
  readonly listening: (host: string, port: number) => void;
};

/** A process that does not answer within this is left out of the tree rather than waited for. */
const answer_deadline_ms = 1_000;

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
      port,
      share_port: false,
      fetch: (request) => this.#answer(request),
    });
    this.#options.listening(this.#server.host, this.#server.port);
  }

  override receive(): void {}

  override async terminate(): Promise<void> {
    await this.#server?.close();
  }

  override inspect() {
    return { served: this.#served, port: this.#server?.port ?? 0 };
  }

  async #answer(request: Request): Promise<Response> {
    this.#served += 1;
    const { pathname } = new URL(request.url);
    if (request.method !== "GET") return json({ error: `${request.method} is not served` }, 405);
    switch (pathname) {
      case "/":
        return new Response("Troupe's inspector: GET /api/tree, GET /api/processes\n");
      case "/api/tree": {
        const [own, ...others] = await this.#trees();
        if (own === undefined) return json({ error: "the root does not answer" }, 503);
        return json({ nodes: mergeTrees(own, others) });
      }
      case "/api/processes":
        return json({ processes: await this.#processInfos() });
      default:
        return json({ error: `no ${pathname}; there are / , /api/tree and /api/processes` }, 404);
    }
  }

  async #trees(): Promise<Tree[]> {
    return this.#askAll((ref) =>
      this.ctx.system.ask(ref, { kind: "get_tree" }, { deadline_ms: answer_deadline_ms }),
    );
  }

  async #processInfos() {
    const infos = await this.#askAll<ProcessInfo>((ref) =>
      this.ctx.system.ask(ref, { kind: "get_process" }, { deadline_ms: answer_deadline_ms }),
    );
    return infos.map(({ kind: _kind, metrics: _metrics, ...info }) => info);
  }

  async #askAll<T>(ask: (ref: Ref<InspectMessage>) => Promise<T>): Promise<T[]> {
    const answers = await Promise.allSettled(this.#options.processes().map(ask));
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  }
}

function json(body: object, status = 200): Response {
  return Response.json(body, { status });
}
