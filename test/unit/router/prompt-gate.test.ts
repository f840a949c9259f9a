/** Requests that wait in the router until a prefill worker has room for their prompts. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { CacheIndex } from "../../../actors/router/index/cache-index.ts";
import type { PassSums } from "../../../actors/router/policy/cost/pass-rates.ts";
import { KvDispatcher } from "../../../actors/router/policy/dispatcher.ts";
import type { KvPolicyOptions } from "../../../actors/router/policy/kv-policies.ts";
import { PrefillPool } from "../../../actors/router/policy/pairs/prefill-pool.ts";
import type { PlaceRequest } from "../../../actors/router/policy/place-request.ts";
import { newRoutedWorker } from "../../../actors/router/policy/worker-state.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { BLOCK, limits, placeRequest, range } from "../../support/worlds/routed-workers.ts";

/** Half a pass is 256 tokens. */
const BLOCKS = 20;

type SetUp = { readonly prefills?: number; readonly policy?: Partial<KvPolicyOptions> };

/** Two workers that answer, and prefill workers. */
function setUp({ prefills: count = 1, policy: more = {} }: SetUp = {}) {
  const index = new CacheIndex();
  const random = new SeededRandom(1);
  const policy: KvPolicyOptions = { name: "adaptive", conditional: { mode: "off" }, ...more };
  const pool = new PrefillPool({ policy, index, random });
  const dispatcher = new KvDispatcher({ policy, index, random, prompts: pool });
  const worker = (name: string) =>
    newRoutedWorker({
      ...{ ...limits, key: `${name}@1`, worker: name, slot: index.addWorker("events") },
      sharer: { keeper: undefined, kv_identity: "a" },
    });
  const decodes = [worker("d0"), worker("d1")];
  const prefills = range(count).map((i) => worker(`p${i}`));
  for (const each of decodes) dispatcher.workerUp(each, 0);
  for (const each of prefills) pool.workerUp(each, 0);
  /** Names of those that go now. */
  const going = (now_ms = 0): string[] => {
    const names: string[] = [];
    for (;;) {
      const decision = dispatcher.next(now_ms);
      if (decision === undefined) return names;
      if (decision.kind === "placed") names.push(decision.request.request);
    }
  };
  const offer = (request: PlaceRequest, now_ms = 0) => {
    expect(dispatcher.offer(request, now_ms)).toBeUndefined();
    return request.request;
  };
  return { index, pool, dispatcher, decodes, prefills, going, offer };
}

let next_first = 0;

/** Of full blocks that no other one has, and half a one. */
const prompt = (blocks = BLOCKS, more: Partial<PlaceRequest> = {}) => {
  const first = next_first;
  next_first += blocks;
  return placeRequest(range(blocks, first), { prompt_tokens: blocks * BLOCK + 8, ...more });
};

test("prompts wait while every prefill worker has more than the threshold, and go in order", () => {
  const { pool, dispatcher, going, offer } = setUp({ prefills: 2 });
  const first = [offer(prompt()), offer(prompt())];
  expect(going()).toEqual(first);
  const low = offer(prompt());
  const long = offer(prompt(2 * BLOCKS, { strict_priority: 3 }));
  const high = offer(prompt(BLOCKS, { strict_priority: 3 }));
  expect(going()).toEqual([]);
  expect(dispatcher.queue.size).toBe(3);
  pool.done(first[0]!, 10);
  expect(going(10)).toEqual([high]);
  pool.done(first[1]!, 20);
  expect(going(20)).toEqual([long]);
  pool.done(high, 30);
  expect(going(30)).toEqual([low]);
});

test("what the worker that answers computes by itself does not wait for them", () => {
  const { index, dispatcher, decodes, going, offer } = setUp();
  const first = offer(prompt());
  expect(going()).toEqual([first]);
  const waits = offer(prompt());
  const short = offer(prompt(0));
  const whole = offer(prompt(BLOCKS, { whole: true }));
  const known = prompt();
  for (const { slot } of decodes) index.stored(slot, 0, 0, known.hashes);
  const cached = offer(known);
  const continued = offer(prompt(BLOCKS, { continued: true }));
  expect(new Set(going())).toEqual(new Set([short, whole, cached, continued]));
  expect([...dispatcher.queue.entries()].map(({ request }) => request.request)).toEqual([waits]);
});

test("one that names its prefill worker waits for that one, and holds up nobody", () => {
  const { pool, going, offer } = setUp({ prefills: 2 });
  const first = offer(prompt(BLOCKS, { prefill_pin: "p0" }));
  expect(going()).toEqual([first]);
  const named = offer(prompt(BLOCKS, { prefill_pin: "p0" }));
  const other = offer(prompt());
  expect(going()).toEqual([other]);
  expect(pool.placed(other)?.worker.worker).toBe("p1");
  pool.done(first, 10);
  expect(going(10)).toEqual([named]);
});

const thresholds: readonly (readonly [string, Partial<KvPolicyOptions>, number])[] = [
  ["Dynamo's cost holds nothing back", { name: "dynamo" }, 0],
  ["unless it is told to", { name: "dynamo", queue_threshold: 0.5 }, 2],
  ["a threshold of two passes lets two more go", { queue_threshold: 2, hold_passes: 2 }, 0],
];
for (const [what, policy, waiting] of thresholds) {
  test(`--router-queue-threshold holds for prompts too: ${what}`, () => {
    const { dispatcher, going, offer } = setUp({ policy });
    for (let i = 0; i < 3; i++) offer(prompt());
    going();
    expect(dispatcher.queue.size).toBe(waiting);
  });
}

test("those that wait are counted in the queue's limits", () => {
  const { dispatcher, going, offer } = setUp({ policy: { queue: { requests_max: 1 } } });
  offer(prompt());
  going();
  offer(prompt());
  going();
  expect(dispatcher.offer(prompt(), 0)).toMatchObject({ code: "queue_full", status: 529 });
});

/** A token takes .1 ms, a pass 1 ms more; a step 10 ms. */
function sums(passes: number): PassSums {
  const tokens = 100 * passes;
  return {
    ...{ prefill_passes: passes, prefill_tokens: tokens, prefill_tokens_squared: 100 * tokens },
    ...{ decode_passes: 0, decode_share: 0, busy_ms: passes + 0.1 * tokens },
  };
}

test("adaptive: when so many wait that it is sooner done where the answer is, it goes there", () => {
  const { pool, dispatcher, going, offer, decodes, prefills } = setUp({
    policy: { conditional: { mode: "adaptive", eff_isl: 0 } },
  });
  const load = { used_blocks: 0, running: 0, waiting: 0, waiting_prefill_tokens: 0 };
  for (let report = 0; report < 20; report++) {
    for (const { key } of decodes) dispatcher.reported(key, load, 50 * report, sums(1 + report));
    for (const { key } of prefills) pool.reported(key, load, 50 * report, sums(1 + report));
  }
  const requests = range(8).map(() => offer(prompt(), 1_000));
  const gone = going(1_000);
  const handed = requests.filter((request) => pool.placed(request) !== undefined);
  expect(handed).toHaveLength(1);
  // Some wait for the prefill worker, and behind them it takes too long.
  expect(dispatcher.queue.size).toBeGreaterThan(0);
  expect(gone.length).toBeGreaterThan(1);
});

test("whatever ends in whichever order, all go in the end, and nothing is left", () => {
  const step = fc.record({ what: fc.constantFrom("done", "end", "gone", "up"), which: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(100), (steps, crowd) => {
      const { pool, dispatcher, prefills, going, offer } = setUp({ prefills: 2 });
      let now_ms = 0;
      const requests = range(10 + crowd).map((i) => offer(prompt(BLOCKS + (i % 3))));
      const gone = new Set(going());
      const end = (request: string) => {
        if (!gone.has(request)) return;
        dispatcher.ended(request, now_ms);
        pool.ended(request, now_ms);
      };
      for (const { what, which } of steps) {
        now_ms += 5;
        const prefill = prefills[which % prefills.length]!;
        if (what === "done") pool.done(requests[which]!, now_ms);
        else if (what === "end") end(requests[which]!);
        else if (what === "gone") pool.workerGone(prefill.key, now_ms);
        else if (!pool.knows(prefill.key)) pool.workerUp(prefill, now_ms);
        for (const request of going(now_ms)) gone.add(request);
      }
      // However long it takes, whoever is there has something to do while somebody waits.
      for (let turn = 0; turn <= requests.length && gone.size < requests.length; turn++) {
        now_ms += 600;
        for (const request of gone) end(request);
        for (const request of going(now_ms)) gone.add(request);
      }
      expect(gone.size).toBe(requests.length);
      for (const request of requests) end(request);
      expect(dispatcher.queue.size).toBe(0);
      for (const each of prefills) {
        expect(each).toMatchObject({ requests: 0, prefill_tokens: 0, active_blocks: 0 });
      }
    }),
    { numRuns: 40 },
  );
});
