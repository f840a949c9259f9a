/**
 * Usage in Redis, where machines share it: the rules of usage.ts as scripts, each of which is one
 * step. Times are the server's own.
 *
 *     {PREFIX:KEY}:limits   hash: requests, tokens (used), at (ms), day, day_tokens
 *     {PREFIX:KEY}:open     sorted set: reservation by the end of its time
 */
import type { Reserve, Settle } from "../../proto/index.ts";
import { listOf, type RedisCalls, textOf } from "../../runtime/store/redis-calls.ts";
import type { ReserveFacts } from "./ledger.ts";
import type { Decision, RefusedBy } from "./usage.ts";

/** Usage outlives the minute and the day that it is counted in by this much. */
const KEEP_S = 2 * 86_400;

const COMMON = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local today = math.floor(time[1] / 86400)
local function number(field) return tonumber(redis.call('HGET', KEYS[1], field) or '') end
`;

const RESERVE = `${COMMON}
local rpm, tpm = tonumber(ARGV[1]), tonumber(ARGV[2])
local once, daily = tonumber(ARGV[3]), tonumber(ARGV[4])
local tokens, id, lasts = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local at = number('at') or now
local function drained(field, limit)
  if limit == 0 then return 0 end
  return math.max(0, (number(field) or 0) - math.max(0, now - at) * limit / 60000)
end
local requests, used = drained('requests', rpm), drained('tokens', tpm)
local day_tokens = 0
if number('day') == today then day_tokens = number('day_tokens') or 0 end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local function wait(wanted, limit)
  if limit == 0 or wanted <= limit + 0.000001 then return 0 end
  return (wanted - limit) * 60000 / limit
end
local by, retry = '', 0
local first, second = wait(requests + 1, rpm), wait(used + tokens, tpm)
if tpm > 0 and tokens > tpm then by = 'size'
elseif daily > 0 and day_tokens + tokens > daily then by, retry = 'day', 86400000 - now % 86400000
elseif first > 0 then by, retry = 'requests', math.max(first, second)
elseif second > 0 then by, retry = 'tokens', second
elseif once > 0 and redis.call('ZCARD', KEYS[2]) >= once then by, retry = 'at_once', 1000
end
if by == '' then
  requests, used, day_tokens = requests + 1, used + tokens, day_tokens + tokens
  if once > 0 then
    redis.call('ZADD', KEYS[2], now + lasts, id)
    redis.call('PEXPIRE', KEYS[2], math.ceil(lasts))
  end
end
redis.call('HSET', KEYS[1], 'requests', string.format('%.6f', requests), 'tokens',
  string.format('%.6f', used), 'at', string.format('%.3f', now), 'day', today, 'day_tokens',
  string.format('%.0f', day_tokens))
redis.call('EXPIRE', KEYS[1], ${KEEP_S})
local function left(limit, level) return math.max(0, math.floor(limit - level + 0.000001)) end
local function reset(limit, level) if limit == 0 then return 0 end return level * 60000 / limit end
return {by, tostring(retry), tostring(left(rpm, requests)), tostring(reset(rpm, requests)),
  tostring(left(tpm, used)), tostring(reset(tpm, used)), tostring(today)}
`;

const SETTLE = `${COMMON}
local id, more, day = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREM', KEYS[2], id)
if redis.call('EXISTS', KEYS[1]) == 0 then return end
local function add(field)
  redis.call('HSET', KEYS[1], field,
    string.format('%.6f', math.max(0, (number(field) or 0) + more)))
end
add('tokens')
if number('day') == day then add('day_tokens') end
`;

export class RedisUsage {
  readonly #redis: RedisCalls;
  readonly #prefix: string;

  /** `prefix` has the cluster's namespace in it. Does not close `redis`: others use it. */
  constructor(redis: RedisCalls, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  get up(): boolean {
    return this.#redis.up;
  }

  /** Rejects with RedisAway, or as the client does, when there is no answer in time. */
  async reserve(ask: ReserveFacts): Promise<Decision> {
    const { key, limits, tokens, reservation, lasts_ms } = ask;
    const answer = await this.#redis.call("EVAL", [
      ...[RESERVE, 2, ...this.#keys(key)],
      ...limitsOf(limits),
      ...[`${tokens}`, reservation, `${lasts_ms}`],
    ]);
    const [by = "", ...numbers] = listOf(answer).map(textOf);
    const at = (i: number) => Number(numbers[i] ?? 0);
    return {
      refused_by: by as RefusedBy,
      retry_after_ms: at(0),
      requests_left: at(1),
      requests_reset_ms: at(2),
      tokens_left: at(3),
      tokens_reset_ms: at(4),
      day: at(5),
    };
  }

  async settle(of: Omit<Settle, "kind">): Promise<void> {
    const { key, reservation, reserved, used, day } = of;
    const args = [reservation, `${used - reserved}`, `${day}`];
    await this.#redis.call("EVAL", [SETTLE, 2, ...this.#keys(key), ...args]);
  }

  #keys(key: string): readonly string[] {
    const tag = `{${this.#prefix}:${key}}`;
    return [`${tag}:limits`, `${tag}:open`];
  }
}

const limitsOf = (limits: Reserve["limits"]): readonly string[] => [
  `${limits?.requests_per_minute ?? 0}`,
  `${limits?.tokens_per_minute ?? 0}`,
  `${limits?.requests_at_once ?? 0}`,
  `${limits?.tokens_per_day ?? 0}`,
];
