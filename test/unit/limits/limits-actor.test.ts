/** Several frontends, one place that counts: never more than the limits, whatever ends. */
import { expect, test } from "bun:test";
import { Access } from "../../../actors/frontend/access/access.ts";
import type { Charge } from "../../../actors/frontend/access/charge.ts";
import { KeyGate, type SharedLimits } from "../../../actors/frontend/access/key-gate.ts";
import { KeyMetrics } from "../../../actors/frontend/access/key-metrics.ts";
import { hashOf, type KeyRule } from "../../../actors/frontend/access/key-rule.ts";
import type { ApiError } from "../../../actors/frontend/api/api-error.ts";
import type { Prepared } from "../../../actors/frontend/prompt/prepare-request.ts";
import { LimitsActor, type RefusedBy } from "../../../actors/limits/limits.ts";
import type { LimitsMessage } from "../../../proto/index.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";
import { wireOf } from "../../../runtime/remote/node.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import { joinAlone } from "../../support/worlds/join-alone.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

const none = {
  requests_per_minute: 0,
  tokens_per_minute: 0,
  requests_at_once: 0,
  tokens_per_day: 0,
};
const rule = (limits: Partial<typeof none>): KeyRule => ({
  ...{ name: "team", hash: hashOf("sk") },
  limits: { ...none, ...limits },
});

class Door extends Actor<Message> {
  override receive(): void {}
}

/** A prepared request of so many tokens: all of them prompt, as embeddings are. */
const sized = (tokens: number): Prepared =>
  ({ makes: "embedding", embedding: { request: { inputs: [new Uint32Array(tokens)] } } }) as never;

async function world(store = new MemoryStore()) {
  const { system, clock } = testSystem();
  await joinAlone(system);
  Object.assign(system.capabilities, { store });
  const make = () => new LimitsActor({});
  const limits: Ref<LimitsMessage> = await system.spawnReady(make, { name: "limits" });
  let away = false;
  let asked = 0;
  const frontend = (name: string, share = 0.5) => {
    const door = system.spawn(() => new Door(), { name });
    const shared: SharedLimits = {
      reserve: async (ask) => {
        if (away) throw new Error("away");
        const asker = wireOf(system, door);
        const answer = system.ask(limits, { kind: "reserve", ...ask, asker }, { deadline_ms: 500 });
        const reserved = await answer;
        return { ...reserved, refused_by: reserved.refused_by as RefusedBy };
      },
      settle: (settle) => void (away || limits.tell(settle)),
      share: () => share,
    };
    const access = new Access([]);
    const metrics = new Metrics();
    const gate = new KeyGate({ clock, access, shared, metrics: new KeyMetrics(metrics) });
    const ask = async (of: KeyRule, tokens = 1): Promise<Charge | string> => {
      const headers: Record<string, string> = {};
      const request = { id: `r${asked++}`, headers };
      const charge = gate
        .charge(of, request, sized(tokens), 600_000)
        .catch((e: ApiError) => e.code);
      await system.idle();
      return charge;
    };
    return { door, ask, metrics };
  };
  return { system, clock, limits, frontend, setAway: (now: boolean) => (away = now) };
}

const admitted = (answers: readonly (Charge | string)[]) =>
  answers.filter((answer) => typeof answer !== "string").length;

test("two frontends together never go over the limits", async () => {
  const { frontend, clock } = await world();
  const doors = [frontend("a"), frontend("b")];
  const key = rule({ requests_per_minute: 10, tokens_per_minute: 100 });
  const answers: (Charge | string)[] = [];
  for (let i = 0; i < 40; i++) answers.push(await doors[i % 2]!.ask(key));
  expect(admitted(answers)).toBe(10);
  await clock.advance(12_000);
  const later: (Charge | string)[] = [];
  for (let i = 0; i < 10; i++) later.push(await doors[i % 2]!.ask(key));
  expect(admitted(later)).toBe(2);
  expect(later.at(-1)).toBe("rate_limit_exceeded");
});

test("an answer that has ended makes room; so does a frontend that has died", async () => {
  const { frontend, system } = await world();
  const [a, b] = [frontend("a"), frontend("b")];
  const key = rule({ requests_at_once: 2 });
  const first = await a.ask(key);
  expect(await a.ask(key)).not.toBeString();
  expect(await b.ask(key)).toBe("rate_limit_exceeded");
  (first as Charge).settle(1);
  await system.idle();
  expect(await b.ask(key)).not.toBeString();
  expect(await b.ask(key)).toBe("rate_limit_exceeded");
  system.stop(a.door);
  await system.idle();
  expect(await b.ask(key)).not.toBeString();
  expect(await b.ask(key)).toBe("rate_limit_exceeded");
});

test("while nobody counts for all, each frontend goes by its part", async () => {
  const { frontend, setAway, clock } = await world();
  const doors = [frontend("a"), frontend("b")];
  const key = rule({ requests_per_minute: 10 });
  expect(await doors[0]!.ask(key)).not.toBeString();
  setAway(true);
  const answers: (Charge | string)[] = [];
  for (let i = 0; i < 30; i++) answers.push(await doors[i % 2]!.ask(key));
  // Five a frontend, and what was asked before counts.
  expect(admitted(answers)).toBe(9);
  expect(doors[0]!.metrics.total("troupe_key_limits_estimated_total")).toBe(15);
  setAway(false);
  await clock.advance(5_000);
  expect(await doors[0]!.ask(key)).not.toBeString();
});

test("a day's tokens outlive the process, and end with the day", async () => {
  const store = new MemoryStore();
  const first = await world(store);
  const key = rule({ tokens_per_day: 100 });
  const charge = await first.frontend("a").ask(key, 90);
  (charge as Charge).settle(60);
  await first.system.idle();
  await first.clock.advance(2_000);
  const { frontend, clock } = await world(store);
  const door = frontend("a");
  expect(await door.ask(key, 50)).toBe("insufficient_quota");
  expect(await door.ask(key, 40)).not.toBeString();
  await clock.advance(86_400_000);
  expect(await door.ask(key, 100)).not.toBeString();
});
