/** The servers that machines share, as real processes reach them. */
import { type OpenBus, type OpenPlanes, type OpenRedis, planePrefix } from "../planes.ts";
import { RedisTable } from "../registry/redis-table.ts";
import { natsBus } from "./nats-bus.ts";
import { realRandom } from "./random.ts";
import { redisClient } from "./redis.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Throws PlaneUrlError. */
export const realPlanes =
  (env: Env): OpenPlanes =>
  async (urls, namespace, client_name) => {
    const bus = natsBus({ url: urls.nats, client_name, env });
    const redis = redisClient({ url: urls.redis, client_name, env });
    const table = new RedisTable(redis, realRandom(), planePrefix(namespace));
    const wait = (what: string, name: string, flag: string, ready: Promise<void>) =>
      ready.catch((error: Error) => {
        throw new Error(
          `${what} at ${name} does not answer (${error.message}): start it, or correct ${flag}`,
        );
      });
    return {
      bus,
      table,
      redis,
      ready: async (timeout_ms) => {
        await Promise.all([
          wait("NATS", bus.name, "--nats", bus.ready(timeout_ms)),
          wait("Redis", redis.name, "--redis", redis.ready(timeout_ms)),
        ]);
      },
      close: async () => void (await Promise.all([bus.close(), redis.close()])),
    };
  };

export const realBus =
  (env: Env): OpenBus =>
  async (urls, client_name) =>
    natsBus({ url: urls.nats, client_name, env });

export const realRedis =
  (env: Env): OpenRedis =>
  async (urls, client_name) =>
    redisClient({ url: urls.redis, client_name, env });
