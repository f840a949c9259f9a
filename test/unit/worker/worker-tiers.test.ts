/** A worker and the keeper of its machine's blocks: what goes out, what comes in, what goes wrong. */
import { expect, test } from "bun:test";
import { MockerEngine } from "../../../actors/engine/mocker/mocker.ts";
import { bytesOf } from "../../../llm/tokens/token-bytes.ts";
import type { KvKeeperMessage } from "../../../proto/index.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { SegmentTable, startKeeper } from "../../support/kv/kept-blocks.ts";
import { endsIn, workerAlone } from "../../support/worlds/worker-alone.ts";

const BLOCK = 64;
const prompt = (seed: number, blocks: number) =>
  bytesOf(Uint32Array.from({ length: blocks * BLOCK + 10 }, (_, i) => (seed * 977 + i * 31) % 500));

class Deaf extends Actor<KvKeeperMessage> {
  override receive(): void {}
}

async function tiered(options: { keeps?: boolean; watch?: (engine: MockerEngine) => void } = {}) {
  let keeper: Ref<KvKeeperMessage> | undefined;
  let segments: SegmentTable | undefined;
  const shape = { num_gpu_blocks: 512, max_model_len: 4_096, speedup_ratio: 100 };
  const world = await workerAlone(
    {},
    {
      open: async () => {
        const memory = (at: number, bytes: number) => segments!.memory(at, bytes);
        const engine = new MockerEngine(shape, { memory });
        options.watch?.(engine);
        return engine;
      },
      tiers: {
        keeper: () => keeper,
        map: (segment, bytes) => segments!.map(segment, bytes),
        identity: async () => ({ model: "m", engine: "mocker", library: "", cache_type: "" }),
        pid: 0,
      },
    },
  );
  const { system, clock } = world;
  segments = new SegmentTable(clock);
  const keep = async (name = "keeper") => {
    keeper = await startKeeper(system, segments!, { bytes: 4096 * 256, name });
    await clock.advance(6_000);
  };
  if (options.keeps !== false) await keep();
  const tiers = () =>
    system.snapshot("/worker")?.["kv_tiers"] as {
      readonly open: boolean;
      readonly offloaded: number;
      readonly onboarded: number;
    };
  const room = (path = "/keeper") => {
    const { spaces = [] } = system.snapshot(path) ?? {};
    const [space = {}] = spaces as Record<string, number>[];
    const { registered, held, staged, unaccounted } = space;
    return { registered, held, staged, unaccounted };
  };
  /** Prompt tokens that were cached, and when the worker said yes. */
  const answer = async (request: string, seed: number, blocks = 8) => {
    const begun_ms = clock.now_ms();
    const asked = world.ask(world.generate(request, { prompt: prompt(seed, blocks) }));
    let taken_ms = 0;
    const taken = asked.then((answer) => {
      taken_ms = clock.now_ms() - begun_ms;
      return answer;
    });
    await clock.advance(3_000);
    expect((await taken).kind).toBe("accepted");
    const messages = world.consumer.actor.heard.map(({ message }) => message);
    const mine = messages.filter((message) => "request" in message && message.request === request);
    return { taken_ms, cached: endsIn(mine)[0]?.cached_tokens };
  };
  const clear = async () => {
    await system.ask(world.worker, { kind: "clear_kv" }, { deadline_ms: 100 });
    await clock.advance(100);
  };
  const use = (ref: Ref<KvKeeperMessage> | undefined) => {
    keeper = ref;
  };
  const now = () => keeper;
  /** Tokens that the consumer was sent, by their index, and the times of the first. */
  const sent = (request: string) => {
    const mine = world.batches().filter((batch) => batch.request === request);
    const parts = mine.flatMap(({ choices }) => choices);
    return {
      times: mine[0]?.times,
      indices: parts.flatMap(({ first_index, tokens }) => tokens.map((_, i) => first_index + i)),
      tokens: parts.flatMap(({ tokens }) => tokens),
    };
  };
  return { ...world, keep, tiers, room, answer, clear, use, now, sent, segments };
}

test("what was computed once comes in again, after the engine has forgotten it", async () => {
  const world = await tiered();
  expect(world.tiers().open).toBe(true);
  expect((await world.answer("a", 1)).cached).toBe(0);
  expect(world.room()).toMatchObject({ held: 0, staged: 0, unaccounted: 0 });
  expect(world.tiers().offloaded).toBeGreaterThanOrEqual(8);
  await world.clear();
  expect((await world.answer("b", 1)).cached).toBe(8 * BLOCK);
  expect(world.tiers().onboarded).toBe(8);
  expect(world.room()).toMatchObject({ held: 0, staged: 0, unaccounted: 0 });
  // Of what the engine has, nothing is asked for.
  await world.answer("c", 1);
  expect(world.tiers().onboarded).toBe(8);
  await world.close();
});

test("a keeper that does not answer costs a request little, and the next ones nothing", async () => {
  const world = await tiered();
  await world.answer("a", 1);
  await world.clear();
  const keeper = world.now()!;
  world.system.control("/keeper", "suspend");
  const slow = await world.answer("b", 1);
  expect(slow.cached).toBe(0);
  expect(slow.taken_ms).toBeLessThanOrEqual(251);
  world.use(world.system.spawn(() => new Deaf(), { name: "deaf" }));
  await world.clear();
  expect((await world.answer("c", 1)).taken_ms).toBeLessThan(5);
  world.system.control("/keeper", "resume");
  world.use(keeper);
  await world.clock.advance(12_000);
  await world.clear();
  expect((await world.answer("d", 1)).cached).toBe(8 * BLOCK);
  expect(world.room()).toMatchObject({ held: 0, staged: 0, unaccounted: 0 });
  await world.close();
});

test("a keeper that comes back without its blocks gets them again", async () => {
  const world = await tiered();
  await world.answer("a", 1);
  world.system.stop(world.now()!);
  await world.clock.advance(10);
  world.use(undefined);
  expect((await world.answer("b", 2)).taken_ms).toBeLessThan(5);
  expect(world.segments.names).toEqual([]);
  await world.keep("next");
  expect(world.room("/next").registered).toBeGreaterThanOrEqual(16);
  await world.clear();
  expect((await world.answer("c", 1)).cached).toBe(8 * BLOCK);
  expect(world.segments.mapped).toBe(1);
  await world.close();
});

test("a cancelled request gives back what it holds, whenever it is cancelled", async () => {
  const world = await tiered();
  await world.answer("a", 1, 40);
  for (const [i, wait_ms] of [0, 0.1, 1, 3, 10].entries()) {
    await world.clear();
    const generate = world.generate(`c${i}`, { prompt: prompt(1, 40) });
    const asked = world.ask(generate).catch(() => undefined);
    await world.clock.advance(wait_ms);
    world.worker.tell({ kind: "cancel", request: `c${i}`, choices: [] });
    await world.clock.advance(3_000);
    await asked;
    expect(world.room()).toMatchObject({ held: 0, staged: 0, unaccounted: 0 });
  }
  expect((await world.answer("b", 1, 40)).cached).toBeGreaterThan(0);
  await world.close();
});

test("a token drawn where the prompt was computed is sent, and the answer goes on behind it", async () => {
  const world = await tiered();
  await world.answer("alone", 1);
  const alone = world.sent("alone").tokens;
  const hand_off = { id: "b^", send: false, from_worker: "p" };
  const asked = world.ask(world.generate("b", { prompt: prompt(2, 8), hand_off }));
  await world.clock.advance(1);
  const elsewhere = () => world.system.metrics.total("troupe_worker_prompts_elsewhere");
  expect(elsewhere()).toBe(1);
  world.worker.tell({ kind: "first_drawn", request: "b", token: 7 });
  await world.clock.advance(1);
  expect(world.sent("b").tokens).toEqual([]);
  // No more blocks come.
  world.worker.tell({ kind: "hand_off_is", request: "b" });
  await world.clock.advance(3_000);
  expect((await asked).kind).toBe("accepted");
  expect(elsewhere()).toBe(0);
  const { tokens, indices, times } = world.sent("b");
  expect(tokens[0]).toBe(7);
  expect(tokens).toHaveLength(alone.length);
  expect(indices).toEqual(alone.map((_, i) => i));
  expect(times?.prefill_ms).toBe(0);
  expect(endsIn(world.consumer.actor.heard.map(({ message }) => message)).at(-1)).toMatchObject({
    ...{ reason: "length", total_tokens: alone.length, prompt_tokens: 8 * BLOCK + 10 },
  });
  // One that comes late is not used.
  world.worker.tell({ kind: "first_drawn", request: "b", token: 8 });
  await world.close();
});

test("a few prompts for other workers leave at once, and no more", async () => {
  const underWay: string[] = [];
  let most = 0;
  const watch = (engine: MockerEngine) => {
    const blocks = engine.blocks!;
    const { out, onMoved } = blocks;
    const names = new Map<number, string>();
    blocks.out = (handle, targets, bytes) => {
      const refusal = out.call(blocks, handle, targets, bytes);
      if (refusal === undefined) {
        const name = String(targets[0]!.hash);
        names.set(handle, name);
        expect(underWay).not.toContain(name);
        underWay.push(name);
        most = Math.max(most, underWay.length);
      }
      return refusal;
    };
    blocks.onMoved = (listener) =>
      onMoved.call(blocks, (handle, moves) => {
        const at = underWay.indexOf(names.get(handle) ?? "");
        if (at >= 0) underWay.splice(at, 1);
        listener(handle, moves);
      });
  };
  const world = await tiered({ watch });
  const sent = [1, 2, 3, 4, 5, 6];
  const asked = sent.map((seed) => {
    const hand_off = { id: `${seed}^`, send: true, from_worker: "" };
    return world.ask(world.generate(`${seed}^`, { prompt: prompt(seed, 8), hand_off }));
  });
  await world.clock.advance(3_000);
  for (const each of asked) expect((await each).kind).toBe("accepted");
  expect(most).toBe(4);
  expect(underWay).toEqual([]);
  expect(world.room()).toMatchObject({ unaccounted: 0 });
  await world.close();
});
