/** Workers of one process speak to each router with one voice. */
import { expect, test } from "bun:test";
import { LoadPublisher } from "../../../actors/worker/load/load-publisher.ts";
import { ProcessReports } from "../../../actors/worker/load/process-reports.ts";
import type { WorkerLoad, WorkerNews } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";

function world(workers: number) {
  const clock = new VirtualClock();
  const reports = new ProcessReports(clock);
  const running = new Array<number>(workers).fill(0);
  const publishers = running.map((_, i) => {
    const load = () => ({ kind: "worker_load", worker: `w${i}`, running: running[i] });
    return new LoadPublisher(clock, load as unknown as () => WorkerLoad, reports);
  });
  const router = (name: string) => {
    const heard: WorkerNews[] = [];
    const first: WorkerLoad[] = [];
    const address = { node: name, path: "/router", incarnation: 1n };
    const tell = (message: WorkerNews | WorkerLoad): boolean => {
      if (message.kind === "worker_news") return heard.push(message) > 0;
      return first.push(message) > 0;
    };
    return { heard, first, ref: { address, tell } as unknown as Ref<WorkerLoad | WorkerNews> };
  };
  const change = (i: number) => {
    running[i]!++;
    publishers[i]!.changed();
  };
  return { clock, reports, publishers, router, change, running };
}

test("a thousand idle workers are one message a second, and each says its load now and then", async () => {
  const { clock, publishers, router } = world(1_000);
  const { ref, heard, first } = router("a");
  for (const [i, each] of publishers.entries()) each.subscribe(ref, i + 1, i + 1);
  expect(first).toHaveLength(1_000);
  await clock.advance(8_500);
  expect(heard).toHaveLength(8);
  for (const { alive, loads } of heard) {
    expect(alive).toHaveLength(1_000);
    expect(loads.length).toBeLessThanOrEqual(250);
  }
  const said = new Set(heard.flatMap(({ loads }) => loads.map(({ worker }) => worker)));
  expect(said.size).toBe(1_000);
  // Two timers a worker would be 2,000.
  expect(clock.pending).toBe(1);
});

test("changes are told at once, then every 50 ms, each worker once with its latest", async () => {
  const { clock, publishers, router, change } = world(8);
  const routers = [router("a"), router("b")];
  for (const [number, { ref }] of routers.entries()) {
    for (const [i, each] of publishers.entries()) each.subscribe(ref, 100 * i + number, i + 1);
  }
  change(3);
  for (const { heard } of routers) {
    expect(heard.map(({ loads }) => loads.map(({ worker }) => worker))).toEqual([["w3"]]);
  }
  for (let i = 0; i < 20; i++) change(i % 8);
  await clock.advance(49);
  expect(routers[0]!.heard).toHaveLength(1);
  await clock.advance(1);
  const { loads } = routers[0]!.heard[1]!;
  expect(loads.map(({ worker, running }) => `${worker} ${running}`).sort()).toEqual(
    [3, 3, 3, 4, 2, 2, 2, 2].map((running, i) => `w${i} ${running}`),
  );
});

test("what a request left in the sums alone waits for the heartbeat", async () => {
  const { clock, publishers, router, change, running } = world(1);
  const { ref, heard } = router("a");
  publishers[0]!.subscribe(ref, 1, 1);
  change(0);
  await clock.advance(100);
  expect(heard).toHaveLength(1);
  // A second request comes and goes between two reports: running is 1 as before.
  running[0] = 0;
  change(0);
  await clock.advance(899);
  expect(heard).toHaveLength(1);
  await clock.advance(1);
  expect(heard[1]!.loads.map(({ running }) => running)).toEqual([1]);
});

test("many workers of one process are told of at longer gaps, so that reports stay as few", async () => {
  const { clock, publishers, router, change } = world(512);
  const { ref, heard } = router("a");
  for (const [i, each] of publishers.entries()) each.subscribe(ref, i + 1, i + 1);
  change(0);
  change(1);
  await clock.advance(399);
  expect(heard).toHaveLength(1);
  await clock.advance(1);
  expect(heard).toHaveLength(2);
});

test("who left is not spoken for; without anybody who listens nothing runs", async () => {
  const { clock, reports, publishers, router, change } = world(3);
  const { ref, heard } = router("a");
  for (const [i, each] of publishers.entries()) each.subscribe(ref, i + 1, 10 + i);
  change(0);
  change(1);
  publishers[1]!.stop();
  await clock.advance(1_100);
  expect(heard.flatMap(({ loads }) => loads.map(({ worker }) => worker))).not.toContain("w1");
  expect(heard.at(-1)?.alive).toEqual([10, 12]);
  expect(publishers[0]!.unsubscribe(1)).toBe(true);
  publishers[2]!.stop();
  expect(reports.router_count).toBe(0);
  heard.length = 0;
  change(0);
  await clock.advance(5_000);
  expect(heard).toEqual([]);
  expect(clock.pending).toBe(0);
});

test("cache events of one tick go together, in order; a heartbeat says what comes next", async () => {
  const { clock, reports, router } = world(0);
  const { ref, heard } = router("a");
  const stored = { kind: "stored", hashes: new Uint8Array(16) } as never;
  const lines = [1, 2].map((each) =>
    reports.eventLine(ref as Ref<WorkerNews>, each, () => 40 + each),
  );
  reports.defer(() => {
    lines[0]!.tell(0, [stored]);
    reports.defer(() => lines[1]!.tell(5, [stored, stored]));
  });
  lines[0]!.tell(1, [stored]);
  expect(heard).toEqual([]);
  await clock.advance(0);
  expect(
    heard.map(({ events }) => events.map((each) => [each.subscription, each.first_id])),
  ).toEqual([
    [
      [1, 1],
      [1, 0],
      [2, 5],
    ],
  ]);
  await clock.advance(1_000);
  expect(heard.at(-1)?.events).toMatchObject([
    { subscription: 1, first_id: 41, events: [] },
    { subscription: 2, first_id: 42, events: [] },
  ]);
  // What one message could not take does not wait for the tick.
  const large = { kind: "stored", hashes: new Uint8Array(600_000) } as never;
  const before = heard.length;
  lines[0]!.tell(41, [large]);
  lines[0]!.tell(42, [large]);
  expect(heard).toHaveLength(before + 1);
});
