/** What pages watch over the WebSocket, on a real socket. */
import { expect, test } from "bun:test";
import type { Door } from "../../../actors/inspector/door/door.ts";
import { LiveHub, WAITING_BYTES_MAX } from "../../../actors/inspector/door/live/live-hub.ts";
import type { Topic } from "../../../actors/inspector/door/live/topic.ts";
import { readWish } from "../../../actors/inspector/door/live/wish.ts";
import { ProcessInspector } from "../../../actors/inspector/inspector.ts";
import type { InspectMessage } from "../../../proto/index.ts";
import type { WebSocketEnd } from "../../../runtime/capabilities.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { until } from "../../support/cluster.ts";
import { startDoorSystem } from "../../support/inspector/door-system.ts";
import { openPage } from "../../support/inspector/live-page.ts";
import { absent, MemoryLog, testSystem } from "../../support/worlds/test-system.ts";

class Quiet extends Actor<Message> {
  receive(): void {}
}

test("a page gets the whole tree first, then what changes", async () => {
  await using door = await startDoorSystem();
  using page = openPage(door.url, { watch: ["tree"] });
  const first = await page.until("tree", () => true);
  expect(first.frame).toMatchObject({ topic: "tree", full: true, gone: [] });
  expect([...page.rows.keys()].toSorted()).toEqual(["root/door", "root/inspector"]);
  const ref: Ref<Message> = door.system.spawn(() => new Quiet(), { name: "new", role: "quiet" });
  await page.until("tree", () => page.rows.has("root/new"));
  expect(page.rows.get("root/new")).toMatchObject({
    ...{ id: "root/new", node: "root", path: "/new", kind: "actor", role: "quiet" },
    ...{ pid: process.pid, state: "running", restarts: 0, mailbox: 0, children: [], more: 0 },
  });
  for (let i = 0; i < 5; i++) ref.tell({ kind: "x" });
  await page.until("tree", () => page.rows.get("root/new")?.["handled"] === 5);
  door.system.stop(ref);
  await page.until("tree", () => !page.rows.has("root/new"));
});

test("a process that does not answer holds up nobody else's rows", async () => {
  let asked = 0;
  const silent: Ref<InspectMessage> = {
    address: { node: "silent", path: "/inspector", incarnation: 1n },
    local: false,
    tell: () => true,
    deliver: () => ++asked > 0,
    watch: () => {},
    unwatch: () => {},
  };
  await using door = await startDoorSystem({
    processes: () => [door.system.lookup("/inspector") as Ref<InspectMessage>, silent],
  });
  using page = openPage(door.url, { watch: ["tree"] });
  await page.until("tree", () => true);
  for (let i = 0; i < 2; i++) {
    door.system.spawn(() => new Quiet(), { name: `new-${i}` });
    await page.until("tree", () => page.rows.has(`root/new-${i}`));
  }
  expect(asked).toBeGreaterThan(0);
});

test("all pages are served by one watch, which ends with the last of them", async () => {
  await using door = await startDoorSystem();
  const watched = () => door.system.snapshot("/door") as { pages: number; watched: string[] };
  {
    using one = openPage(door.url, { watch: ["tree"] });
    using two = openPage(door.url, { watch: ["tree"] });
    await Promise.all([one.until("tree", () => true), two.until("tree", () => true)]);
    expect(watched()).toMatchObject({ pages: 2, watched: ["tree "] });
    expect(door.system.snapshot("/inspector")).toMatchObject({ watches: 1 });
    // What it wishes now takes the place of what it wished before.
    one.wish({ actor: "root/inspector" });
    await one.until("actor", () => true);
    expect(watched().watched.toSorted()).toEqual(["actor root/inspector", "tree "]);
  }
  while (watched().pages > 0) await Bun.sleep(5);
  expect(watched().watched).toEqual([]);
  // And with it what its process measures, long before it would have been forgotten.
  await until("the watch ends", 5_000, () => {
    const { watches } = door.system.snapshot("/inspector") as { watches: number };
    return watches === 0;
  });
});

test("a watched actor's messages come with its state before and after", async () => {
  await using door = await startDoorSystem();
  const ref: Ref<Message> = door.system.spawn(() => new Quiet(), { name: "a" });
  using page = openPage(door.url, { actor: "root/a" });
  await page.until("actor", () => true);
  ref.tell({ kind: "hello", bytes: new Uint8Array([1]) } as Message);
  const { frame } = await page.until("actor", ({ entries }) => (entries as []).length > 0);
  expect(frame).toMatchObject({
    ...{ topic: "actor", id: "root/a", dropped: 0 },
    entries: [
      {
        ...{ seq: 1, kind: "hello", from: null, ask: false, before: {}, after: {} },
        message: { kind: "hello", bytes: "(1 bytes 01)" },
      },
    ],
  });
  const answer = await fetch(`${door.url}/api/actors/root%2Fa`);
  expect(await answer.json()).toMatchObject({
    ...{ id: "root/a", node: "root", path: "/a", found: true, recorded: true, snapshot: {} },
    row: { kind: "actor", state: "running", handled: 1, pid: process.pid },
    relations: { parent: null, children: [], monitors: [], watchers: 0 },
    entries: [{ kind: "hello" }],
  });
  const nobody = await fetch(`${door.url}/api/actors/root%2Fnobody`);
  expect(nobody.status).toBe(404);
  await nobody.body?.cancel();
});

test("what is no actor's id comes as a frame like any other", async () => {
  await using door = await startDoorSystem();
  using page = openPage(door.url, { actor: "%" });
  const { frame } = await page.until("actor", () => true);
  expect(frame).toMatchObject({ id: "%", entries: [], dropped: 0, error: expect.any(String) });
});

test("no other site's page can open it, and who does not ask for a WebSocket is told", async () => {
  await using door = await startDoorSystem();
  const { host } = new URL(door.url);
  const knock = async (headers: Record<string, string>) => {
    const handshake = {
      ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    return rawStatus(door.url, { host, ...handshake, ...headers });
  };
  expect(await knock({})).toBe(101);
  expect(await knock({ origin: door.url })).toBe(101);
  expect(await knock({ origin: "http://evil.example" })).toBe(403);
  expect(await knock({ origin: "null" })).toBe(403);
  expect(await knock({ origin: `http://evil.${host}` })).toBe(403);
  expect(await knock({ host: "evil.example", origin: "http://evil.example" })).toBe(403);
  expect(await knock({ "sec-fetch-site": "cross-site" })).toBe(403);
  const plain = await fetch(`${door.url}/api/live`);
  expect([plain.status, plain.headers.get("upgrade")]).toEqual([426, "websocket"]);
  expect(await plain.json()).toEqual({ error: expect.stringContaining("ws://") });
});

test("what is no wish, no text or too long ends the connection; too many pages are refused", async () => {
  await using door = await startDoorSystem();
  const codes: number[] = [];
  for (const said of ["{", '{"watch":"tree"}', new Uint8Array(3), "x".repeat(5_000)]) {
    using page = openPage(door.url, {});
    await page.opened;
    page.send(said);
    codes.push(await page.closed);
  }
  expect(codes.slice(0, 3)).toEqual([1008, 1008, 1003]);
  // Bun ends a connection with a message that is too long without a word.
  expect([1006, 1009]).toContain(codes[3]!);
  const pages = Array.from({ length: 32 }, () => openPage(door.url, {}));
  await Promise.all(pages.map((page) => page.opened));
  expect([1002, 1006]).toContain(await openPage(door.url, {}).closed);
  for (const page of pages) page[Symbol.dispose]();
});

test("a wish names topics, one actor and one request", () => {
  const all = readWish(
    JSON.stringify({ watch: ["kv", "tree", "other", "actor"], actor: "n/a", request: null }),
  );
  expect(all).toEqual([
    { name: "tree", key: "" },
    { name: "kv", key: "" },
    { name: "actor", key: "n/a" },
  ]);
  expect(readWish("{}")).toEqual([]);
  for (const wrong of ["", "1", "null", '{"watch":1}', '{"actor":1}', '{"request":""}']) {
    expect([wrong, readWish(wrong)]).toEqual([wrong, { wrong: expect.any(String) }]);
  }
});

/** A hub over one topic that counts. */
function hubWorld() {
  const clock = new VirtualClock();
  const log = new MemoryLog();
  let looks = 0;
  let closes = 0;
  const failing = { now: false };
  const topic: Topic = {
    name: "load",
    every_ms: 1_000,
    open: () => ({
      next: async () => {
        if (failing.now) throw new Error("no answer");
        return { n: ++looks };
      },
      whole: () => undefined,
      close: () => void closes++,
    }),
  };
  const hub = new LiveHub({ door: absent<Door>("door"), clock, log }, [topic]);
  const page = () => {
    const sent: unknown[] = [];
    const end = { buffered_bytes: 0, code: 0 };
    const socket: WebSocketEnd = {
      send: (text) => sent.push(JSON.parse(text)) > 0,
      get buffered_bytes() {
        return end.buffered_bytes;
      },
      close: (code) => {
        end.code = code;
      },
    };
    const handlers = hub.accept(socket);
    handlers.message('{"watch":["load"]}');
    return { sent, end, leave: () => handlers.close(1000) };
  };
  return { clock, log, hub, page, failing, looks: () => looks, closes: () => closes };
}

test("a page that takes nothing is dropped, others go on", async () => {
  const { clock, page } = hubWorld();
  const slow = page();
  const quick = page();
  await clock.advance(1_000);
  slow.end.buffered_bytes = WAITING_BYTES_MAX + 1;
  await clock.advance(1_000);
  expect([slow.end.code, quick.end.code]).toEqual([1013, 0]);
  const before = quick.sent.length;
  await clock.advance(3_000);
  expect(quick.sent.length).toBe(before + 3);
});

test("nothing is looked at while nobody watches", async () => {
  const { clock, page, looks, closes, hub } = hubWorld();
  await clock.advance(10_000);
  expect(looks()).toBe(0);
  const one = page();
  await clock.advance(2_500);
  expect(looks()).toBe(3);
  one.leave();
  await clock.advance(10_000);
  expect([looks(), closes(), hub.pages]).toEqual([3, 1, 0]);
  const two = page();
  await clock.advance(1_000);
  expect(two.sent).toEqual([
    { topic: "load", n: 4 },
    { topic: "load", n: 5 },
  ]);
});

test("what cannot be had is said to the page, and once to the log", async () => {
  const { clock, page, failing, log } = hubWorld();
  failing.now = true;
  const { sent } = page();
  await clock.advance(2_000);
  expect(sent[0]).toEqual({ topic: "load", error: "no answer" });
  expect(log.lines.length).toBe(1);
  failing.now = false;
  await clock.advance(1_000);
  expect(sent.at(-1)).toEqual({ topic: "load", n: 1 });
});

test("watches end 10 s after the last question, and nothing is measured any more", async () => {
  const { system, clock } = testSystem(
    1,
    {},
    {
      spawn: {
        start: () => absent("start"),
        ...{ self: [], pid: 7, isAlive: () => true, resident_bytes: () => 1 },
      },
    },
  );
  const inspector = (await system.spawnReady(() => new ProcessInspector({ role: "r" }), {
    name: "inspector",
  })) as Ref<InspectMessage>;
  const cell = system.spawn(() => new Quiet(), { name: "a" });
  const tree = async (seen: number) => {
    const question = { kind: "get_tree_delta", watch: "w", seen, rows_max: 100 } as const;
    return system.ask(inspector, question, { deadline_ms: 1_000 });
  };
  const first = await tree(0);
  expect([first.whole, first.number, first.rows.length]).toEqual([true, 1, 2]);
  const question = { kind: "get_actor", path: "/a", watch: "w", after: 0 } as const;
  expect((await system.ask(inspector, question, { deadline_ms: 1_000 })).recorded).toBe(true);
  await clock.advance(9_000);
  const second = await tree(1);
  expect([second.whole, second.number, second.gone]).toEqual([false, 2, []]);
  expect(system.snapshot("/inspector")).toMatchObject({ watches: 1, recorded: ["/a"] });
  await clock.advance(3_000);
  expect(system.snapshot("/inspector")).toMatchObject({ watches: 1, recorded: [] });
  await clock.advance(9_000);
  expect(system.snapshot("/inspector")).toMatchObject({ watches: 0, recorded: [] });
  // An answer that was lost, and one of a process that knows nothing any more, are made good.
  expect((await tree(2)).whole).toBe(true);
  expect((await tree(7)).whole).toBe(true);
  // Nobody looks any more: it is kept for a page that comes back at once, and then no longer.
  inspector.tell({ kind: "end_watch", watch: "w" });
  await clock.advance(900);
  expect((await tree(2)).whole).toBe(false);
  inspector.tell({ kind: "end_watch", watch: "another" });
  inspector.tell({ kind: "end_watch", watch: "w" });
  await clock.advance(1_100);
  expect(system.snapshot("/inspector")).toMatchObject({ watches: 0 });
  expect(cell.address.path).toBe("/a");
});

/** The status of a GET of /api/live with these headers. */
function rawStatus(url: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  Bun.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(url).port),
    socket: {
      open: (socket) => void socket.write(`GET /api/live HTTP/1.1\r\n${lines.join("")}\r\n`),
      data: (socket, bytes) => {
        resolve(Number(/^HTTP\/1.1 (\d+)/.exec(bytes.toString())?.[1]));
        socket.end();
      },
      error: (_socket, error) => reject(error),
    },
  }).catch(reject);
  return promise;
}
