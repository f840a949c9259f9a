/**
 * Records in Redis, for several machines: values in a hash, keys in a sorted set with one score,
 * which Redis keeps in byte order. Both change in one transaction.
 */
import type { Store } from "../capabilities.ts";
import { bytesOf, listOf, type RedisCalls, type RedisValue, textOf } from "./redis-calls.ts";

/** How a bound of ZRANGEBYLEX begins: `[` or `(`. */
const INCLUSIVE = 0x5b;
const EXCLUSIVE = 0x28;
const bound = (sign: number, prefix: string, ...more: number[]): Uint8Array =>
  Uint8Array.of(sign, ...Buffer.from(prefix), ...more);

const PUT_SCRIPT = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
`;
const CREATE_SCRIPT = `
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return 1
`;
const REPLACE_SCRIPT = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
`;
const DELETE_SCRIPT = `
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
`;

export class RedisStore implements Store {
  readonly #redis: RedisCalls;
  readonly #values: string;
  readonly #keys: string;

  /** `prefix` has the cluster's namespace in it. Does not close `redis`: others may use it. */
  constructor(redis: RedisCalls, prefix: string) {
    this.#redis = redis;
    this.#values = `{${prefix}}:store:values`;
    this.#keys = `{${prefix}}:store:keys`;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const value = await this.#redis.call("HGET", [this.#values, key]);
    return value === null ? undefined : bytesOf(value).slice();
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    // A copy: the client may send later, and the bytes are the caller's.
    await this.#run(PUT_SCRIPT, [key, value.slice()]);
  }

  async create(key: string, value: Uint8Array): Promise<boolean> {
    return (await this.#run(CREATE_SCRIPT, [key, value.slice()])) === 1;
  }

  async replace(key: string, was: Uint8Array, value: Uint8Array): Promise<boolean> {
    return (await this.#run(REPLACE_SCRIPT, [key, was.slice(), value.slice()])) === 1;
  }

  async delete(key: string): Promise<void> {
    await this.#run(DELETE_SCRIPT, [key]);
  }

  async list(prefix: string, limit: number, after?: string): Promise<readonly string[]> {
    // No UTF-8 text holds the byte 255, so the second bound is past every key with the prefix.
    const later =
      after !== undefined && Buffer.compare(Buffer.from(after), Buffer.from(prefix)) > 0;
    const least = later ? bound(EXCLUSIVE, after) : bound(INCLUSIVE, prefix);
    const most = bound(EXCLUSIVE, prefix, 255);
    const keys = await this.#redis.call("ZRANGEBYLEX", [
      this.#keys,
      least,
      most,
      "LIMIT",
      0,
      limit,
    ]);
    return listOf(keys).map(textOf);
  }

  async close(): Promise<void> {}

  #run(script: string, args: readonly (string | Uint8Array)[]): Promise<RedisValue> {
    return this.#redis.call("EVAL", [script, 2, this.#values, this.#keys, ...args]);
  }
}
