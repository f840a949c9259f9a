/**
 * The door's server over TLS. When certificate or key change, a new listener at the same port takes
 * the connections, and the one before goes on with those that it has: Bun's `reload` of a server
 * takes no other certificate (Bun 1.4.5, measured).
 *
 *   files change ─▶ new listener ─▶ the old one answers with `Connection: close` ─▶ it drains
 */
import type {
  Clock,
  Files,
  HttpExchange,
  HttpServeOptions,
  HttpServer,
  Log,
  Net,
} from "../../../runtime/capabilities.ts";
import { errorText } from "../../../runtime/error-text.ts";
import { FileWatch } from "../../../runtime/file-watch.ts";
import { checkTlsPair, type TlsPair } from "../../../runtime/tls-pair.ts";

export type TlsPaths = { readonly cert: string; readonly key: string };

export type TlsServerParts = {
  readonly net: Net;
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Log;
  readonly paths: TlsPaths;
  /** `share_port` is set by this server: two of its own listeners share the port for a moment. */
  readonly serve: Omit<HttpServeOptions, "tls" | "share_port">;
};

/** Clients with a kept connection hear in this time that it will be closed. */
const NOTICE_MS = 1_000;
const PEM_MOST_BYTES = 1024 * 1024;

type Listener = { readonly server: HttpServer; leaving: boolean };

/** Rejects as `net.serve` does, or when the files are no pair. */
export async function openTlsServer(parts: TlsServerParts): Promise<TlsServer> {
  const pair = await readPair(parts);
  const watch = new FileWatch(parts.files, [parts.paths.cert, parts.paths.key]);
  await watch.changed();
  return new TlsServer(parts, watch, pair, await listen(parts, pair, parts.serve.port));
}

export class TlsServer implements HttpServer {
  readonly #parts: TlsServerParts;
  readonly #watch: FileWatch;
  readonly #old = new Set<Listener>();
  #pair: TlsPair;
  #now: Listener;
  #looking = false;
  #over = false;

  constructor(parts: TlsServerParts, watch: FileWatch, pair: TlsPair, now: Listener) {
    this.#parts = parts;
    this.#watch = watch;
    this.#pair = pair;
    this.#now = now;
  }

  get host(): string {
    return this.#now.server.host;
  }

  get port(): number {
    return this.#now.server.port;
  }

  drain(): void {
    this.#over = true;
    this.#now.server.drain();
  }

  async close(): Promise<void> {
    this.#over = true;
    await Promise.all([this.#now, ...this.#old].map(({ server }) => server.close()));
  }

  /** To be called from time to time. Never rejects: a pair that is not right changes nothing. */
  async look(): Promise<void> {
    if (this.#looking || this.#over) return;
    this.#looking = true;
    const { log } = this.#parts;
    try {
      if (await this.#watch.changed()) await this.#renew();
    } catch (error) {
      log.log("error", `TLS: ${errorText(error)}; the certificate of before still holds`);
    } finally {
      this.#looking = false;
    }
  }

  async #renew(): Promise<void> {
    const { clock, log, paths } = this.#parts;
    const pair = await readPair(this.#parts);
    if (pair.cert === this.#pair.cert && pair.key === this.#pair.key) return;
    const next = await listen(this.#parts, pair, this.port);
    if (this.#over) {
      await next.server.close();
      return;
    }
    const before = this.#now;
    this.#pair = pair;
    this.#now = next;
    this.#old.add(before);
    before.leaving = true;
    clock.after(NOTICE_MS, () => before.server.drain());
    log.log("info", `${paths.cert} has changed: new connections get the new certificate`);
  }
}

async function readPair({ files, paths }: TlsServerParts): Promise<TlsPair> {
  const text = async (path: string) => {
    const bytes = await files.read(path, 0, PEM_MOST_BYTES);
    return new TextDecoder().decode(bytes);
  };
  const pair = { cert: await text(paths.cert), key: await text(paths.key) };
  checkTlsPair(pair, paths.cert, paths.key);
  return pair;
}

async function listen({ net, serve }: TlsServerParts, tls: TlsPair, port: number) {
  let listener: Listener | undefined;
  const fetch = async (request: Request, exchange: HttpExchange) => {
    const response = await serve.fetch(request, exchange);
    if (listener?.leaving === true) response.headers.set("Connection", "close");
    return response;
  };
  const server = await net.serve({ ...serve, port, fetch, tls, share_port: true });
  listener = { server, leaving: false };
  return listener;
}
