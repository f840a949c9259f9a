/** Keys of the virtual connector that a crash, a hand or somebody else's program has broken. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { change, model } from "../../../support/planner/connector-rig.ts";
import { VirtualWorld } from "../../../support/planner/virtual-world.ts";

const plain = {
  num_prefill_workers: "2",
  num_decode_workers: "5",
  decision_id: "41",
  scaled_decision_id: "41",
};
const record = {
  ...{ decision_id: 5, num_prefill_workers: 1, num_decode_workers: 3, epoch: 1, planner: "p" },
  ...{ from: { prefill: 1, decode: 3 }, at_ms: 0, changes: [] },
};

async function worldWith(keys: Readonly<Record<string, string>>): Promise<VirtualWorld> {
  const world = new VirtualWorld();
  for (const [name, value] of Object.entries(keys)) await world.set(name, value);
  return world;
}

/** Leads, looks, and asks for one decode worker more, which nobody acknowledges. */
async function oneMore(world: VirtualWorld) {
  const planner = world.planner();
  await planner.lead(model, 7);
  const seen = (await planner.view(model))?.workers.map(({ role }) => role) ?? [];
  const count = (role: string) => seen.filter((each) => each === role).length;
  let ended: string | undefined;
  void planner.add(change("a", 7), "decode", 1).then(({ kind }) => {
    ended = kind;
  });
  await world.pass(3_000);
  const [prefill, decode, id] = await world.dynamoKeys();
  return { seen: [count("prefill"), count("decode")], asked: [prefill, decode, id], ended };
}

describe("a record that is broken", () => {
  test.each([
    ["cut off", JSON.stringify(record).slice(0, 40)],
    ["no JSON", "hello"],
    ["of another form", '{"decision_id": "5"}'],
    ["of nothing", ""],
    ["of 200,000 workers", JSON.stringify({ ...record, num_decode_workers: 200_000 })],
    ["of an epoch that nobody comes to", JSON.stringify({ ...record, epoch: 9e15 })],
  ])("%s: Dynamo's plain keys hold, and the next id is above all", async (_, text) => {
    const world = await worldWith({ ...plain, decision: text });
    expect(await oneMore(world)).toEqual({
      ...{ seen: [2, 5], asked: ["2", "6", "42"], ended: undefined },
    });
    const told = world.logged.filter((line) => line.includes("/dynamo/planner/decision "));
    expect(told).toEqual([
      "planner: the key /dynamo/planner/decision is broken: it is no decision: " +
        "num_prefill_workers, num_decode_workers and decision_id hold in its place",
    ]);
  });

  test("of bytes that are no text is replaced all the same", async () => {
    const world = await worldWith(plain);
    await world.store.put("/dynamo/planner/decision", new Uint8Array([0xff, 0xfe, 0x7b]));
    expect((await oneMore(world)).asked).toEqual(["2", "6", "42"]);
  });

  test("with plain keys that say nothing of workers: none is invented, and it is told", async () => {
    const world = await worldWith({ ...plain, decision: "?", num_decode_workers: "many" });
    const planner = world.planner();
    expect(planner.lead(model, 7)).rejects.toThrow(
      "nobody says how many decode workers there are, as the key " +
        "/dynamo/planner/num_decode_workers cannot be read: set it to their number",
    );
    expect(await planner.view(model)).toBeUndefined();
    expect(await planner.view(model)).toBeUndefined();
    expect((await planner.add(change("a", 7), "decode", 1)).kind).toBe("refused");
    expect(await world.dynamoKeys()).toEqual(["2", "many", "41", "41"]);
    expect(world.logged.filter((line) => line.includes("do not say"))).toHaveLength(1);
    expect((await world.client().get()).decision_id).toBe(-1);
    await world.set("have_decode_workers", "5");
    expect((await oneMore(world)).asked).toEqual(["2", "6", "42"]);
  });
});

describe("numbers that are broken", () => {
  test.each([
    ["an acknowledgement of a decision that is not known", { scaled_decision_id: "9" }, "10"],
    ["a failure of such a one", { failed_decision_id: "9", scaled_decision_id: "5" }, "10"],
    ["an acknowledgement beyond all bounds", { scaled_decision_id: "999999999999999" }, "6"],
    ["an acknowledgement that is no number", { scaled_decision_id: "-7" }, "6"],
  ])("%s: what is asked next is not taken for done", async (_, broken, next) => {
    const mirror = { num_prefill_workers: "1", num_decode_workers: "3", decision_id: "5" };
    const world = await worldWith({ ...mirror, decision: JSON.stringify(record), ...broken });
    expect(await oneMore(world)).toEqual({
      ...{ seen: [1, 3], asked: ["1", "4", next], ended: undefined },
    });
    expect(world.logged.filter((line) => line.includes("is broken"))).toHaveLength(1);
  });

  test("an id that is gone: the acknowledgement says where the ids are", async () => {
    const { decision_id: _, ...without } = plain;
    const world = await worldWith(without);
    expect((await oneMore(world)).asked).toEqual(["2", "6", "42"]);
    const garbled = await worldWith({ ...plain, decision_id: "4l" });
    expect((await oneMore(garbled)).asked).toEqual(["2", "6", "42"]);
  });

  test("plain keys ahead of the record: somebody else has decided, and it counts", async () => {
    const world = await worldWith({ ...plain, decision: JSON.stringify(record) });
    expect((await oneMore(world)).asked).toEqual(["2", "6", "42"]);
    expect(world.logged.join("\n")).toContain("somebody else decides here, too");
  });

  test("200,000 workers are neither believed nor a crash", async () => {
    const keys = { ...plain, have_decode_workers: "200000", have_prefill_workers: "99999999999" };
    const world = await worldWith(keys);
    expect((await oneMore(world)).seen).toEqual([2, 5]);
    const told = world.logged.filter((line) => line.includes("is broken"));
    expect(told).toEqual([
      'planner: the key /dynamo/planner/have_prefill_workers is broken: it says "99999999999", ' +
        "which is no whole number up to 4096, and counts as not set",
      'planner: the key /dynamo/planner/have_decode_workers is broken: it says "200000", ' +
        "which is no whole number up to 4096, and counts as not set",
    ]);
    const planner = world.planner();
    await planner.lead(model, 8);
    expect(await planner.add(change("b", 8), "decode", 5_000)).toMatchObject({
      ...{ kind: "refused", why: "more than 4096 decode workers" },
    });
  });

  test("a decision of a clock that runs ahead does not stop the next ones for ever", async () => {
    const ahead = { ...record, decision_id: 6, at_ms: Date.UTC(2400, 1) };
    const world = await worldWith({ decision: JSON.stringify(ahead) });
    expect((await oneMore(world)).asked).toEqual(["1", "4", "7"]);
  });

  test("what broke is told again only after it was whole", async () => {
    const world = await worldWith({ ...plain, failed_decision_id: "x" });
    const planner = world.planner();
    const told = () => world.logged.filter((line) => line.includes("failed_decision_id")).length;
    for (let i = 0; i < 3; i++) await planner.view(model);
    expect(told()).toBe(1);
    await world.set("failed_decision_id", "-1");
    await planner.view(model);
    await world.set("failed_decision_id", "y");
    await planner.view(model);
    expect(told()).toBe(2);
  });
});

describe("two models in one namespace", () => {
  test("the second one is refused, and changes nothing", async () => {
    const world = new VirtualWorld();
    const first = world.planner();
    await first.lead(model, 7);
    void first.add(change("a", 7), "decode", 2);
    await world.pass(1_000);
    const second = world.planner();
    const why =
      "these keys are of the model troupe-tiny, not of another: give each model a namespace of its " +
      "own with DYN_NAMESPACE, or delete the key /dynamo/planner/decision if troupe-tiny is no more";
    expect(second.lead("another", 9)).rejects.toThrow(why);
    expect(await second.view("another")).toBeUndefined();
    const theirs = { change: "b", epoch: 9, model: "another" };
    expect(await second.add(theirs, "decode", 1)).toEqual({ kind: "refused", workers: [], why });
    expect(await world.dynamoKeys()).toEqual(["0", "2", "0", undefined]);
    await world.client().complete(await world.client().get());
    await world.store.delete("/dynamo/planner/decision");
    await second.lead("another", 9);
    expect((await second.view("another"))?.workers).toHaveLength(2);
    expect(await first.view(model)).toBeUndefined();
  });
});

test("whatever stands in the keys: nothing throws, and no id is used twice", async () => {
  const junk = fc.oneof(
    fc.constantFrom("", "-1", "0", "7", "41", "200000", "1e3", "NaN", "{}", "null", "[]"),
    fc.string({ maxLength: 20 }),
    fc.constant(JSON.stringify(record)),
    fc.bigInt({ min: 0n, max: 10n ** 20n }).map(String),
  );
  const keys = fc.dictionary(
    fc.constantFrom(
      ...["decision", "decision_id", "num_prefill_workers", "num_decode_workers"],
      ...["scaled_decision_id", "failed_decision_id", "failure", "have_decode_workers"],
    ),
    junk,
  );
  await fc.assert(
    fc.asyncProperty(keys, async (given) => {
      const world = await worldWith(given);
      const planner = world.planner();
      const led = await planner.lead(model, 7).then(
        () => true,
        (error: Error) => error.message.includes("set it to their number"),
      );
      expect(led).toBe(true);
      const before = (await planner.view(model))?.workers.length;
      if (before === undefined) return;
      let ended = "";
      void planner.add(change("a", 7), "decode", 1).then(({ kind }) => {
        ended = kind;
      });
      await world.pass(2_000);
      const asked = Number(await world.key("decision_id"));
      for (const name of ["scaled_decision_id", "failed_decision_id"]) {
        const text = (await world.key(name)) ?? "";
        if (/^\d{1,12}$/.test(text)) expect(asked).toBeGreaterThan(Number(text));
      }
      expect(ended).toBe("");
      const told = await world.client().get();
      await world.client().complete(told);
      await world.pass(1_500);
      expect(ended).toBe("added");
    }),
    { numRuns: 200 },
  );
});
