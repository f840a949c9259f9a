import { expect, test } from "bun:test";
import fc from "fast-check";
import { RouteQueue } from "../../../actors/router/policy/route-queue.ts";
import { dispatcherOf, limits, placeRequest, range } from "../../support/worlds/routed-workers.ts";

const always = () => true;
const drained = (queue: RouteQueue, now_ms: number) => {
  const order: string[] = [];
  for (let next = queue.next(now_ms, always); next; next = queue.next(now_ms, always)) {
    order.push(next.request.request);
  }
  return order;
};
const ask = (request: string, more: Parameters<typeof placeRequest>[1] = {}) =>
  placeRequest([1], { ...more, request });

test("strict priority goes first, whatever the order within", () => {
  const queue = new RouteQueue({ order: "shortest" });
  queue.push(ask("low short"), 1, 0);
  queue.push(ask("high long", { strict_priority: 5 }), 9_000, 1);
  queue.push(ask("middle", { strict_priority: 1 }), 5, 2);
  expect(drained(queue, 3)).toEqual(["high long", "middle", "low short"]);
});

test("fcfs, shortest and wspt, each with its priority jump", () => {
  const fill = (order: "fcfs" | "shortest" | "wspt") => {
    const queue = new RouteQueue({ order });
    queue.push(ask("first", { prompt_tokens: 900 }), 900, 0);
    queue.push(ask("short", { prompt_tokens: 1_000 }), 10, 1);
    queue.push(ask("jumps", { prompt_tokens: 950, priority_jump_ms: 50_000 }), 500, 2);
    return drained(queue, 3);
  };
  expect(fill("fcfs")).toEqual(["jumps", "first", "short"]);
  expect(fill("shortest")).toEqual(["jumps", "short", "first"]);
  expect(fill("wspt")).toEqual(["jumps", "first", "short"]);
});

test("shortest first starves nobody: a bounded time after it came, nobody overtakes", () => {
  const queue = new RouteQueue({ order: "shortest", ageing_ms: 10 });
  queue.push(ask("long"), 1_000, 0);
  let served_at = -1;
  for (let now_ms = 0; served_at < 0 && now_ms < 60_000; now_ms += 10) {
    queue.push(ask(`short ${now_ms}`), 10, now_ms);
    if (queue.next(now_ms, always)?.request.request === "long") served_at = now_ms;
  }
  // 990 tokens of difference at 10 ms each.
  expect(served_at).toBeGreaterThanOrEqual(0);
  expect(served_at).toBeLessThanOrEqual(9_990);
});

test("classes share the computing by weight, not the number of requests", () => {
  const classes = [
    { name: "batch", weight: 1 },
    { name: "chat", weight: 3 },
  ];
  const queue = new RouteQueue({ order: "fcfs", classes });
  for (let i = 0; i < 1_000; i++) {
    queue.push(ask(`batch ${i}`, { policy_class: "batch" }), 20_000, i);
    queue.push(ask(`chat ${i}`, { policy_class: "chat" }), 500, i);
  }
  let batch = 0;
  let chat = 0;
  while (chat < 490_000) {
    const { request, uncached_tokens } = queue.next(9, always)!;
    if (request.policy_class === "batch") batch += uncached_tokens;
    else chat += uncached_tokens;
  }
  expect(chat / batch).toBeGreaterThan(2.5);
  expect(chat / batch).toBeLessThan(3.5);
});

test("a class of next to no weight has its turn in the end, and its turn is found at once", () => {
  const classes = [
    { name: "light", weight: 1e-9 },
    { name: "lighter", weight: 1e-12 },
  ];
  const queue = new RouteQueue({ classes });
  for (const name of ["light", "lighter"]) {
    for (let i = 0; i < 2; i++) {
      const request = placeRequest([], { prompt_tokens: 100_000, policy_class: name });
      queue.push(request, 100_000, 0);
    }
  }
  const order: string[] = [];
  for (let i = 0; i < 4; i++) order.push(queue.next(0, () => true)!.request.policy_class!);
  expect(order.slice(0, 2)).toEqual(["light", "light"]);
  expect(order.sort()).toEqual(["light", "light", "lighter", "lighter"]);
});

test("a class of weight 0 is a mistake that is said at once", () => {
  const classes = [{ name: "batch", weight: 0 }];
  expect(() => new RouteQueue({ classes })).toThrow("batch: weight must be above 0");
});

test("limits of the queue and of a class", () => {
  const classes = [{ name: "small", requests_max: 1 }];
  const queue = new RouteQueue({ classes, requests_max: 3, tokens_max: 1_000 });
  expect(queue.push(ask("1", { policy_class: "small" }), 1, 0)).toEqual({ kind: "queued" });
  expect(queue.push(ask("2", { policy_class: "small" }), 1, 0)).toMatchObject({ limit: "class" });
  expect(queue.push(ask("3", { prompt_tokens: 990 }), 1, 0)).toMatchObject({ limit: "queue" });
  expect(queue.push(ask("4"), 1, 0)).toEqual({ kind: "queued" });
  expect(queue.push(ask("5"), 1, 0)).toEqual({ kind: "queued" });
  expect(queue.push(ask("6"), 1, 0)).toMatchObject({ kind: "full", limit: "queue" });
});

test("everybody comes out once, whoever is taken out between", () => {
  const entry = fc.record({
    tokens: fc.nat(50_000),
    tier: fc.nat(2),
    named: fc.nat(3),
    go: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 60 }), (entries) => {
      const classes = [
        { name: "c1", weight: 2 },
        { name: "c2", weight: 0.1, order: "fcfs" as const },
      ];
      const queue = new RouteQueue({ classes });
      const out: string[] = [];
      for (const [i, { tokens, tier, named, go }] of entries.entries()) {
        const request = ask(`${i}`, { strict_priority: tier, policy_class: `c${named}` });
        queue.push(request, tokens, i);
        for (let k = 0; k < go; k++) {
          const next = queue.next(i, always);
          if (next !== undefined) out.push(next.request.request);
        }
        if (i % 7 === 3) {
          const removed = queue.remove(`${i}`);
          if (removed !== undefined) out.push(removed.request.request);
        }
      }
      out.push(...drained(queue, 1_000));
      expect(out.sort()).toEqual(entries.map((_, i) => `${i}`).sort());
      expect([queue.size, queue.tokens]).toEqual([0, 0]);
    }),
    { numRuns: 200 },
  );
});

test("with every worker over the threshold requests wait, and the shortest goes first", () => {
  const { dispatcher } = dispatcherOf({ name: "adaptive" }, 2);
  const first = [0, 1].map((i) => placeRequest(range(40, 100 * (i + 1))));
  const [long, short] = [placeRequest(range(30, 900)), placeRequest(range(20, 990))];
  const placed: string[] = [];
  const drain = (now_ms: number) => {
    for (let next = dispatcher.next(now_ms); next; next = dispatcher.next(now_ms)) {
      if (next.kind === "placed") placed.push(next.request.request);
    }
  };
  for (const request of [...first, long, short]) {
    dispatcher.offer(request, 0);
    drain(0);
  }
  expect(placed).toEqual(first.map((each) => each.request));
  dispatcher.firstToken(first[0]!.request, 5);
  drain(5);
  // The long one stays: where it could go, the short one is to be computed first.
  expect(placed.slice(2)).toEqual([short.request]);
  dispatcher.firstToken(short.request, 6);
  drain(6);
  expect(placed.slice(3)).toEqual([long.request]);
});

test("a pinned request waits for its worker alone and holds up nobody", () => {
  const { dispatcher } = dispatcherOf({ name: "adaptive" }, 2);
  const busy = placeRequest(range(60), { pin: "w0" });
  dispatcher.offer(busy, 0);
  expect(dispatcher.next(0)).toMatchObject({ kind: "placed" });
  const pinned = placeRequest([1], { pin: "w0", strict_priority: 9 });
  const free = placeRequest(range(3, 70));
  dispatcher.offer(pinned, 1);
  dispatcher.offer(free, 1);
  expect(dispatcher.next(1)).toMatchObject({ kind: "placed", request: free });
  expect(dispatcher.next(1)).toBeUndefined();
  dispatcher.ended(busy.request, 2, 10);
  expect(dispatcher.next(2)).toMatchObject({ kind: "placed", request: pinned });
});

test("refusals say which status and when to come again", () => {
  const classes = [{ name: "free", requests_max: 1 }];
  const queue = { classes, requests_max: 2 };
  const { dispatcher } = dispatcherOf({ name: "adaptive", queue }, 1);
  const busy = placeRequest(range(60));
  dispatcher.offer(busy, 0);
  dispatcher.next(0);
  dispatcher.offer(placeRequest(range(5, 100), { policy_class: "free" }), 0);
  const second = dispatcher.offer(placeRequest(range(5, 200), { policy_class: "free" }), 0);
  expect(second).toMatchObject({ status: 429, code: "class_limit" });
  dispatcher.offer(placeRequest(range(5, 300)), 0);
  const full = dispatcher.offer(placeRequest(range(5, 400)), 0);
  expect(full).toMatchObject({ status: 529, code: "queue_full" });
  expect(full!.retry_after_ms).toBeGreaterThanOrEqual(1_000);
  const nobody = dispatcherOf({ name: "adaptive" }, 1).dispatcher;
  nobody.offer(placeRequest([1], { pin: "gone" }), 0);
  expect(nobody.next(0)).toMatchObject({ status: 503, code: "pinned_missing" });
  const too_large = placeRequest([1], {
    prompt_tokens: 2 * limits.total_blocks * limits.block_size,
  });
  nobody.offer(too_large, 0);
  expect(nobody.next(0)).toMatchObject({ status: 503, code: "no_worker" });
});

test("an answer that goes on waits for no room, and goes before all others", () => {
  const { dispatcher } = dispatcherOf({ name: "adaptive" }, 1);
  const busy = placeRequest(range(60));
  dispatcher.offer(busy, 0);
  dispatcher.next(0);
  const fresh = placeRequest([1], { strict_priority: 9 });
  const continued = placeRequest(range(40, 100), { continued: true, strict_priority: 2 ** 31 });
  dispatcher.offer(fresh, 1);
  dispatcher.offer(continued, 1);
  expect(dispatcher.next(1)).toMatchObject({ kind: "placed", request: continued });
  expect(dispatcher.next(1)).toBeUndefined();
});

test("while no worker has room, those who wait for any are not looked at", () => {
  const { dispatcher } = dispatcherOf({ name: "adaptive" }, 1);
  const busy = placeRequest(range(60));
  dispatcher.offer(busy, 0);
  dispatcher.next(0);
  let looks = 0;
  const { queue } = dispatcher;
  const next = queue.next.bind(queue);
  queue.next = (now_ms, ready) =>
    next(now_ms, (entry) => {
      looks++;
      return ready(entry);
    });
  for (let i = 0; i < 100; i++) dispatcher.offer(placeRequest(range(40, 100 * (i + 1))), 1);
  for (let event = 0; event < 50; event++) expect(dispatcher.next(2)).toBeUndefined();
  expect(looks).toBe(0);
  const pinned = placeRequest([1], { pin: "gone" });
  dispatcher.offer(pinned, 3);
  expect(dispatcher.next(3)).toMatchObject({ kind: "refused", code: "pinned_missing" });
  expect(queue.particular).toBe(0);
  dispatcher.ended(busy.request, 4, 10);
  expect(dispatcher.next(4)).toMatchObject({ kind: "placed" });
});
