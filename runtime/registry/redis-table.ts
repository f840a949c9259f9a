/**
 * The shared table of names in Redis: four keys and scripts, so that every exchange is atomic.
 * Times are the server's own. The keys have one hash tag, as scripts in a Redis cluster need it.
 *
 *     {PREFIX}:meta      hash: instance, version, epoch, seen, protocol
 *     {PREFIX}:leases    sorted set: holder by the end of its lease
 *     {PREFIX}:holders   hash: key → holder
 *     {PREFIX}:entries   hash: key → epoch:bytes
 */
import type { Random } from "../capabilities.ts";
import { bytesOf, listOf, type RedisCalls, type RedisValue, textOf } from "../store/redis-calls.ts";
import type { Exchange, ExchangeAnswer, SharedTable, TableEntry } from "./registry-table.ts";

/** Common part of all three scripts: the time, and the removal of keys and holders. */
const COMMON = `
local meta, leases, holders, entries = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed = false
local function remove(key)
  redis.call('HDEL', holders, key)
  redis.call('HDEL', entries, key)
  changed = true
end
local function forget(gone)
  local all = redis.call('HGETALL', holders)
  for i = 1, #all, 2 do if gone[all[i + 1]] then remove(all[i]) end end
  for holder in pairs(gone) do redis.call('ZREM', leases, holder) end
end
local function ring(channel)
  if not changed then return end
  redis.call('HINCRBY', meta, 'version', 1)
  redis.call('PUBLISH', channel, '1')
end
local function sweep()
  local late = redis.call('ZRANGEBYSCORE', leases, '-inf', now)
  if #late == 0 then return end
  local gone = {}
  for _, holder in ipairs(late) do gone[holder] = true end
  forget(gone)
end
`;

const exchangeScript = `${COMMON}
local holder, lease, full, since = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4]
local puts = tonumber(ARGV[7])
local instance = redis.call('HGET', meta, 'instance')
if not instance then
  instance = ARGV[5]
  redis.call('HSET', meta, 'instance', instance)
end
local seen = tonumber(redis.call('HGET', meta, 'seen') or now)
if now - seen > lease / 2 then
  for _, each in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    redis.call('ZADD', leases, now + lease, each)
  end
end
redis.call('HSET', meta, 'seen', now)
sweep()
if not full and not redis.call('ZSCORE', leases, holder) then
  ring(ARGV[6])
  return {'unknown'}
end
redis.call('ZADD', leases, now + lease, holder)
local at = 8 + puts * 3
for i = at, #ARGV do
  if redis.call('HGET', holders, ARGV[i]) == holder then remove(ARGV[i]) end
end
if full then
  local kept = {}
  for i = 0, puts - 1 do kept[ARGV[8 + i * 3]] = true end
  local all = redis.call('HGETALL', holders)
  for i = 1, #all, 2 do
    if all[i + 1] == holder and not kept[all[i]] then remove(all[i]) end
  end
end
local last = tonumber(redis.call('HGET', meta, 'epoch') or '0')
local epochs = {}
for i = 0, puts - 1 do
  local key, epoch, bytes = ARGV[8 + i * 3], tonumber(ARGV[9 + i * 3]), ARGV[10 + i * 3]
  local its = redis.call('HGET', holders, key)
  if its and its ~= holder then
    epochs[i + 1] = 0
  else
    if not its and epoch <= last then epoch = last + 1 end
    if epoch > last then last = epoch end
    local entry = string.format('%.0f', epoch) .. ':' .. bytes
    if redis.call('HGET', entries, key) ~= entry then
      redis.call('HSET', holders, key, holder)
      redis.call('HSET', entries, key, entry)
      changed = true
    end
    epochs[i + 1] = epoch
  end
end
redis.call('HSET', meta, 'epoch', string.format('%.0f', last))
ring(ARGV[6])
local version = instance .. ':' .. (redis.call('HGET', meta, 'version') or '0')
if version == since then return {'same', instance, version, epochs} end
return {'all', instance, version, epochs, redis.call('HGETALL', holders), redis.call('HGETALL', entries)}
`;

const leaveScript = `${COMMON}
forget({[ARGV[1]] = true})
ring(ARGV[2])
return 1
`;

const joinScript = `${COMMON}
sweep()
local theirs = redis.call('HGET', meta, 'protocol')
if not theirs or redis.call('ZCARD', leases) == 0 then
  redis.call('HSET', meta, 'protocol', ARGV[1])
  return tonumber(ARGV[1])
end
return tonumber(theirs)
`;

export class RedisTable implements SharedTable {
  readonly name: string;
  readonly #redis: RedisCalls;
  readonly #random: Random;
  readonly #keys: readonly string[];
  readonly #channel: string;

  /** `prefix` has the cluster's namespace in it. */
  constructor(redis: RedisCalls, random: Random, prefix: string) {
    this.name = redis.name;
    this.#redis = redis;
    this.#random = random;
    const parts = ["meta", "leases", "holders", "entries"];
    this.#keys = parts.map((part) => `{${prefix}}:${part}`);
    this.#channel = `${prefix}:bell`;
  }

  async exchange(exchange: Exchange): Promise<ExchangeAnswer> {
    const { holder, lease_ms, full, put, drop, since } = exchange;
    const answer = await this.#run(exchangeScript, [
      holder,
      lease_ms,
      full ? 1 : 0,
      since,
      this.#random.u64().toString(16),
      this.#channel,
      put.length,
      ...put.flatMap(({ key, epoch, bytes }) => [key, epoch, bytes]),
      ...drop,
    ]);
    const [kind, instance, version, epochs, holders, entries] = listOf(answer);
    if (textOf(kind) === "unknown") return { kind: "unknown" };
    return {
      kind: "exchanged",
      instance: textOf(instance),
      version: textOf(version),
      epochs: listOf(epochs).map(Number),
      entries: textOf(kind) === "same" ? undefined : entriesOf(listOf(holders), listOf(entries)),
    };
  }

  async leave(holder: string): Promise<void> {
    await this.#run(leaveScript, [holder, this.#channel]);
  }

  async join(protocol: number): Promise<number> {
    return Number(await this.#run(joinScript, [protocol]));
  }

  onBell(listener: () => void): () => void {
    return this.#redis.subscribe(this.#channel, listener);
  }

  #run(script: string, args: readonly (string | number | Uint8Array)[]): Promise<RedisValue> {
    return this.#redis.call("EVAL", [script, this.#keys.length, ...this.#keys, ...args]);
  }
}

/** Both are flat lists of key, value. A key that is in only one of them is left out. */
function entriesOf(
  holders: readonly RedisValue[],
  entries: readonly RedisValue[],
): readonly TableEntry[] {
  const byKey = new Map<string, string>();
  for (let i = 0; i < holders.length; i += 2) byKey.set(textOf(holders[i]), textOf(holders[i + 1]));
  const found: TableEntry[] = [];
  for (let i = 0; i < entries.length; i += 2) {
    const key = textOf(entries[i]);
    const value = bytesOf(entries[i + 1]);
    const colon = value.indexOf(58);
    const holder = byKey.get(key);
    if (holder === undefined || colon < 0) continue;
    const epoch = Number(textOf(value.subarray(0, colon)));
    found.push({ key, holder, epoch, bytes: value.slice(colon + 1) });
  }
  return found;
}
