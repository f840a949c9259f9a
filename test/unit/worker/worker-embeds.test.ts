/** Embeddings at a worker: how many inputs are in the engine, whose turn it is, who ends one. */
import { expect, test } from "bun:test";
import type { EngineEvent, EngineRefusal } from "../../../actors/engine/engine.ts";
import { BYTES_MAX, INPUTS_MAX } from "../../../actors/worker/embed-jobs.ts";
import { bytesOf } from "../../../llm/tokens/token-bytes.ts";
import type { Embed, WorkerLoad } from "../../../proto/index.ts";
import { FakeEngine } from "../../support/engine/fake-engine.ts";
import { workerAlone } from "../../support/worlds/worker-alone.ts";

/** Embeds when told to. */
class SlowEmbeds extends FakeEngine {
  readonly open: { readonly handle: number; readonly tokens: Uint32Array }[] = [];
  readonly ended: EngineEvent[] = [];
  full = false;
  most = 0;

  override embed(handle: number, tokens: Uint32Array): EngineRefusal | undefined {
    if (this.full) return { code: "queue_full", message: "the queue is full" };
    if (tokens[0] === 666) return { code: "context_overflow", message: "too long" };
    this.open.push({ handle, tokens });
    this.most = Math.max(this.most, this.open.length);
    return undefined;
  }

  override cancel(handle: number): void {
    const at = this.open.findIndex((each) => each.handle === handle);
    if (at >= 0) this.open.splice(at, 1);
    else super.cancel(handle);
  }

  /** The oldest one is done; its first token is in its vector. */
  done(): number {
    const { handle, tokens } = this.open.shift()!;
    const values = new Float32Array(4).fill(tokens[0]!);
    this.ended.push({ kind: "embedding", handle, values, prompt_tokens: tokens.length });
    return tokens[0]!;
  }

  override poll(limit: number): readonly EngineEvent[] {
    return [...super.poll(limit), ...this.ended.splice(0)];
  }
}

async function setUp(max_num_seqs = 8) {
  const engine = new SlowEmbeds({ max_num_seqs, step_ms: 10 });
  const alone = await workerAlone({}, { open: async () => engine });
  const { system, worker, clock } = alone;
  const embed = (request: string, inputs: readonly number[], more: Partial<Embed> = {}) => {
    const bytes = inputs.map((token) => bytesOf(Uint32Array.of(token)));
    const message = {
      ...{ kind: "embed" as const, request, model: "m", pool: "vector" as const },
      ...{ inputs: bytes, ...more },
    };
    return system.ask(worker, message, { deadline_ms: 60_000 });
  };
  /** Until nothing is left, or so many are done; returns them in the order of their turns. */
  const run = async (count = Number.POSITIVE_INFINITY) => {
    const order: number[] = [];
    while (engine.open.length > 0 && order.length < count) {
      order.push(engine.done());
      // A pass of the worker takes what is done.
      worker.tell({ kind: "probe", request: "none" });
      worker.tell({ kind: "engine_pass" } as never);
      await clock.advance(1);
    }
    return order;
  };
  const snapshot = () => system.snapshot("/worker") as Record<string, unknown>;
  return { ...alone, engine, embed, run, snapshot };
}

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i);
const firstOf = (values: Uint8Array) => new Float32Array(values.slice().buffer)[0];

test("a few inputs are in the engine, the others wait and count as load, all come in order", async () => {
  for (const [max_num_seqs, slots] of [
    [1, 1],
    [8, 2],
    [64, 4],
  ] as const) {
    const { engine, embed, run, clock, snapshot, close } = await setUp(max_num_seqs);
    const answer = embed("e", numbers(321));
    await clock.advance(1);
    expect(engine.open.length).toBe(slots);
    expect(snapshot()).toMatchObject({ embeddings: 321, waiting: 321 - slots });
    await run();
    const reply = await answer;
    if (reply.kind !== "embeddings") throw new Error(reply.message);
    expect(reply.items.map(({ values }) => firstOf(values))).toEqual(numbers(321));
    expect(engine.most).toBe(slots);
    expect(snapshot()).toMatchObject({ embeddings: 0, waiting: 0 });
    await close();
  }
});

test("asks take turns, so that a small one does not wait for a large one", async () => {
  const { embed, run, clock, close } = await setUp(4);
  const large = embed("large", numbers(100));
  await clock.advance(1);
  const small = embed("small", numbers(3, 1_000));
  await clock.advance(1);
  expect(await run(8)).toEqual([1, 2, 1_000, 3, 1_001, 4, 1_002, 5]);
  expect((await small).kind).toBe("embeddings");
  await run();
  expect((await large).kind).toBe("embeddings");
  await close();
});

test("an answer that comes while inputs wait is made at once", async () => {
  const { engine, embed, clock, ask, generate, close } = await setUp(8);
  void embed("e", numbers(2_000)).catch(() => {});
  await clock.advance(1);
  expect(await ask(generate("chat"))).toMatchObject({ kind: "accepted" });
  await clock.advance(200);
  expect(engine.live).toBe(0);
  expect(engine.open.length).toBe(2);
  await close();
});

test("a full engine is no refusal: the inputs wait for it", async () => {
  const { engine, embed, run, clock, worker, close } = await setUp();
  engine.full = true;
  const answer = embed("e", numbers(5));
  await clock.advance(1);
  expect(engine.open).toEqual([]);
  engine.full = false;
  worker.tell({ kind: "engine_pass" } as never);
  await clock.advance(1);
  await run();
  expect((await answer).kind).toBe("embeddings");
  await close();
});

test("one input that the engine refuses fails its ask alone", async () => {
  const { engine, embed, run, clock, close } = await setUp();
  const good = embed("good", numbers(5));
  const bad = embed("bad", [1, 2, 666, 3]);
  await clock.advance(1);
  await run();
  expect(await bad).toMatchObject({ kind: "refused", code: "context_overflow" });
  expect((await good).kind).toBe("embeddings");
  expect(engine.open).toEqual([]);
  await close();
});

test("a client that leaves, an asker that ends and a time that is over stop the work", async () => {
  for (const end of ["cancel", "asker", "deadline"] as const) {
    const { engine, embed, clock, worker, system, listen, snapshot, close } = await setUp();
    const asker = listen("door").wire;
    const answer = embed("e", numbers(50), { asker }).catch((error: Error) => error.message);
    await clock.advance(1);
    expect(engine.open.length).toBe(2);
    if (end === "asker") system.control("/door", "kill");
    if (end === "deadline") await clock.advance(60_000);
    if (end === "cancel") {
      worker.tell({ kind: "cancel", request: "e", choices: [] });
    }
    await clock.advance(1);
    expect(engine.open).toEqual([]);
    expect(snapshot()).toMatchObject({ embeddings: 0, waiting: 0 });
    await answer;
    await close();
  }
});

test("what waits is bounded by number and by bytes, but one ask is always taken", async () => {
  const { embed, clock, listen, worker, snapshot, close } = await setUp();
  const router = listen<WorkerLoad>("router");
  worker.tell({ kind: "subscribe_load", subscriber: router.wire, subscription: 0 });
  void embed("first", numbers(INPUTS_MAX + 10)).catch(() => {});
  await clock.advance(1_000);
  expect(router.actor.heard.at(-1)?.message.waiting).toBe(INPUTS_MAX + 8);
  expect(await embed("second", [1])).toMatchObject({ kind: "refused", code: "queue_full" });
  worker.tell({ kind: "cancel", request: "first", choices: [] });
  const half = new Uint8Array(BYTES_MAX / 2 + 4);
  void embed("large", [], { inputs: [half, half, half] }).catch(() => {});
  await clock.advance(1);
  expect(await embed("third", [], { inputs: [half] })).toMatchObject({ code: "queue_full" });
  expect(snapshot()).toMatchObject({ embeddings: 3 });
  await close();
});

test("a worker that is drained finishes them first", async () => {
  const { embed, run, clock, system, worker, close } = await setUp();
  const answer = embed("e", numbers(10));
  await clock.advance(1);
  const message = { kind: "drain", budget_ms: 5_000, nobody_follows: false } as const;
  let drained = false;
  void system.ask(worker, message, { deadline_ms: 60_000 }).then(() => {
    drained = true;
  });
  await clock.advance(10);
  expect(drained).toBe(false);
  await run();
  expect((await answer).kind).toBe("embeddings");
  expect(drained).toBe(true);
  await close();
});
