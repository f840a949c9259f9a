/** Who asks too much, too fast or too slowly holds up nobody. */
import { expect, test } from "bun:test";
import { whyForGood } from "../../../actors/inspector/acts/for-good.ts";
import { readBody } from "../../../actors/inspector/acts/read-body.ts";
import type { Door } from "../../../actors/inspector/door/door.ts";
import { LiveHub, WAITING_BYTES_MAX } from "../../../actors/inspector/door/live/live-hub.ts";
import type { Topic } from "../../../actors/inspector/door/live/topic.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { absent, MemoryLog } from "../../support/worlds/test-system.ts";

/** A hub over one topic, whose frame has a length. */
function hubOf(frame_chars: number) {
  const clock = new VirtualClock();
  const opened: string[] = [];
  const frame = { text: "x".repeat(frame_chars) };
  const topic: Topic = {
    name: "actor",
    every_ms: 1_000,
    open: (_door, key) => {
      opened.push(key);
      return { next: async () => frame, whole: () => undefined };
    },
  };
  const world = { door: absent<Door>("door"), clock, log: new MemoryLog() };
  const hub = new LiveHub(world, [topic]);
  const end = { buffered_bytes: 0, codes: [] as number[] };
  const handlers = hub.accept({
    send: (text) => {
      end.buffered_bytes += text.length;
      return true;
    },
    get buffered_bytes() {
      return end.buffered_bytes;
    },
    close: (code) => void end.codes.push(code),
  });
  return { hub, clock, opened, end, handlers };
}

test("of wishes that come too fast only the last is followed", async () => {
  const { hub, clock, opened, handlers } = hubOf(1);
  for (let i = 0; i < 10_000; i++) handlers.message(JSON.stringify({ actor: `n/${i}` }));
  expect(opened).toEqual(["n/0", "n/1", "n/2", "n/3"]);
  await clock.advance(250);
  expect([opened.at(-1), opened.length, hub.watched]).toEqual(["n/9999", 5, ["actor n/9999"]]);
  // After a rest several are followed at once again.
  await clock.advance(5_000);
  for (let i = 0; i < 6; i++) handlers.message(JSON.stringify({ actor: `m/${i}` }));
  expect(opened.slice(5)).toEqual(["m/0", "m/1", "m/2", "m/3"]);
  handlers.close(1000);
  await clock.advance(5_000);
  expect([opened.length, hub.watched, hub.pages]).toEqual([9, [], 0]);
});

test("one long frame is no slow page; a page that does not take it in time is", async () => {
  const { clock, end, handlers } = hubOf(2 * WAITING_BYTES_MAX);
  handlers.message('{"actor":"n/a"}');
  await clock.advance(500);
  expect([end.buffered_bytes > WAITING_BYTES_MAX, end.codes]).toEqual([true, []]);
  end.buffered_bytes = 0;
  await clock.advance(1_000);
  expect(end.codes).toEqual([]);
  await clock.advance(1_000);
  expect(end.codes).toEqual([1013]);
});

const bodyFrom = (body: ReadableStream<Uint8Array>) =>
  new Request("http://x/", { method: "POST", body });

test("no more of a body is read than may be", async () => {
  let pieces = 0;
  const body = bodyFrom(
    new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pieces++;
        controller.enqueue(new Uint8Array(16 * 1024).fill(32));
      },
    }),
  );
  const read = await readBody(body, new VirtualClock());
  expect(read).toEqual({ wrong: "a body has at most 65536 bytes" });
  expect(pieces).toBeLessThan(10);
});

test("a body that does not come is not waited for", async () => {
  const clock = new VirtualClock();
  const begun = bodyFrom(
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"a":')),
    }),
  );
  const read = readBody(begun, clock);
  await clock.advance(10_000);
  expect(await read).toEqual({ wrong: "the body was not here within 10 s" });
});

test("a body is cut anywhere, and its letters stay whole", async () => {
  const bytes = new TextEncoder().encode('{"a":"é💡"}');
  const body = bodyFrom(
    new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    }),
  );
  expect(await readBody(body, new VirtualClock())).toEqual({ fields: { a: "é💡" } });
});

test("what nobody could take back is not done", async () => {
  const answering = { inspector: "/cluster/inspector", door: "/cluster/inspector-door" };
  const why = (path: string, action: string) => whyForGood(path, action, answering);
  expect(why("/cluster", "stop")).toContain("SIGTERM");
  expect(why("/cluster", "kill")).toContain("SIGTERM");
  expect(why("/cluster/inspector", "suspend")).toContain("could not resume itself");
  expect(why("/cluster/inspector", "stop")).toContain("could not restart itself");
  expect(why("/cluster/inspector-door", "stop")).toContain("could not restart itself");
  // These come back by themselves, or by their opposite.
  expect(why("/cluster/inspector", "kill")).toBeUndefined();
  expect(why("/cluster/inspector-door", "restart")).toBeUndefined();
  expect(why("/cluster/workers", "stop")).toBeUndefined();
});
