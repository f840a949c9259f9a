/** Dynamo's key protocol as it is written, and what is better than it: nothing torn, no spinning. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { storeKeys } from "../../../../actors/planner/connect/virtual-keys.ts";
import { change, model } from "../../../support/planner/connector-rig.ts";
import { VirtualWorld as World } from "../../../support/planner/virtual-world.ts";

describe("the keys", () => {
  test("are Dynamo's: whole numbers as text, decisions from 0 on, acknowledged by a launcher", async () => {
    const world = new World();
    const planner = world.planner();
    const adding = planner.add(change("a"), "decode", 3);
    await world.pass(1_000);
    expect(await world.dynamoKeys()).toEqual(["0", "3", "0", undefined]);
    await world.set("scaled_decision_id", "0");
    await world.pass(2_000);
    expect(await adding).toEqual({ kind: "added", workers: ["decode-1", "decode-2", "decode-3"] });
    const more = planner.add(change("b"), "prefill", 1);
    await world.pass(1_000);
    expect(await world.dynamoKeys()).toEqual(["1", "3", "1", "0"]);
    await world.set("scaled_decision_id", "1");
    await world.pass(2_000);
    expect((await more).kind).toBe("added");
  });

  test("of an aggregated model are those of decode", async () => {
    const world = new World();
    const planner = world.planner({ mode: "agg" });
    void planner.add(change("a"), "aggregated", 2);
    await world.pass(1_000);
    await world.set("scaled_decision_id", "0");
    expect(await world.dynamoKeys()).toEqual(["0", "2", "0", "0"]);
    const view = await planner.view(model);
    expect(view?.workers.map(({ role }) => role)).toEqual(["aggregated", "aggregated"]);
  });

  test("a planner that leads refuses the ones before it, also before anything was decided", async () => {
    const world = new World();
    await world.planner().lead(model, 7);
    expect(await world.dynamoKeys()).toEqual([undefined, undefined, undefined, undefined]);
    expect((await world.client().get()).decision_id).toBe(-1);
    const older = world.planner();
    const refused = await older.add(change("a", 6), "decode", 1);
    expect(refused.kind).toBe("refused");
    expect(older.lead(model, 6)).rejects.toThrow("epoch 7");
    void world.planner().add(change("b", 7), "decode", 1);
    await world.pass(1_000);
    expect(await world.dynamoKeys()).toEqual(["0", "1", "0", undefined]);
  });

  test("that another planner left are gone on from", async () => {
    const world = new World();
    await world.set("num_prefill_workers", "2");
    await world.set("num_decode_workers", "5");
    await world.set("decision_id", "41");
    await world.set("scaled_decision_id", "41");
    const planner = world.planner();
    expect((await planner.view(model))?.workers).toHaveLength(7);
    void planner.retire(change("a"), ["decode-5"]);
    await world.pass(1_000);
    expect(await world.dynamoKeys()).toEqual(["2", "4", "42", "41"]);
  });

  test("say nothing new when nothing changes", async () => {
    const world = new World();
    const planner = world.planner();
    void planner.add(change("a"), "decode", 1);
    await world.pass(1_000);
    void planner.add(change("a"), "decode", 1);
    await world.pass(1_000);
    expect(await world.key("decision_id")).toBe("0");
  });
});

describe("a decision that nobody acknowledges", () => {
  test("stops the next one for 1800 s, is given up then, and the next one is written", async () => {
    const world = new World();
    const planner = world.planner();
    const first = planner.add(change("a"), "decode", 2);
    await world.pass(10_000);
    expect(await planner.add(change("b"), "decode", 1)).toEqual({
      ...{ kind: "refused", workers: [] },
      why: "decision 0 of 10 s ago is not acknowledged yet",
    });
    await world.pass(1_795_000);
    expect(await first).toEqual({
      ...{ kind: "failed", workers: [] },
      why: "no launcher acknowledged it within 1800 s",
    });
    void planner.add(change("c"), "decode", 1);
    await world.pass(1_000);
    expect(await world.dynamoKeys()).toEqual(["0", "3", "1", undefined]);
  });

  test("shows what starts and what goes, beside what serves", async () => {
    const world = new World();
    const planner = world.planner();
    void planner.add(change("a"), "decode", 2);
    await world.pass(1_000);
    await world.client().complete(await world.client().get());
    void planner.add(change("b"), "prefill", 1);
    void planner.retire(change("c"), ["decode-1"]);
    await world.pass(1_000);
    const states = (await planner.view(model))?.workers.map(({ worker, state }) => [worker, state]);
    expect(states).toEqual([
      ["prefill-1", "starting"],
      ["decode-1", "serving"],
      ["decode-2", "retiring"],
    ]);
  });

  test("that failed leaves what the launcher says it has", async () => {
    const world = new World();
    const planner = world.planner();
    const adding = planner.add(change("a"), "decode", 3);
    await world.pass(1_000);
    const client = world.client();
    await client.fail(await client.get(), "one GPU is lost", { decode: 2 });
    await world.pass(2_000);
    const why = "one GPU is lost";
    expect(await adding).toEqual({ kind: "failed", workers: ["decode-1", "decode-2"], why });
    expect((await planner.view(model))?.workers.map(({ state }) => state)).toEqual([
      "serving",
      "serving",
    ]);
    expect(await client.isReady()).toBe(false);
    expect(await client.wait(0)).toBeUndefined();
  });
});

describe("a planner that was killed between two writes", () => {
  test("is mended by the next one's first look, and every prefix of the writes is safe", async () => {
    for (let writes = 0; writes < 4; writes++) {
      const world = new World();
      let left = writes;
      const { store } = world;
      const dying = storeKeys(
        Object.assign(Object.create(store), {
          get: (key: string) => store.get(key),
          create: async (key: string, value: Uint8Array) => {
            if (left-- <= 0) throw new Error("killed");
            return await store.create(key, value);
          },
          put: async (key: string, value: Uint8Array) => {
            if (left-- <= 0) throw new Error("killed");
            await store.put(key, value);
          },
        }),
        "dynamo",
      );
      void world.planner({ keys: dying }).add(change("a"), "decode", 2);
      await world.pass(1_000);
      const told = await world.client().get();
      const none = writes === 0;
      expect(told).toMatchObject({
        num_decode_workers: none ? -1 : 2,
        num_prefill_workers: none ? -1 : 0,
        decision_id: none ? -1 : 0,
      });
      const restarted = world.planner();
      await restarted.view(model);
      void restarted.add(change("a"), "decode", 2);
      await world.pass(1_000);
      expect(await world.dynamoKeys()).toEqual(["0", "2", "0", undefined]);
    }
  });
});

describe("the client", () => {
  test("says -1 for what is not set", async () => {
    const told = await new World().client().get();
    const unset = { num_prefill_workers: -1, num_decode_workers: -1, decision_id: -1, epoch: -1 };
    expect(told).toEqual(unset);
  });

  test("looks once a second while it waits, also with an old acknowledgement in place", async () => {
    const world = new World();
    const planner = world.planner();
    void planner.add(change("a"), "decode", 1);
    await world.pass(1_000);
    const client = world.client();
    await client.complete((await client.wait(0)) ?? (await client.get()));
    await world.pass(5_000);
    world.reads = 0;
    const waiting = client.wait(60_000);
    await world.pass(61_000);
    expect(await waiting).toBeUndefined();
    expect(world.reads).toBeGreaterThan(50);
    expect(world.reads).toBeLessThan(70);
  });

  test("an acknowledgement never goes back, and the planner's promise is readable", async () => {
    const world = new World();
    const planner = world.planner();
    const client = world.client();
    expect(await client.plannerUntil_ms()).toBe(0);
    await planner.view(model);
    expect(await client.plannerUntil_ms()).toBeGreaterThan(world.clock.wall_ms());
    await world.set("scaled_decision_id", "7");
    await client.complete({ ...(await client.get()), decision_id: 3 });
    expect(await world.key("scaled_decision_id")).toBe("7");
  });
});

test("what a planner asks for, in any order, is what an obeying launcher has in the end", async () => {
  const step = fc.record({
    kind: fc.constantFrom("add", "retire"),
    role: fc.constantFrom("prefill" as const, "decode" as const),
    count: fc.integer({ min: 1, max: 4 }),
    acknowledged: fc.constantFrom("complete", "fail"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const world = new World();
      const planner = world.planner();
      const client = world.client();
      const has = { prefill: 0, decode: 0 };
      for (const [i, { kind, role, count, acknowledged }] of steps.entries()) {
        const names = Array.from({ length: has[role] }, (_, at) => `${role}-${at + 1}`).slice(
          -count,
        );
        if (kind === "retire" && names.length === 0) continue;
        const asked =
          kind === "add"
            ? planner.add(change(`c${i}`), role, count)
            : planner.retire(change(`c${i}`), names);
        await world.pass(1_000);
        const told = await client.get();
        if (acknowledged === "complete") {
          await client.complete(told);
          has[role] += kind === "add" ? count : -names.length;
        } else await client.fail(told, "no");
        await world.pass(1_500);
        const kinds = acknowledged === "fail" ? "failed" : kind === "add" ? "added" : "gone";
        expect((await asked).kind).toBe(kinds);
        const view = (await planner.view(model))?.workers ?? [];
        const count_of = (name: string) => view.filter((each) => each.role === name).length;
        expect({ prefill: count_of("prefill"), decode: count_of("decode") }).toEqual(has);
      }
    }),
    { numRuns: 20 },
  );
});
