import { expect, test } from "bun:test";
import { Access } from "../../../../actors/frontend/access/access.ts";
import {
  AllowedModels,
  type ServedModels,
} from "../../../../actors/frontend/access/allowed-models.ts";
import { hashOf, plainKey } from "../../../../actors/frontend/access/key-rule.ts";
import {
  durationText,
  limitReached,
  rateHeaders,
} from "../../../../actors/frontend/access/rate-headers.ts";
import { modelNamed } from "../../../../actors/frontend/prompt/prepare-request.ts";
import { hintsOfKey } from "../../../../actors/frontend/prompt/route-hints.ts";
import { LOWEST_PRIORITY } from "../../../../actors/router/router.ts";

const limits = {
  ...{ requests_per_minute: 60, tokens_per_minute: 1_000, requests_at_once: 0, tokens_per_day: 9 },
};
const left = {
  ...{ requests_left: 59, requests_reset_ms: 1_000, tokens_left: 900, tokens_reset_ms: 6_000 },
};

test("durations as OpenAI writes them", () => {
  const texts = [0, 17, 999.2, 1_000, 8_640, 59_999, 60_000, 360_000, 3_723_500].map(durationText);
  const wanted = ["0ms", "17ms", "1s", "1s", "8.64s", "59.999s", "1m0s", "6m0s", "1h2m3.5s"];
  expect(texts).toEqual(wanted);
});

test("a client reads its limits and what is left", () => {
  expect(rateHeaders(limits, left)).toEqual({
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "1000",
    "x-ratelimit-remaining-tokens": "900",
    "x-ratelimit-reset-tokens": "6s",
  });
  expect(rateHeaders({ ...limits, requests_per_minute: 0, tokens_per_minute: 0 }, left)).toEqual(
    {},
  );
});

test("a 429 says which limit, and whether to try again", () => {
  const error = (refused_by: "requests" | "day" | "size", retry_after_ms: number) => {
    const { status, code, headers } = limitReached("a", limits, 5, {
      ...{ refused_by, retry_after_ms, ...left, day: 0 },
    });
    return [status, code, headers["Retry-After"], headers["x-should-retry"]];
  };
  expect(error("requests", 1_500)).toEqual([429, "rate_limit_exceeded", "2", undefined]);
  expect(error("day", 90_000)).toEqual([429, "insufficient_quota", "90", "false"]);
  expect(error("size", 0)).toEqual([429, "rate_limit_exceeded", undefined, "false"]);
});

test("rules are found by key, replaced, and none is found for a stranger", () => {
  const access = new Access([plainKey("own")], [{ name: "a", hash: hashOf("sk-a") }]);
  const owner = access.check("sk-a");
  expect(access.ruleOf(owner)?.name).toBe("a");
  expect(access.ruleOf(access.check("own"))?.name).toBe("");
  access.replace([{ name: "b", hash: hashOf("sk-b") }]);
  expect(() => access.check("sk-a")).toThrow("does not know the API key");
  expect(access.ruleOf(owner)).toBeUndefined();
  // What a key left to be done later ends with the key.
  expect(() => access.checkOwner(owner)).toThrow("does not exist any more");
  access.checkOwner(access.check("own"));
  access.checkOwner("");
  expect(access.check("own")).toHaveLength(16);
});

test("a key's class and priority stand for what its requests ask for", () => {
  expect(hintsOfKey(undefined, undefined)).toBeUndefined();
  expect(hintsOfKey(undefined, { strict_priority: 2 })).toMatchObject({
    strict_priority: 2,
    policy_class: "",
  });
  const hints = hintsOfKey(undefined, { policy_class: "batch" })!;
  expect(hintsOfKey({ ...hints, session: "s" }, { policy_class: "gold" })).toMatchObject({
    ...{ session: "s", policy_class: "gold" },
  });
  // A line of a batch stays behind all others, whoever made it.
  const line = { ...hints, strict_priority: LOWEST_PRIORITY };
  expect(hintsOfKey(line, { strict_priority: 2 })).toMatchObject({
    strict_priority: LOWEST_PRIORITY,
  });
});

test("a key that may use no model that is served is told so, whether it names one or not", () => {
  const served = { name: "served" };
  const all = {
    ...{ get: () => served, ready: () => [served], adapters: () => [], state: () => "ready" },
  } as unknown as ServedModels;
  const models = new AllowedModels(all, ["other"]);
  const said = (name: string | undefined) => {
    try {
      return modelNamed(models, name).name;
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(said(undefined)).toMatch(/^This key may use none of the models/);
  expect(said("served")).toMatch(/^The model 'served' does not exist here, or this key may not/);
  expect(modelNamed(all, undefined).name).toBe("served");
});
