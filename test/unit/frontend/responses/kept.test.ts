/** What is kept of responses: ended once, by whom, and until when. */
import { expect, test } from "bun:test";
import type { Recording } from "../../../../actors/frontend/answer/recording.ts";
import { Keeper, type KeeperParts } from "../../../../actors/frontend/kept/keeper.ts";
import { KeptConversations } from "../../../../actors/frontend/kept/kept-conversations.ts";
import { agedOf, ageKey } from "../../../../actors/frontend/kept/kept-record.ts";
import { KeptResponses } from "../../../../actors/frontend/kept/kept-responses.ts";
import { Retention } from "../../../../actors/frontend/kept/retention.ts";
import { SeededRandom } from "../../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../../runtime/simulation/virtual-clock.ts";
import { MemoryStore } from "../../../../runtime/store/memory.ts";
import { MemoryLog } from "../../../support/worlds/test-system.ts";

const forever = { keep_ms: 1e12, bytes_max: 1e12, count_max: 1e12 };

function world() {
  const random = new SeededRandom(5);
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const responses = new KeptResponses(store);
  const conversations = new KeptConversations({ store, clock, random });
  const doors: Keeper[] = [];
  const door = (name: string, more: Partial<KeeperParts> = {}) => {
    const keeper = new Keeper({
      ...{ store, clock, log: new MemoryLog(), responses, conversations, limits: forever },
      ...{ door: name, goOn: async () => false, makeAgain: async () => false },
      ...{ isReady: () => true, ...more },
    });
    doors.push(keeper);
    return keeper;
  };
  /** As the doors that live tend, for a while. */
  const pass = async (ms: number, living: readonly Keeper[]) => {
    for (let at = 0; at < ms; at += 500) {
      await clock.advance(500);
      for (const keeper of living) await keeper.tend(true);
    }
  };
  return { clock, store, responses, conversations, door, pass };
}

const record = (more: object = {}) => ({
  ...{
    owner: "",
    background: true,
    response: { id: "r", status: "queued", output: [] },
    input: [],
  },
  ...more,
});
const whole = { id: "r", status: "completed", output: [{ id: "m" }] };

test("a response is ended once, by the first that ends it", async () => {
  const { door, responses } = world();
  const recording = await door("a").begin("r", record());
  expect(await responses.read("r")).toMatchObject({ state: "running", door: "a" });
  await recording.whole(whole, [3, 4]);
  recording.left();
  await recording.whole({ ...whole, output: [] }, []);
  expect(await responses.read("r")).toMatchObject({
    state: "final",
    response: whole,
    deltas: [3, 4],
  });
  expect(await responses.running()).toEqual([]);
});

test("another key's response is not there", async () => {
  const { door, responses } = world();
  await door("a").begin("r", record({ owner: "mine" }));
  expect(await responses.get("mine", "r")).toBeDefined();
  expect(await responses.get("theirs", "r")).toBeUndefined();
});

test("nobody takes over what a living door makes", async () => {
  const { door, pass, responses } = world();
  const asked: string[] = [];
  const a = door("a");
  const b = door("b", { goOn: async (id) => asked.push(id) > 0 });
  await a.begin("r", record());
  await pass(20_000, [a, b]);
  expect(asked).toEqual([]);
  expect(await responses.read("r")).toMatchObject({ state: "running", door: "a" });
});

test("what a dead door made goes on at one other door", async () => {
  const { door, pass, responses } = world();
  const taken: Recording[] = [];
  const goOn: KeeperParts["goOn"] = async (_id, _record, recording) => taken.push(recording) > 0;
  const a = door("a");
  const others = [door("b", { goOn }), door("c", { goOn })];
  await a.begin("r", record());
  await pass(10_000, others);
  expect(taken.length).toBe(1);
  await taken[0]!.whole(whole, []);
  expect(await responses.read("r")).toMatchObject({ state: "final", response: whole });
});

test("what no worker has any more has failed, after some tries", async () => {
  const { door, pass, responses } = world();
  await door("a").begin("r", record());
  await pass(15_000, [door("b")]);
  const { state, response } = (await responses.read("r"))!;
  expect({ state, status: response["status"] }).toEqual({ state: "final", status: "failed" });
  expect(response["error"]).toMatchObject({ code: "server_error" });
});

test("what may be made anew is, twice at most, and its request is forgotten at its end", async () => {
  const { door, pass, responses } = world();
  const again = { dialect: "responses", body: { input: "x" }, left: 2 };
  const made: Recording[] = [];
  const makeAgain: KeeperParts["makeAgain"] = async (_id, record, recording) => {
    expect(record.again?.body).toEqual(again.body);
    return made.push(recording) > 0;
  };
  await door("a").begin("r", record({ again }));
  await door("a").begin("s", record({ again }));
  await pass(15_000, [door("b", { makeAgain })]);
  expect(made.length).toBe(2);
  await made[0]!.whole(whole, []);
  const first = (await responses.read("r"))!;
  expect([first.state, first.response["status"], first.again]).toEqual([
    "final",
    "completed",
    undefined,
  ]);
  // Each door that makes the other one ends.
  await pass(15_000, [door("c", { makeAgain })]);
  expect(made.length).toBe(3);
  await pass(15_000, [door("d", { makeAgain })]);
  expect(made.length).toBe(3);
  expect((await responses.read("s"))?.response).toMatchObject({ status: "failed" });
});

test("what cannot be made anew has failed", async () => {
  const { door, pass, responses } = world();
  const again = { dialect: "responses", body: {}, left: 2 };
  await door("a").begin("r", record({ again }));
  const makeAgain: KeeperParts["makeAgain"] = () => Promise.reject(new Error("no such model"));
  await pass(15_000, [door("b", { makeAgain })]);
  expect((await responses.read("r"))?.response).toMatchObject({ status: "failed" });
});

test("a door without workers waits before it says that something has failed", async () => {
  const { door, pass, responses } = world();
  await door("a").begin("r", record());
  await pass(15_000, [door("b", { isReady: () => false })]);
  expect(await responses.read("r")).toMatchObject({ state: "running" });
});

test("a cancel reaches the door that makes it", async () => {
  const { door, pass, responses } = world();
  const a = door("a");
  let cancelled = 0;
  (await a.begin("r", record())).started(() => {
    cancelled += 1;
  });
  await responses.askCancel("r");
  await pass(2_000, [door("b"), a]);
  expect(cancelled).toBe(1);
  expect(await responses.cancelAsked()).toEqual([]);
});

test("a whole response's items go into its conversation", async () => {
  const { door, conversations } = world();
  await conversations.create("", "conv", {});
  const input = [{ id: "i" }];
  const recording = await door("a").begin("r", record({ input }));
  await recording.whole({ ...whole, conversation: { id: "conv" } }, []);
  expect(await conversations.itemsOf("", "conv")).toEqual([{ id: "i" }, { id: "m" }]);
});

test("the old go after their time, the oldest where there are too many or too much", async () => {
  const { clock, store, responses, conversations, door } = world();
  const keeper = door("a");
  for (let i = 0; i < 10; i += 1) {
    await (await keeper.begin(`r${i}`, record())).whole(whole, []);
    await clock.advance(1_000);
  }
  await conversations.create("", "conv", {});
  await conversations.add("", "conv", [{ id: "i" }]);
  const left = async () => (await store.list("kept/response/", 100)).map((key) => key.slice(14));
  const retention = (more: object) =>
    new Retention({ store, clock, responses, conversations, limits: { ...forever, ...more } });
  expect(await retention({}).prune()).toBe(0);
  await retention({ keep_ms: 7_500 }).prune();
  expect(await left()).toEqual(["r3", "r4", "r5", "r6", "r7", "r8", "r9"]);
  await retention({ count_max: 5 }).prune();
  expect((await left()).length).toBeLessThan(6);
  expect(await conversations.itemsOf("", "conv")).toEqual([{ id: "i" }]);
  await retention({ bytes_max: 1 }).prune();
  expect(await store.list("kept/", 100)).toEqual([expect.stringContaining("kept/door/")]);
});

test("keys of ages are in the order of their times", () => {
  const times = [5, 999, 1_000_000_000_000, 1_790_000_000_000];
  const keys = times.map((at_ms) => ageKey({ at_ms, kind: "response", bytes: 7, id: "a/b" }));
  expect(keys.toSorted()).toEqual(keys);
  expect(keys.map((key) => agedOf(key)?.at_ms)).toEqual(times);
  expect(agedOf(keys[0]!)).toMatchObject({ kind: "response", bytes: 7, id: "a/b" });
  expect(agedOf("kept/age/odd")).toBeUndefined();
});
