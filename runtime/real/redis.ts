/** ioredis behind RedisCalls. It reads clocks by itself: real processes only. */
import { readFileSync } from "node:fs";
import { Redis, type RedisOptions } from "ioredis";
import { type PlaneUrl, PlaneUrlError, planeUrl, redisSchemes } from "../plane-url.ts";
import {
  type RedisArgument,
  RedisAway,
  type RedisCalls,
  type RedisValue,
} from "../store/redis-calls.ts";

type RedisClientOptions = {
  readonly url: string;
  readonly client_name: string;
  readonly env: Readonly<Record<string, string | undefined>>;
};

const DIAL_TIMEOUT_MS = 2_000;
/** A server that is frozen is as good as away. */
const CALL_TIMEOUT_MS = 2_000;
const AGAIN_MS = 250;

/** Never throws for a server that is not there: it goes on trying. Throws PlaneUrlError. */
export function redisClient(options: RedisClientOptions): RedisClient {
  return new RedisClient(options);
}

class RedisClient implements RedisCalls {
  readonly name: string;
  readonly #commands: Redis;
  /** A connection that listens can do nothing else. */
  readonly #bells: Redis;
  readonly #takers = new Map<string, Set<() => void>>();
  readonly #listeners = new Set<(up: boolean) => void>();
  #up = false;
  #lastError = "it has not answered yet";

  constructor({ url, client_name, env }: RedisClientOptions) {
    const where = planeUrl(url, redisSchemes);
    this.name = where.name;
    const options = clientOptions(where, client_name, env);
    this.#commands = new Redis(options);
    this.#bells = new Redis({ ...options, connectionName: `${client_name}-bell` });
    for (const redis of [this.#commands, this.#bells]) {
      redis.on("error", (error: Error) => {
        this.#lastError = error.message;
      });
    }
    this.#commands.on("ready", () => this.#setUp(true));
    this.#commands.on("close", () => this.#setUp(false));
    this.#bells.on("message", (channel: string) => {
      for (const take of this.#takers.get(channel) ?? []) take();
    });
    this.#bells.on("ready", () => {
      const channels = [...this.#takers.keys()];
      if (channels.length > 0) this.#bells.subscribe(...channels).catch(() => {});
    });
  }

  get up(): boolean {
    return this.#up;
  }

  /** Resolves when it is up; rejects with the reason why it is not, after `timeout_ms`. */
  async ready(timeout_ms: number): Promise<void> {
    const until_ms = performance.now() + timeout_ms;
    while (!this.#up) {
      if (performance.now() > until_ms) throw new RedisAway(this.#lastError);
      await Bun.sleep(10);
    }
  }

  async call(command: string, args: readonly RedisArgument[]): Promise<RedisValue> {
    if (!this.#up) throw new RedisAway(`Redis at ${this.name} is away: ${this.#lastError}`);
    const given = args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg) : arg));
    return (await this.#commands.callBuffer(command, ...given)) as RedisValue;
  }

  subscribe(channel: string, take: () => void): () => void {
    const takers = this.#takers.get(channel) ?? new Set();
    this.#takers.set(channel, takers.add(take));
    if (this.#bells.status === "ready") this.#bells.subscribe(channel).catch(() => {});
    return () => takers.delete(take);
  }

  onState(listener: (up: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#commands.disconnect();
    this.#bells.disconnect();
  }

  #setUp(up: boolean): void {
    if (this.#up === up) return;
    this.#up = up;
    if (!up) this.#lastError = "the connection broke";
    for (const listener of this.#listeners) listener(up);
  }
}

function clientOptions(
  { host, port, user, password, path, tls, tls_files }: PlaneUrl,
  connectionName: string,
  env: RedisClientOptions["env"],
): RedisOptions {
  const username = user ?? env["REDIS_USERNAME"];
  const secret = password ?? env["REDIS_PASSWORD"];
  if (!/^\d*$/.test(path)) {
    throw new PlaneUrlError(`"/${path}" is no database: it is a number, as in redis://host:6379/0`);
  }
  return {
    host,
    port,
    connectionName,
    db: Number(path || 0),
    ...(username === undefined ? {} : { username }),
    ...(secret === undefined ? {} : { password: secret }),
    ...(tls ? { tls: tlsFiles(tls_files) } : {}),
    connectTimeout: DIAL_TIMEOUT_MS,
    commandTimeout: CALL_TIMEOUT_MS,
    retryStrategy: () => AGAIN_MS,
    // While Redis is away a call fails at once, and its caller decides what to do.
    enableOfflineQueue: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  };
}

function tlsFiles(files: PlaneUrl["tls_files"]): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(files).map(([name, path]) => {
      try {
        return [name, readFileSync(path)];
      } catch {
        throw new PlaneUrlError(`there is no readable file ${path}, which ?${name}= names`);
      }
    }),
  );
}
