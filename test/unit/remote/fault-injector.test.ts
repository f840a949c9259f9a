import { expect, test } from "bun:test";
import {
  FaultActor,
  FaultInjector,
  type FaultPlan,
  FaultPlanError,
  type FaultRule,
  faultyWorld,
  readPlan,
} from "../../../actors/fault/fault.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import { absent, MemoryLog, testSystem } from "../../support/worlds/test-system.ts";

function injectorWith(rules: FaultRule[], seed = 1) {
  const clock = new VirtualClock();
  const exits: string[] = [];
  const exit = (_code: number, why: string) => void exits.push(why);
  const injector = new FaultInjector({ node: "worker-1", clock, exit }, { seed, rules });
  return { clock, injector, exits };
}

test("a rule can be for a node, a detail, the n-th time, some times, a while", async () => {
  const hits = (rule: Omit<FaultRule, "point" | "do">, details: readonly string[]) => {
    const { injector } = injectorWith([{ point: "file.read", do: "fail", ...rule }]);
    return details.filter((detail) => injector.at("file.read", detail) !== undefined);
  };
  const all = ["/a/1", "/b/2", "/a/3", "/a/4"];
  expect(hits({}, all)).toEqual(all);
  expect(hits({ node: "worker-2" }, all)).toEqual([]);
  expect(hits({ node: "worker-*" }, all)).toEqual(all);
  expect(hits({ match: "/a/" }, all)).toEqual(["/a/1", "/a/3", "/a/4"]);
  expect(hits({ match: "/a/", nth: 2 }, all)).toEqual(["/a/3"]);
  expect(hits({ times: 2 }, all)).toEqual(["/a/1", "/b/2"]);
  const rule = { point: "file.read", do: "fail", after_ms: 10, for_ms: 5 } as const;
  const { clock, injector } = injectorWith([rule]);
  const seen: boolean[] = [];
  for (let ms = 0; ms < 20; ms += 5) {
    seen.push(injector.at("file.read", "/a") !== undefined);
    await clock.advance(5);
  }
  expect(seen).toEqual([false, false, true, false]);
});

test("chance is drawn from the seed", () => {
  const draws = (seed: number) => {
    const { injector } = injectorWith([{ point: "store.read", do: "fail", chance: 0.5 }], seed);
    return Array.from({ length: 200 }, () => injector.at("store.read", "k") !== undefined);
  };
  expect(draws(3)).toEqual(draws(3));
  expect(draws(3)).not.toEqual(draws(4));
  const hits = draws(5).filter((hit) => hit).length;
  expect(hits).toBeGreaterThan(60);
  expect(hits).toBeLessThan(140);
});

test("exit leaves the process, and what was done is counted", () => {
  const { injector, exits } = injectorWith([{ point: "net.send", do: "exit", nth: 2 }]);
  injector.at("net.send", "unix:a");
  expect(exits).toEqual([]);
  injector.at("net.send", "unix:b");
  expect(exits).toEqual(["injected: net.send unix:b"]);
  expect([...injector.done]).toEqual([["net.send exit", 1]]);
});

test.each([
  ["{", /is JSON/],
  ['{"rules": 1}', /a list "rules"/],
  ['{"rules": [{"point": "disk", "do": "fail"}]}', /rule 0.*no point "disk"; points: net\.connect/],
  ['{"rules": [{"point": "net.send", "do": "crash"}]}', /net\.send can drop, delay/],
  ['{"rules": [{"point": "net.send", "do": "drop", "ms": 1}]}', /no "ms"; known: chance/],
  ['{"rules": [{"point": "net.send", "do": "drop", "nth": "1"}]}', /"nth" is a number/],
])("a plan that cannot be meant is refused: %s", (json, why) => {
  expect(() => readPlan(json)).toThrow(FaultPlanError);
  expect(() => readPlan(json)).toThrow(why);
});

test("an empty object is a plan without rules", () => {
  expect(readPlan("{}")).toEqual({ seed: 1, rules: [] });
});

// ---- files and store ---------------------------------------------------------------------------

function world(plan: Partial<FaultPlan>) {
  const clock = new VirtualClock();
  const capabilities = {
    clock,
    random: new SeededRandom(1),
    log: new MemoryLog(),
    ids: absent<never>("ids"),
    net: absent<never>("net"),
    spawn: absent<never>("spawn"),
    files: { write: async () => {}, read: async () => Uint8Array.of(1) } as never,
    store: new MemoryStore(),
  };
  const env = { TROUPE_FAULTS: JSON.stringify(plan) };
  return { clock, ...faultyWorld("n", capabilities, env, () => {}) };
}

test("a full disk, a broken one, and a slow one", async () => {
  const { capabilities, clock } = world({
    rules: [
      { point: "file.write", match: "/full", do: "fail" },
      { point: "store.read", do: "fail", times: 1 },
      { point: "file.read", do: "delay", delay_ms: 40 },
    ],
  });
  const { files, store } = capabilities;
  const failure = await files.write("/full/a", new Uint8Array(1)).catch((error) => error);
  expect(failure.code).toBe("ENOSPC");
  await files.write("/other", new Uint8Array(1));
  await store.put("k", Uint8Array.of(7));
  expect(await store.get("k").catch((error) => error.code)).toBe("EIO");
  expect(await store.get("k")).toEqual(Uint8Array.of(7));
  let read = false;
  const reading = files.read("/other").then(() => {
    read = true;
  });
  await clock.advance(19);
  expect(read).toBe(false);
  await clock.advance(21);
  await reading;
});

test("without the variable the world is the same object", () => {
  const capabilities = { clock: new VirtualClock() } as never;
  expect(faultyWorld("n", capabilities, {}, () => {})).toEqual({ capabilities, steps: undefined });
  expect(faultyWorld("n", capabilities, {}, () => {}).capabilities).toBe(capabilities);
});

// ---- steps -------------------------------------------------------------------------------------

class Keeper extends Actor<Message & { readonly n: number }> {
  readonly got: number[] = [];
  override receive(message: Message & { readonly n: number }): void {
    this.got.push(message.n);
    this.ctx.reply(message.n);
  }
}

function stepped(rules: FaultRule[]) {
  const clock = new VirtualClock();
  const injector = new FaultInjector({ node: "test", clock, exit: () => {} }, { seed: 1, rules });
  const made = testSystem(1, { steps: injector });
  const keeper = new Keeper();
  const ref = made.system.spawn(() => keeper, { name: "keeper" });
  const tell = (n: number) => ref.tell({ kind: "note", n });
  return { ...made, injector, keeper, ref, tell };
}

test.each([
  [{ do: "drop", nth: 2 } as const, [1, 3]],
  [{ do: "duplicate", nth: 2 } as const, [1, 2, 2, 3]],
  [{ do: "reorder", nth: 2 } as const, [1, 3, 2]],
  [{ do: "reorder", nth: 3 } as const, [1, 2, 3]],
  [{ do: "delay", nth: 1, delay_ms: 30 } as const, [2, 3, 1]],
])("messages are lost, repeated and swapped: %o", async (what, expected) => {
  const rule = { point: "step.deliver", match: "/keeper note", ...what } as const;
  const { clock, tell, keeper } = stepped([rule]);
  for (const n of [1, 2, 3]) tell(n);
  await clock.advance(50);
  expect(keeper.got).toEqual(expected);
});

test("an actor crashes before a step, or after it", async () => {
  for (const [point, got] of [
    ["step.before", [1]],
    ["step.after", [1, 2]],
  ] as const) {
    const { system, tell, keeper } = stepped([{ point, match: "/keeper", do: "crash", nth: 2 }]);
    for (const n of [1, 2, 3]) tell(n);
    await system.idle();
    expect(keeper.got).toEqual([...got]);
    expect(system.crashReports().at(-1)?.reason).toMatchObject({ kind: "crash" });
  }
});

test("asks are answered when their actor is stepped, and its calls are still its own", async () => {
  const { system, ref } = stepped([]);
  expect(await system.ask(ref, { kind: "note", n: 5 }, { deadline_ms: 100 })).toBe(5 as never);
});

test("plans are taken while the process runs, and nonsense is refused", async () => {
  const { system, injector, tell, keeper } = stepped([]);
  const actor = system.spawn(() => new FaultActor(injector), { name: "fault" });
  const plan = JSON.stringify({ rules: [{ point: "step.deliver", match: "note", do: "drop" }] });
  const set = (text: string) =>
    system.ask(actor, { kind: "set_faults", plan: text }, { deadline_ms: 100 });
  expect(await set(plan)).toEqual({ kind: "faults_set", node: "test", done: [] });
  tell(1);
  await system.idle();
  expect(await set("{}")).toMatchObject({ done: [{ what: "step.deliver drop", times: 1 }] });
  tell(2);
  await system.idle();
  expect(keeper.got).toEqual([2]);
  expect(await set("no").catch((error) => error.code)).toBe("refused");
});

test("a system without a hook has plain cells", () => {
  const { system } = testSystem();
  const ref = system.spawn(() => new Keeper(), { name: "keeper" });
  expect(ref.constructor.name).toBe("Cell");
});
