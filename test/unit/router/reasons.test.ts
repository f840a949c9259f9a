/** What a router says of its choice: parts add up to the cost, and who could not be chosen. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { adaptiveScorer } from "../../../actors/router/policy/cost/adaptive-cost.ts";
import { dynamoParts, dynamoScorer } from "../../../actors/router/policy/cost/dynamo-cost.ts";
import { LoadBook } from "../../../actors/router/policy/load-book.ts";
import { adaptiveParts } from "../../../actors/router/policy/reasons/adaptive-parts.ts";
import { report } from "../../../actors/router/policy/worker-state.ts";
import {
  BLOCK,
  dispatcherOf,
  placeOf,
  placeRequest,
  range,
  worker,
} from "../../support/worlds/routed-workers.ts";

const some_rates = {
  ...{ token_ms: 0.02, token_squared_ms: 1e-6, prefill_pass_ms: 4 },
  ...{ decode_pass_ms: 6, decode_full_ms: 25 },
};

test("the parts of a cost add up to it, with and without rates, for every policy", () => {
  const load = fc.record({ cached: fc.nat(8), sent: fc.nat(6), running: fc.nat(20) });
  const input = fc.record({
    loads: fc.array(load, { minLength: 1, maxLength: 5 }),
    ...{ rated: fc.boolean(), blocks: fc.integer({ min: 1, max: 40 }), queued: fc.nat(9) },
  });
  fc.assert(
    fc.property(input, ({ loads, rated, blocks, queued }) => {
      const book = new LoadBook();
      const workers = loads.map((_, at) => worker(`w${at}`, at));
      for (const [at, { sent, running }] of loads.entries()) {
        report(workers[at]!, {
          ...{ used_blocks: 20 * running, running, waiting: 0 },
          waiting_prefill_tokens: 30 * running,
        });
        if (sent > 0)
          book.begin(placeRequest(range(sent, 1_000 * at)), workers[at]!, sent * BLOCK, 0);
      }
      const inputs = {
        rates: () => (rated ? some_rates : undefined),
        ...{ promptLoad: () => 0.4, outputTokens: () => 200 },
      };
      const cached = loads.map((each) => Math.min(blocks, each.cached));
      const place = { ...placeOf(placeRequest(range(blocks)), workers, cached, queued), now_ms: 3 };
      for (const at of workers.keys()) {
        const { unit, parts } = adaptiveParts(inputs)(place, at);
        const sum = Object.values(parts).reduce((a, b) => a + b);
        expect(sum).toBeCloseTo(adaptiveScorer(inputs)(place, at), 6);
        expect(unit).toBe(rated ? "ms" : "tokens");
        const dynamo = Object.values(dynamoParts()(place, at).parts).reduce((a, b) => a + b);
        expect(dynamo).toBeCloseTo(dynamoScorer()(place, at), 6);
      }
    }),
  );
});

test("a request that asks hears the costs of the least 16, and the decision is the same", () => {
  const decide = (explain: boolean) => {
    const { dispatcher, workers } = dispatcherOf({ name: "dynamo" }, 40);
    for (let i = 0; i < 30; i++) {
      dispatcher.offer(placeRequest(range(4, 100 * i)), 0);
      dispatcher.next(0);
    }
    const asked = placeRequest(range(4), { ...(explain ? { explain } : {}), pin: "w3" });
    const free = placeRequest(range(4, 9_000), explain ? { explain } : {});
    const placed = [free, asked].map((request) => {
      dispatcher.offer(request, 1);
      const decision = dispatcher.next(1);
      if (decision?.kind !== "placed") throw new Error("it is placed");
      return decision;
    });
    return { placed, workers };
  };
  const [told, untold] = [decide(true), decide(false)];
  expect(untold.placed.map(({ choice }) => choice)).toEqual([undefined, undefined]);
  expect(told.placed.map(({ worker: { worker: name } }) => name)).toEqual(
    untold.placed.map(({ worker: { worker: name } }) => name),
  );
  const [free, pinned] = told.placed.map(({ choice }) => choice!);
  expect(free).toMatchObject({ mode: "dynamo", unit: "blocks", count: 40 });
  expect(free!.workers).toHaveLength(16);
  const costs = free!.workers.map(({ cost }) => cost);
  expect(costs).toEqual(costs.toSorted((a, b) => a - b));
  expect(free!.why).toContain("drawn among 10 that cost the same");
  expect(pinned).toMatchObject({ chosen: "w3", why: "the client named it" });
  expect(pinned!.workers.slice(1).every(({ left_out }) => left_out === "not named")).toBe(true);
});

test("the cheaper worker is named with what the next one would cost, and its cached blocks", () => {
  const { dispatcher, index, workers } = dispatcherOf({ name: "dynamo" }, 2);
  const first = placeRequest(range(8));
  index.routed(workers[1]!.slot, 0, first.hashes, 8, 0);
  const request = { ...first, request: "again", explain: true };
  dispatcher.offer(request, 0);
  const placed = dispatcher.next(0);
  const choice = placed?.kind === "placed" ? placed.choice : undefined;
  expect(choice?.why).toBe("costs least: 8 blocks, the next 16; 8 of 8 blocks cached there");
  expect(choice?.workers.map(({ overlap_blocks }) => overlap_blocks)).toEqual([8, 0]);
});
