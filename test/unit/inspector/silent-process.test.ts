/** A process that does not answer for a while, or begins anew: no page is held up or confused. */
import { expect, test } from "bun:test";
import type { Door } from "../../../actors/inspector/door/door.ts";
import { actorTopic } from "../../../actors/inspector/door/live/actor-topic.ts";
import {
  requestsTopic,
  requestTopic,
} from "../../../actors/inspector/door/live/requests-topics.ts";
import { Written } from "../../../actors/inspector/door/live/topic.ts";
import { treeTopic } from "../../../actors/inspector/door/live/tree-topic.ts";
import { ProcessInspector } from "../../../actors/inspector/inspector.ts";
import type { InspectMessage } from "../../../proto/index.ts";
import type { ChildProcess } from "../../../runtime/capabilities.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import { absent, testSystem } from "../../support/worlds/test-system.ts";

const deaf = { now: false };

/** A process inspector that answers nothing while it is deaf. */
class Frozen extends ProcessInspector {
  override receive(message: InspectMessage): void {
    if (!deaf.now) super.receive(message);
  }
}

const shown = (id: string, started_ms: number) => ({
  list: (after: number) => {
    const row = { id, started_ms, number: 1, json: JSON.stringify({ id }) };
    return { kind: "request_list", rows: after < 1 ? [row] : [], first: 1, last: 1 } as const;
  },
  page: (asked: string) => (asked === id ? { id, text: "so far" } : undefined),
});

class Busy extends Actor<Message> {
  receive(): void {}
}

const add = async (system: ActorSystem, name: string, inspector: Actor<InspectMessage>) =>
  (await system.spawnReady(() => inspector, { name })) as Ref<InspectMessage>;

async function twoProcesses() {
  deaf.now = false;
  const spawn = {
    ...{ start: () => absent<ChildProcess>("start"), self: [], pid: 7 },
    ...{ isAlive: () => true, resident_bytes: () => 1 },
  };
  const { system, clock } = testSystem(1, {}, { spawn });
  const quick = await add(
    system,
    "quick",
    new ProcessInspector({ role: "r", requests: shown("q", 1) }),
  );
  const slow = await add(system, "slow", new Frozen({ role: "r", requests: shown("s", 2) }));
  const refs = { now: [quick, slow] };
  const door = {
    ...{ system, options: { processes: () => refs.now } },
    inspectorOf: (node: string) => refs.now.find((ref) => ref.address.node === node),
  } as unknown as Door;
  return { clock, door, refs, quick, system };
}

/** What one look gives, and how long it took. */
async function look(
  clock: { advance(ms: number): Promise<void>; now_ms(): number },
  source: { next(): Promise<object | undefined> },
) {
  const began_ms = clock.now_ms();
  let took_ms = -1;
  const frame = source.next().then((found) => {
    took_ms = clock.now_ms() - began_ms;
    const said = found instanceof Written ? JSON.parse(`{${found.fields}}`) : found;
    return said as Record<string, unknown> | undefined;
  });
  for (let i = 0; i < 40 && took_ms < 0; i++) await clock.advance(50);
  return { frame: await frame, took_ms };
}

const idsOf = (frame: Readonly<Record<string, unknown>> | undefined, rows: string): string[] =>
  ((frame?.[rows] ?? []) as readonly { id: string }[]).map(({ id }) => id);

test("a tree goes on without those that are slow", async () => {
  const { clock, door, quick } = await twoProcesses();
  deaf.now = true;
  const source = treeTopic.open(door, "");
  const first = await look(clock, source);
  expect(first.took_ms).toBeLessThan(500);
  expect(idsOf(first.frame, "nodes")).toContain("test/quick");
  // It is not asked again while it has not answered, and the others are.
  quick.tell({ kind: "get_load" });
  const second = await look(clock, source);
  expect(second.took_ms).toBeLessThan(50);
  expect(second.frame?.["full"]).toBe(false);
});

test("requests of a process that is silent stay in the list until it is gone", async () => {
  const { clock, door, refs, quick } = await twoProcesses();
  const source = requestsTopic.open(door, "");
  expect(idsOf((await look(clock, source)).frame, "rows")).toEqual(["q", "s"]);
  deaf.now = true;
  const silent = await look(clock, source);
  expect(silent.took_ms).toBeLessThan(500);
  expect(silent.frame).toBeUndefined();
  refs.now = [quick];
  expect((await look(clock, source)).frame).toEqual({ rows: [], gone: ["s"] });
});

test("a followed request is not said to be gone while its process is silent", async () => {
  const { clock, door, refs, quick } = await twoProcesses();
  const source = requestTopic.open(door, "s");
  expect((await look(clock, source)).frame).toEqual({ id: "s", text: "so far" });
  deaf.now = true;
  expect((await look(clock, source)).frame).toBeUndefined();
  refs.now = [quick];
  expect((await look(clock, source)).frame).toEqual({ id: "s", gone: true });
});

test("history of a process that began anew is told whole, however busy it is", async () => {
  const { clock, door, refs, quick, system } = await twoProcesses();
  refs.now = [quick];
  const source = actorTopic.open(door, "test/busy");
  const busy = system.spawn(() => new Busy(), { name: "busy" });
  const send = (count: number) => {
    for (let i = 0; i < count; i++) busy.tell({ kind: "x" });
  };
  const seqs = ({ frame }: { frame: Record<string, unknown> | undefined }) =>
    ((frame?.["entries"] ?? []) as { seq: number }[]).map(({ seq }) => seq);
  await look(clock, source);
  send(3);
  expect(seqs(await look(clock, source))).toEqual([1, 2, 3]);
  // Another process of that name, which has written down more than was told of the one before.
  const anew = await add(system, "anew", new ProcessInspector({ role: "r" }));
  const watch = { kind: "get_actor", path: "/busy", watch: "other", after: 0 } as const;
  await system.ask(anew, watch, { deadline_ms: 1_000 });
  send(5);
  refs.now = [anew];
  const told = await look(clock, source);
  expect([told.frame?.["full"], seqs(told)]).toEqual([true, [1, 2, 3, 4, 5]]);
  expect(source.whole()).toMatchObject({ full: true, entries: { length: 5 } });
});
