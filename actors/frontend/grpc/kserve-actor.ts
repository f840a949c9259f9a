/** Owns the port of KServe's gRPC, whose requests go to the door of this frontend. */
import type { Files, HttpServer } from "../../../runtime/capabilities.ts";
import type { ServeGrpc } from "../../../runtime/grpc.ts";
import { Actor, type Snapshot } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import { checkTlsPair, type TlsPair } from "../../../runtime/tls-pair.ts";
import { TransportError } from "../../../runtime/transport/transport.ts";
import type { TlsPaths } from "../http/tls-server.ts";
import { kserveMethods } from "./kserve.ts";

/** The way into the door as it is now; undefined while it is between two lives. */
export type Entrance = () => ((request: Request) => Promise<Response>) | undefined;

export type KserveOptions = {
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsPaths | undefined;
  readonly serve: ServeGrpc;
  readonly entrance: Entrance;
  /** Where a route is, whose path in the tables is `path`. */
  readonly pathOf: (path: string) => string;
  readonly version: string;
  readonly message_bytes: number;
};

export class KserveActor extends Actor<Message> {
  readonly #options: KserveOptions;
  #server: HttpServer | undefined;

  constructor(options: KserveOptions) {
    super();
    this.#options = options;
  }

  override async init(): Promise<void> {
    const { host, port, tls, serve, entrance, pathOf, version, message_bytes } = this.#options;
    const methods = kserveMethods({ entrance, pathOf, version });
    const pair = tls && (await readPair(this.ctx.capabilities.files, tls));
    const secured = pair === undefined ? {} : { tls: pair };
    try {
      this.#server = await serve({ host, port, message_bytes, methods, ...secured });
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      throw new TransportError(error.code, `--kserve-grpc-port ${port}: ${error.message}`);
    }
  }

  override receive(): void {}

  override async terminate(): Promise<void> {
    this.#server?.drain();
  }

  override release(): void {
    void this.#server?.close();
  }

  override inspect(): Snapshot {
    return { host: this.#options.host, port: this.#server?.port ?? 0 };
  }
}

async function readPair(files: Files, paths: TlsPaths): Promise<TlsPair> {
  const text = async (path: string) => new TextDecoder().decode(await files.read(path));
  const pair = { cert: await text(paths.cert), key: await text(paths.key) };
  checkTlsPair(pair, paths.cert, paths.key);
  return pair;
}
