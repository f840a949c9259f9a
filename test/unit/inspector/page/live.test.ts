/** The page's live feed over a socket of the test's own. */
import { expect, test } from "bun:test";
import { backoff_ms } from "../../../../actors/inspector/page/data/backoff.ts";
import { Live, type LiveSocket } from "../../../../actors/inspector/page/data/live.ts";
import type { Frame, Topic } from "../../../../actors/inspector/page/data/types.ts";

class FakeSocket implements LiveSocket {
  readonly sent: unknown[] = [];
  isClosed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.isClosed = true;
  }
}

function world() {
  const sockets: FakeSocket[] = [];
  const timers: { delay_ms: number; run: () => void }[] = [];
  const polled: Topic[] = [];
  const server = { away: false };
  const live = new Live({
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    after: (delay_ms, run) => {
      const timer = { delay_ms, run };
      timers.push(timer);
      return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1));
    },
    unit: () => 0.5,
    poll: async (topic) => {
      polled.push(topic);
      if (server.away) throw new Error("away");
      return { topic, polled: true } as unknown as Frame;
    },
  });
  /** Runs what waits for at most so long. */
  const pass = (within_ms: number) => {
    for (const timer of timers.filter(({ delay_ms }) => delay_ms <= within_ms)) {
      timers.splice(timers.indexOf(timer), 1);
      timer.run();
    }
  };
  const last = () => sockets.at(-1) as FakeSocket;
  return { live, sockets, timers, polled, server, pass, last };
}

test("nothing is opened while nothing is wanted; all wants go in one message", () => {
  const { live, sockets, pass, last } = world();
  expect(sockets).toHaveLength(0);
  live.want({ topics: ["tree"] });
  const end = live.want({ topics: ["acts", "tree"], actor: "a/b" });
  pass(0);
  expect(sockets).toHaveLength(1);
  last().onopen?.();
  expect(last().sent).toEqual([{ watch: ["acts", "tree"], actor: "a/b", request: null }]);
  expect(live.link.value).toBe("live");
  end();
  pass(0);
  expect(last().sent.at(-1)).toEqual({ watch: ["tree"], actor: null, request: null });
});

test("frames reach those of their topic; what cannot be read is left out", () => {
  const { live, pass, last } = world();
  live.want({ topics: ["tree"] });
  pass(0);
  last().onopen?.();
  const got: Frame[] = [];
  const end = live.on("tree", (frame) => got.push(frame));
  last().onmessage?.({ data: '{"topic":"tree","nodes":[]}' });
  last().onmessage?.({ data: '{"topic":"load"}' });
  last().onmessage?.({ data: "{" });
  end();
  last().onmessage?.({ data: '{"topic":"tree"}' });
  expect(got).toEqual([{ topic: "tree", nodes: [] } as unknown as Frame]);
});

test("a lost socket is opened again, and told anew what is wanted", () => {
  const { live, sockets, pass, last, timers } = world();
  live.want({ topics: ["tree"] });
  pass(0);
  last().onopen?.();
  last().onclose?.();
  expect(live.link.value).toBe("lost");
  expect(timers.map(({ delay_ms }) => delay_ms)).toEqual([backoff_ms(1, 0.5)]);
  pass(1_000);
  expect(sockets).toHaveLength(2);
  last().onopen?.();
  expect(last().sent).toHaveLength(1);
  expect(live.link.value).toBe("live");
});

test("where no socket can be had the page asks, and stops asking once it has one", async () => {
  const { live, polled, pass, last } = world();
  const got: Frame[] = [];
  live.on("tree", (frame) => got.push(frame));
  live.want({ topics: ["tree"] });
  pass(0);
  last().onclose?.();
  expect(polled).toEqual([]);
  pass(1_000);
  last().onclose?.();
  await Bun.sleep(0);
  expect(polled).toEqual(["tree"]);
  expect(got).toHaveLength(1);
  expect(live.link.value).toBe("asks");
  pass(5_000);
  await Bun.sleep(0);
  expect(polled).toEqual(["tree", "tree"]);
  last().onopen?.();
  pass(5_000);
  await Bun.sleep(0);
  expect(polled).toHaveLength(2);
  expect(live.link.value).toBe("live");
});

test("a server that answers again is tried for a socket at once", async () => {
  const { live, sockets, server, pass, last } = world();
  server.away = true;
  live.want({ topics: ["tree"] });
  pass(0);
  for (const wait_ms of [600, 1_200, 2_400]) {
    last().onclose?.();
    await Bun.sleep(0);
    pass(wait_ms);
  }
  last().onclose?.();
  await Bun.sleep(0);
  expect([sockets.length, live.link.value]).toEqual([4, "lost"]);
  server.away = false;
  // The next question comes before the next try, which would be 4 s away.
  pass(2_000);
  await Bun.sleep(0);
  expect([sockets.length, live.link.value]).toEqual([5, "asks"]);
  last().onopen?.();
  expect(live.link.value).toBe("live");
});

test("a hidden page lets go of its socket, and takes it up again", () => {
  const { live, sockets, pass, last } = world();
  live.want({ topics: ["tree"] });
  pass(0);
  last().onopen?.();
  live.pause();
  expect(last().isClosed).toBe(true);
  last().onclose?.();
  pass(60_000);
  expect(sockets).toHaveLength(1);
  live.resume();
  pass(0);
  expect(sockets).toHaveLength(2);
});

test("waits double up to a bound, and spread", () => {
  expect([1, 2, 3, 9, 99].map((n) => backoff_ms(n, 0.5))).toEqual([
    500, 1_000, 2_000, 15_000, 15_000,
  ]);
  expect([backoff_ms(1, 0), backoff_ms(1, 0.999)]).toEqual([375, 625]);
});

test("a frame that has nothing but an error reaches no view; a page with one does", () => {
  const { live, pass, last } = world();
  const heard: unknown[] = [];
  live.on("kv", (frame) => heard.push(frame));
  live.on("request", (frame) => heard.push(frame));
  live.want({ topics: ["kv"] });
  pass(0);
  const say = (frame: object) => last().onmessage?.({ data: JSON.stringify(frame) });
  say({ topic: "kv", error: "no answer" });
  const failed = { topic: "request", id: "r", error: "it failed" };
  say(failed);
  expect(heard).toEqual([failed]);
});
