import { expect, test } from "bun:test";
import fc from "fast-check";
import { CacheIndex } from "../../../actors/router/index/cache-index.ts";
import type { PassRates } from "../../../actors/router/policy/cost/pass-rates.ts";
import { KvDispatcher } from "../../../actors/router/policy/dispatcher.ts";
import type { KvPolicyOptions } from "../../../actors/router/policy/kv-policies.ts";
import {
  type AnswerSide,
  type ConditionalMode,
  conditionalDefaults,
  handedTokens,
  isLocal,
  waitsTooLong,
} from "../../../actors/router/policy/pairs/conditional.ts";
import { PrefillPool } from "../../../actors/router/policy/pairs/prefill-pool.ts";
import { canShare, sharerOf, sharersWith } from "../../../actors/router/policy/pairs/sharing.ts";
import { newRoutedWorker, type RoutedWorker } from "../../../actors/router/policy/worker-state.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { BLOCK, limits, placeRequest, range } from "../../support/worlds/routed-workers.ts";

const rates: PassRates = {
  ...{ prefill_pass_ms: 1, token_ms: 1, token_squared_ms: 0 },
  ...{ decode_pass_ms: 10, decode_full_ms: 0 },
};
const side = (
  prompt_tokens: number,
  uncached_tokens: number,
  known = true,
  requests = 0,
): AnswerSide => ({
  ...{ prompt_tokens, uncached_tokens, hand_over_ms: 10, requests },
  rates: known ? rates : undefined,
});

const conditional: readonly (readonly [ConditionalMode, AnswerSide, boolean])[] = [
  // Dynamo's two thresholds: both have to hold.
  ["isl_bounding", side(10_000, 2_047), true],
  ["isl_bounding", side(10_000, 2_048), false],
  ["isl_bounding", side(2_000, 1_399), true],
  ["isl_bounding", side(2_000, 1_400), false],
  ["isl_bounding", side(5, 5), false],
  ["off", side(10_000, 16), false],
  ["off", side(5, 5), false],
  // 9 tokens take as long as a hand-over.
  ["adaptive", side(9, 9), true],
  ["adaptive", side(10, 10), false],
  ["adaptive", side(9, 9, false), false],
  ["adaptive", side(10_000, 2_047), true],
  // Each answer that is made there waits for it, too.
  ["adaptive", side(9, 9, true, 1), false],
  ["adaptive", side(4, 4, true, 1), true],
];
for (const [mode, question, local] of conditional) {
  const { prompt_tokens, uncached_tokens, requests } = question;
  const known = question.rates === undefined ? "unknown rates" : "known rates";
  const beside = requests === 0 ? "" : ` beside ${requests}`;
  test(`${mode}: ${uncached_tokens} of ${prompt_tokens}${beside}, ${known}: local is ${local}`, () => {
    expect(isLocal({ ...conditionalDefaults, mode }, question)).toBe(local);
  });
}

test("a prompt that would wait for a prefill worker is computed where the answer is", () => {
  const sides = (backlog: number, requests: number, known = true) => ({
    ...{ ...side(100, 100, true, requests), backlog_tokens: 0 },
    prefill: {
      uncached_tokens: 100,
      backlog_tokens: backlog,
      rates: known ? rates : undefined,
    },
  });
  expect(waitsTooLong(conditionalDefaults, sides(0, 0))).toBe(false);
  // 101 ms here, counted twice.
  expect(waitsTooLong(conditionalDefaults, sides(91, 0))).toBe(false);
  expect(waitsTooLong(conditionalDefaults, sides(92, 0))).toBe(true);
  // Each answer that it holds up counts too.
  expect(waitsTooLong(conditionalDefaults, sides(92, 1))).toBe(false);
  expect(waitsTooLong(conditionalDefaults, sides(10_000, 1, false))).toBe(false);
  for (const mode of ["off", "isl_bounding"] as const) {
    expect(waitsTooLong({ ...conditionalDefaults, mode }, sides(10_000, 0))).toBe(false);
  }
});

test("full blocks are handed over, and one token at least is left", () => {
  const told = [0, 1, 16, 17, 32, 33].map((tokens) => handedTokens(tokens, 16));
  expect(told).toEqual([0, 0, 0, 16, 16, 32]);
});

const keeper = (node: string) => {
  return { node, path: "/kv/keeper", incarnation: new Uint8Array(8), address: "" };
};
const sharing = (node: string, kv_identity: string) => ({
  sharer: sharerOf({ keeper: keeper(node), kv_identity }),
});

test("workers of one space share blocks, on one machine if they can", () => {
  const own = sharing("m1", "a");
  const [far, near, other] = [sharing("m2", "a"), sharing("m1", "a"), sharing("m1", "b")];
  expect(canShare(own.sharer, far.sharer)).toBe(true);
  expect(canShare(own.sharer, other.sharer)).toBe(false);
  expect(canShare(sharerOf({}), sharerOf({}))).toBe(false);
  expect(sharersWith(own, [far, near, other])).toEqual([near]);
  expect(sharersWith(own, [far, other])).toEqual([far]);
  // Without a keeper the blocks stay where they are.
  expect(sharerOf({ kv_identity: "a" })).toEqual({ keeper: undefined, kv_identity: "" });
});

type SetUp = { readonly identities?: readonly string[]; readonly policy?: KvPolicyOptions };

/** Two workers that answer and, one an identity, prefill workers. */
function setUp({ identities = ["a", "a"], policy = { name: "adaptive" } }: SetUp = {}) {
  const index = new CacheIndex();
  const random = new SeededRandom(1);
  const pool = new PrefillPool({ policy, index, random });
  const dispatcher = new KvDispatcher({ policy, index, random, prompts: pool });
  const worker = (name: string, kv_identity: string): RoutedWorker => {
    const slot = index.addWorker("events");
    const { sharer } = sharing("m", kv_identity);
    return newRoutedWorker({ ...limits, key: `${name}@1`, worker: name, slot, sharer });
  };
  const decodes = [worker("d0", "a"), worker("d1", "a")];
  const prefills = identities.map((identity, i) => worker(`p${i}`, identity));
  for (const each of decodes) dispatcher.workerUp(each, 0);
  for (const each of prefills) pool.workerUp(each, 0);
  const place = (request: ReturnType<typeof placeRequest>, now_ms = 0) => {
    expect(dispatcher.offer(request, now_ms)).toBeUndefined();
    const placed = dispatcher.next(now_ms);
    if (placed?.kind !== "placed") throw new Error("it was not placed");
    return placed;
  };
  return { index, pool, dispatcher, decodes, prefills, place };
}

/** Full blocks of 16 tokens, and half a one. */
const prompt = (blocks: number, first = 0, more = {}) =>
  placeRequest(range(blocks, first), { prompt_tokens: blocks * BLOCK + 8, ...more });

test("a pair: the prompt counts at its prefill worker, the rest where the answer is", () => {
  const { pool, dispatcher, place } = setUp();
  const request = prompt(10);
  const placed = place(request);
  const leg = pool.placed(request.request);
  expect(leg).toMatchObject({ tokens: 160, uncached_tokens: 160 });
  expect(placed.uncached_tokens).toBe(8);
  expect(leg?.worker.prefill_tokens).toBe(160);
  expect(placed.worker).toMatchObject({ prefill_tokens: 8, active_blocks: 11 });
  // Two prompts go to two prefill workers.
  const other = prompt(10, 100);
  place(other);
  expect(pool.placed(other.request)?.worker.key).not.toBe(leg?.worker.key ?? "");
  expect(pool.done(request.request, 50)?.key).toBe(leg?.worker.key ?? "");
  expect(leg?.worker).toMatchObject({ prefill_tokens: 0, active_blocks: 0, requests: 0 });
  const before = pool.hand_over_ms;
  dispatcher.firstToken(request.request, 150);
  pool.firstToken(request.request, 150);
  expect(pool.hand_over_ms).toBeGreaterThan(before);
  expect(pool.ended(request.request, 200)?.key).toBe(leg?.worker.key ?? "");
  expect(pool.placed(request.request)).toBeUndefined();
});

const alone: readonly (readonly [string, SetUp, Record<string, unknown>])[] = [
  ["no prefill worker is there", { identities: [] }, {}],
  ["none has blocks of the same kind", { identities: ["b", ""] }, {}],
  ["one worker has to do all of it", {}, { whole: true }],
  ["there is no full block", {}, { prompt_tokens: BLOCK }],
  ["the client allows no prefill worker", {}, { allow: ["d0", "d1"] }],
  ["its prefill workers failed it already", {}, { exclude: ["p0@1", "p1@1"] }],
  ["no prefill worker has its adapter", {}, { adapter: "x" }],
];
for (const [why, given, more] of alone) {
  test(`the worker that answers computes the prompt by itself: ${why}`, () => {
    const { pool, decodes, prefills } = setUp(given);
    const request = prompt(10, 0, more);
    expect(pool.place(request, decodes[0]!, request.prompt_tokens, 0)).toBeUndefined();
    for (const each of prefills) expect(each).toMatchObject({ requests: 0, prefill_tokens: 0 });
  });
}

test("what the worker that answers has in its cache is not computed elsewhere", () => {
  const { pool, index, decodes, place } = setUp();
  const request = prompt(10);
  for (const { slot } of decodes) index.stored(slot, 0, 0, request.hashes);
  expect(place(request).uncached_tokens).toBe(8);
  expect(pool.placed(request.request)).toBeUndefined();
});

test("a pin names the worker that answers, and an allowed list holds for both", () => {
  const { pool, place } = setUp();
  const pinned = prompt(10, 0, { pin: "d1" });
  expect(place(pinned).worker.worker).toBe("d1");
  expect(pool.placed(pinned.request)).toBeDefined();
  const allowed = prompt(10, 50, { allow: ["d0", "p1"] });
  expect(place(allowed).worker.worker).toBe("d0");
  expect(pool.placed(allowed.request)?.worker.worker).toBe("p1");
});

test("a client may name who computes its prompt, whatever is cheaper", () => {
  const { pool, index, prefills, place } = setUp();
  const named = prompt(10, 0, { prefill_pin: "p0", allow: ["d0"] });
  index.stored(prefills[1]!.slot, 0, 0, named.hashes);
  expect(place(named).worker.worker).toBe("d0");
  expect(pool.placed(named.request)?.worker.worker).toBe("p0");
  // Short prompts stay where the answer is, but for those that name somebody.
  const bounding = setUp({ policy: { name: "adaptive", conditional: { mode: "isl_bounding" } } });
  const short = prompt(10, 0, { prefill_pin: "p1" });
  const [decode] = bounding.decodes;
  bounding.index.stored(decode!.slot, 0, 0, short.hashes.subarray(0, 2 * 8));
  expect(bounding.pool.place(short, decode!, 40, 0)?.worker.worker).toBe("p1");
  // One that answers by itself computes the prompt, too.
  const own = prompt(10, 100, { prefill_pin: "d0" });
  expect(pool.place(own, setUp().decodes[0]!, own.prompt_tokens, 0)).toBeUndefined();
});

test("a prompt goes to the prefill worker that has most of it, under either policy", () => {
  for (const name of ["adaptive", "dynamo"] as const) {
    const { pool, index, prefills, place } = setUp({ policy: { name } });
    const request = prompt(10);
    index.stored(prefills[1]!.slot, 0, 0, request.hashes.subarray(0, 16));
    place(request);
    expect(pool.placed(request.request)).toMatchObject({ uncached_tokens: 32, tokens: 160 });
    expect(pool.placed(request.request)?.worker.worker).toBe("p1");
  }
});

test("whatever comes and ends in whichever order, nothing is left at a prefill worker", () => {
  const step = fc.record({
    what: fc.constantFrom("place", "done", "first", "end", "gone", "up"),
    which: fc.nat(7),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { pool, dispatcher, prefills } = setUp();
      const requests = range(8).map((i) => prompt(4 + i, 20 * i));
      let now_ms = 0;
      for (const { what, which } of steps) {
        now_ms += 5;
        const request = requests[which]!;
        const prefill = prefills[which % prefills.length]!;
        if (what === "place") {
          dispatcher.offer(request, now_ms);
          while (dispatcher.next(now_ms) !== undefined);
        } else if (what === "done") pool.done(request.request, now_ms);
        else if (what === "first") pool.firstToken(request.request, now_ms);
        else if (what === "gone") pool.workerGone(prefill.key, now_ms);
        else if (what === "up" && !pool.knows(prefill.key)) pool.workerUp(prefill, now_ms);
        else if (what === "end") {
          dispatcher.ended(request.request, now_ms);
          pool.ended(request.request, now_ms);
        }
      }
      for (const { request } of requests) pool.ended(request, now_ms);
      for (const each of prefills) {
        expect(each).toMatchObject({ requests: 0, prefill_tokens: 0, active_blocks: 0 });
      }
    }),
  );
});
