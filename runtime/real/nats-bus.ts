/** The official NATS client as a Bus. It reads clocks by itself: real processes only. */

import {
  connect,
  type NatsConnection,
  type NodeConnectionOptions,
  RequestError,
  type Subscription,
  TimeoutError,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import { errorText } from "../error-text.ts";
import { natsSchemes, type PlaneUrl, planeUrls } from "../plane-url.ts";
import { type Bus, BusError } from "../transport/bus.ts";

type NatsBusOptions = {
  /** Several servers of one cluster with commas between them. */
  readonly url: string;
  /** Shown by the server's own monitoring. */
  readonly client_name: string;
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** Quick enough that a frozen server is noticed before the peers behind it are given up. */
const ping = { pingInterval: 1_000, maxPingOut: 2 };
const AGAIN_MS = 250;
/** Before a close, the last messages have this long to go out. */
const FLUSH_MS = 200;
const DIAL_TIMEOUT_MS = 2_000;
/** Used until the server has told its own limit. */
const PAYLOAD_LIMIT_BYTES = 1024 * 1024;

type Held = {
  readonly subject: string;
  readonly take: (bytes: Uint8Array, respond: (bytes: Uint8Array) => void) => void;
  subscription: Subscription | undefined;
};

/** Never throws for a server that is not there: it goes on trying. Throws PlaneUrlError. */
export function natsBus(options: NatsBusOptions): NatsBus {
  return new NatsBus(options);
}

class NatsBus implements Bus {
  readonly name: string;
  readonly #options: NodeConnectionOptions;
  readonly #held = new Set<Held>();
  readonly #listeners = new Set<(up: boolean) => void>();
  #connection: NatsConnection | undefined;
  #up = false;
  #closed = false;
  #lastError = "it has not answered yet";

  constructor({ url, client_name, env }: NatsBusOptions) {
    const urls = planeUrls(url, natsSchemes);
    this.name = urls.map(({ name }) => name).join(",");
    this.#options = connectionOptions(urls, client_name, env);
    void this.#stay();
  }

  get up(): boolean {
    return this.#up;
  }

  get own_host(): string | undefined {
    return this.#connection?.info?.client_ip;
  }

  get payload_limit_bytes(): number {
    return this.#connection?.info?.max_payload ?? PAYLOAD_LIMIT_BYTES;
  }

  /** Resolves when it is up; rejects with the reason why it is not, after `timeout_ms`. */
  async ready(timeout_ms: number): Promise<void> {
    const until_ms = performance.now() + timeout_ms;
    while (!this.#up) {
      if (performance.now() > until_ms) throw new BusError("away", this.#lastError);
      await Bun.sleep(10);
    }
  }

  publish(subject: string, bytes: Uint8Array): void {
    if (!this.#up) return;
    try {
      this.#connection?.publish(subject, bytes);
    } catch (error) {
      // The connection is closing, so the message is lost as any later one is.
      this.#lastError = errorText(error);
    }
  }

  subscribe(subject: string, take: (bytes: Uint8Array) => void): () => void {
    return this.#hold({ subject, take: (bytes) => take(bytes), subscription: undefined });
  }

  answer(subject: string, answer: (bytes: Uint8Array) => Uint8Array): () => void {
    const take = (bytes: Uint8Array, respond: (bytes: Uint8Array) => void) =>
      respond(answer(bytes));
    return this.#hold({ subject, take, subscription: undefined });
  }

  async ask(subject: string, bytes: Uint8Array, timeout_ms: number): Promise<Uint8Array> {
    const connection = this.#connection;
    if (connection === undefined || !this.#up) {
      throw new BusError("away", `the NATS server ${this.name} is away: ${this.#lastError}`);
    }
    try {
      return plain((await connection.request(subject, bytes, { timeout: timeout_ms })).data);
    } catch (error) {
      if (error instanceof RequestError && error.isNoResponders()) {
        throw new BusError("nobody", "nobody listens there");
      }
      if (error instanceof TimeoutError) {
        throw new BusError("late", `no answer within ${timeout_ms} ms`);
      }
      throw new BusError("away", errorText(error));
    }
  }

  async settled(): Promise<void> {
    // A connection that breaks meanwhile subscribes again by itself.
    await this.#connection?.flush().catch(() => {});
  }

  onState(listener: (up: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#setUp(false);
    const last = this.#connection?.flush().catch(() => {});
    await Promise.race([last, Bun.sleep(FLUSH_MS)]);
    await this.#connection?.close();
  }

  #hold(held: Held): () => void {
    this.#held.add(held);
    if (this.#connection !== undefined) this.#subscribe(this.#connection, held);
    return () => {
      this.#held.delete(held);
      held.subscription?.unsubscribe();
    };
  }

  #subscribe(connection: NatsConnection, held: Held): void {
    held.subscription = connection.subscribe(held.subject, {
      callback: (error, message) => {
        if (error !== null) return;
        held.take(plain(message.data), (bytes) => void message.respond(bytes));
      },
    });
  }

  /** The client reconnects by itself; one that gave up is replaced by another. */
  async #stay(): Promise<void> {
    while (!this.#closed) {
      try {
        const connection = await connect(this.#options);
        this.#connection = connection;
        for (const held of this.#held) this.#subscribe(connection, held);
        this.#setUp(true);
        await this.#watch(connection);
      } catch (error) {
        this.#lastError = errorText(error);
      }
      this.#connection = undefined;
      this.#setUp(false);
      if (!this.#closed) await Bun.sleep(AGAIN_MS);
    }
  }

  /** Resolves when the connection is closed for good. */
  async #watch(connection: NatsConnection): Promise<void> {
    if (this.#closed) await connection.close();
    for await (const status of connection.status()) {
      if (status.type === "disconnect" || status.type === "staleConnection") {
        this.#lastError = "the connection broke";
        this.#setUp(false);
      } else if (status.type === "reconnect") {
        this.#setUp(true);
      } else if (status.type === "error") {
        this.#lastError = errorText(status.error);
      }
    }
    const error = await connection.closed();
    if (error instanceof Error) this.#lastError = errorText(error);
  }

  #setUp(up: boolean): void {
    if (this.#up === up) return;
    this.#up = up;
    for (const listener of this.#listeners) listener(up);
  }
}

/** Options that the URL lacks, from variables with Dynamo's names. */
function connectionOptions(
  urls: readonly PlaneUrl[],
  name: string,
  env: NatsBusOptions["env"],
): NodeConnectionOptions {
  const first = urls[0] as PlaneUrl;
  const user = first.user ?? env["NATS_AUTH_USERNAME"];
  const password = first.password ?? env["NATS_AUTH_PASSWORD"];
  const bearer = user === undefined ? (first.password ?? env["NATS_AUTH_TOKEN"]) : undefined;
  const { ca, cert, key } = first.tls_files;
  return {
    name,
    servers: urls.map(({ host, port }) =>
      host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
    ),
    ...ping,
    timeout: DIAL_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: AGAIN_MS,
    reconnectJitter: 100,
    reconnectJitterTLS: 100,
    ignoreAuthErrorAbort: true,
    // Other servers of a cluster that it names may not be reachable from here.
    ignoreClusterUpdates: urls.length === 1,
    ...(bearer !== undefined ? { authenticator: tokenAuthenticator(bearer) } : {}),
    ...(user !== undefined ? { authenticator: usernamePasswordAuthenticator(user, password) } : {}),
    ...(first.tls
      ? {
          tls: {
            ...(ca === undefined ? {} : { caFile: ca }),
            ...(cert === undefined ? {} : { certFile: cert }),
            ...(key === undefined ? {} : { keyFile: key }),
          },
        }
      : {}),
  };
}

/** The client hands out Node's Buffers, whose `slice` is no copy: nobody here expects that. */
const plain = (bytes: Uint8Array) => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
