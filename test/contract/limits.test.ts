/** Limits are the same rules in memory and in Redis, where machines share them. */
import { afterAll, describe, expect, test } from "bun:test";
import { Ledger, type ReserveFacts } from "../../actors/limits/ledger.ts";
import { type Decision, RedisUsage } from "../../actors/limits/limits.ts";
import { redisClient } from "../../runtime/real/redis.ts";
import { isHere, lacksProgram } from "../support/needs.ts";
import { redisServer, stopServers } from "../support/plane-servers.ts";

type Settling = { key: string; reservation: string; reserved: number; used: number; day: number };
type Counting = {
  reserve(ask: ReserveFacts): Promise<Decision>;
  settle(of: Settling): Promise<void>;
};

const inMemory = (): Counting => {
  const ledger = new Ledger();
  const now = () => ({ now_ms: performance.now(), wall_ms: Date.now() });
  return {
    reserve: async (ask) => ledger.reserve(ask, now()),
    settle: async (of) => ledger.settle(of),
  };
};
const kinds: Record<string, () => Counting> = { memory: inMemory };

if (isHere(lacksProgram("redis-server"), "limits in a real redis-server")) {
  const { url } = await redisServer();
  const redis = redisClient({ url, client_name: "test", env: {} });
  await redis.ready(5_000);
  let made = 0;
  kinds["a real redis-server"] = () => new RedisUsage(redis, `troupe.test-${made++}`);
  afterAll(async () => {
    await redis.close();
    await stopServers();
  });
}

const none = {
  requests_per_minute: 0,
  tokens_per_minute: 0,
  requests_at_once: 0,
  tokens_per_day: 0,
};
let asked = 0;
const ask = (limits: Partial<typeof none>, tokens = 1, key = "team"): ReserveFacts => ({
  ...{ key, tokens, reservation: `r${asked++}`, lasts_ms: 60_000 },
  limits: { ...none, ...limits },
});

for (const [name, make] of Object.entries(kinds)) {
  describe(name, () => {
    test("requests and tokens a minute", async () => {
      const counting = make();
      const limits = { requests_per_minute: 2, tokens_per_minute: 1_000 };
      const first = await counting.reserve(ask(limits, 400));
      expect(first).toMatchObject({ refused_by: "", requests_left: 1, tokens_left: 600 });
      expect(Math.abs(first.requests_reset_ms - 30_000)).toBeLessThan(1_000);
      expect(Math.abs(first.tokens_reset_ms - 24_000)).toBeLessThan(1_000);
      expect((await counting.reserve(ask(limits, 700))).refused_by).toBe("tokens");
      expect((await counting.reserve(ask(limits, 1_001))).refused_by).toBe("size");
      expect((await counting.reserve(ask(limits, 400))).refused_by).toBe("");
      const refused = await counting.reserve(ask(limits));
      expect(refused.refused_by).toBe("requests");
      expect(refused.retry_after_ms).toBeGreaterThan(25_000);
      expect(refused.retry_after_ms).toBeLessThanOrEqual(30_000);
      // Another key has its own.
      expect((await counting.reserve(ask(limits, 1, "other"))).refused_by).toBe("");
    });

    test("a settled answer counts as it was, and makes room for the next", async () => {
      const counting = make();
      const limits = { tokens_per_minute: 1_000, requests_at_once: 1, tokens_per_day: 1_200 };
      const first = ask(limits, 900);
      const { day } = await counting.reserve(first);
      expect((await counting.reserve(ask(limits, 10))).refused_by).toBe("at_once");
      expect((await counting.reserve(ask(limits, 400))).refused_by).toBe("day");
      const { key, reservation } = first;
      await counting.settle({ key, reservation, reserved: 900, used: 100, day });
      const next = await counting.reserve(ask(limits, 800));
      expect(next.refused_by).toBe("");
      expect(next.tokens_left).toBeGreaterThanOrEqual(100);
      expect(next.tokens_left).toBeLessThan(200);
      const daily = await counting.reserve(ask({ tokens_per_day: 1_200 }, 400));
      expect(daily.refused_by).toBe("day");
      expect(daily.retry_after_ms).toBeGreaterThan(0);
      expect(daily.retry_after_ms).toBeLessThanOrEqual(86_400_000);
    });

    test("many at once never get more than there is", async () => {
      const counting = make();
      const asks = Array.from({ length: 50 }, () =>
        counting.reserve(ask({ requests_per_minute: 7 })),
      );
      const decisions = await Promise.all(asks);
      expect(decisions.filter(({ refused_by }) => refused_by === "")).toHaveLength(7);
    });
  });
}
