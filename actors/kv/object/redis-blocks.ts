/**
 * Blocks in Redis: values in a hash, their names in a sorted set by the time of their last use.
 * Each call is one script, so that bytes and their count change together; the clock is Redis' own.
 */
import { bytesOf, type RedisCalls } from "../../../runtime/store/redis-calls.ts";
import type { BlockStore, StoreLimits } from "./block-store.ts";

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;
/** KEYS: values, names by use, count of bytes. */
const GET_SCRIPT = `${NOW}
local used = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not used or tonumber(used) <= now - tonumber(ARGV[2]) then return false end
redis.call('ZADD', KEYS[2], now, ARGV[1])
return redis.call('HGET', KEYS[1], ARGV[1])
`;
/** At most that many leave at a time: Redis does nothing else meanwhile. */
const LEAVE_MOST = 256;
const PUT_SCRIPT = `${NOW}
local name, bytes, ttl, capacity = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local before = redis.call('HSTRLEN', KEYS[1], name)
redis.call('HSET', KEYS[1], name, bytes)
redis.call('ZADD', KEYS[2], now, name)
local total = redis.call('INCRBY', KEYS[3], #bytes - before)
for i = 1, ${LEAVE_MOST} do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  if not oldest[1] or (total <= capacity and tonumber(oldest[2]) > now - ttl) then break end
  total = redis.call('DECRBY', KEYS[3], redis.call('HSTRLEN', KEYS[1], oldest[1]))
  redis.call('HDEL', KEYS[1], oldest[1])
  redis.call('ZREM', KEYS[2], oldest[1])
end
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ttl) end
return total
`;

export class RedisBlocks implements BlockStore {
  readonly name: string;
  readonly #redis: RedisCalls;
  readonly #limits: StoreLimits;
  readonly #keys: readonly string[];

  /** `prefix` has the cluster's namespace in it. Does not close `redis`. */
  constructor(redis: RedisCalls, prefix: string, limits: StoreLimits) {
    this.name = redis.name;
    this.#redis = redis;
    this.#limits = limits;
    this.#keys = ["values", "used", "bytes"].map((part) => `{${prefix}}:blocks:${part}`);
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const value = await this.#run(GET_SCRIPT, [name, this.#limits.ttl_ms]);
    return value === null ? undefined : bytesOf(value).slice();
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const { ttl_ms, capacity_bytes } = this.#limits;
    await this.#run(PUT_SCRIPT, [name, bytes.slice(), ttl_ms, capacity_bytes]);
  }

  #run(script: string, args: readonly (string | number | Uint8Array)[]) {
    return this.#redis.call("EVAL", [script, this.#keys.length, ...this.#keys, ...args]);
  }
}
