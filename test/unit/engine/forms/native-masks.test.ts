/**
 * Masks of the native engine (native/masks/masks.c), with grammar threads that the test plays: it
 * says which tokens may come, when, and from which thread.
 */
import { afterEach, beforeAll, expect, test } from "bun:test";
import type { FromThread, ToThread } from "../../../../actors/engine/grammar/thread-messages.ts";
import { type LlamaEngine, openLlama } from "../../../../actors/engine/llama/llama.ts";
import { buildShim } from "../../../../native/build.ts";
import { NativeMasks, TR } from "../../../../native/index.ts";
import type { Threads } from "../../../../runtime/capabilities.ts";
import { realClock } from "../../../../runtime/real/clock.ts";
import { EngineDriver, request } from "../../../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../../../support/engine/engine-model.ts";

beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it

type Wanted = { readonly slot: number; readonly key: number; readonly count: number };
type Guesses = Wanted & {
  readonly walk: number;
  readonly place: number;
  readonly tokens: number[];
};

/** One lane's grammar thread, as the engine sees it. */
class PlayedLane {
  readonly masks: NativeMasks;
  readonly lane: number;
  /** What was guessed so far. */
  readonly guesses: Guesses[] = [];
  #wanted: Wanted[] = [];
  #told = () => {};

  constructor({ native }: Extract<ToThread, { kind: "start" }>) {
    this.lane = native!.lane;
    this.masks = new NativeMasks(native!.shim, native!);
    this.masks.watch(() => this.#read());
    this.#read();
  }

  #read(): void {
    const words = new Uint32Array(TR.MASK_WORDS * 8);
    const length = this.masks.poll(words);
    for (let at = 0; at < length; at += words[at]!) {
      const [kind, slot = 0, key = 0, count = 0, walk = 0, place = 0, ...tokens] = words.subarray(
        at + 1,
        at + words[at]!,
      );
      if (kind === TR.WANT_GUESSES) this.guesses.push({ slot, key, count, walk, place, tokens });
      else this.#wanted.push({ slot, key, count });
    }
    if (length > 0) this.#told();
  }

  /** What the engine wants next; key 0 says that it begins anew. */
  async next(): Promise<Wanted> {
    while (this.#wanted.length === 0) {
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
    }
    return this.#wanted.shift()!;
  }

  get idle(): boolean {
    return this.#wanted.length === 0;
  }

  /** Only this token may come. */
  allow({ slot, key, count }: Wanted, token: number): void {
    const words = new Uint32Array(Math.ceil(engine!.describe().vocab_size / 32));
    words[token >>> 5] = 1 << (token & 31);
    expect(this.masks.put(slot, key, count, words)).toBe(true);
  }
}

let engine: LlamaEngine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

async function opened(speculate: "off" | "always" = "off") {
  const lanes: PlayedLane[] = [];
  const ends: (() => void)[] = [];
  const threads: Threads = {
    start: (_entry, handlers) => {
      const say = (message: FromThread) => queueMicrotask(() => handlers.message(message));
      const { promise, resolve } = Promise.withResolvers<void>();
      return {
        ended: promise,
        post: (given) => {
          const message = given as ToThread;
          if (message.kind === "start") {
            if (message.native !== undefined) {
              // A pipe has one reader, so the next thread of a lane is the same one.
              lanes[message.native.lane] ??= new PlayedLane(message);
              ends.push(() => {
                resolve();
                handlers.ended("it was ended");
              });
            }
            say({ kind: "started" });
          }
          if (message.kind !== "compile") return;
          say({ kind: "compiled", refusal: undefined, spoiled: false });
        },
        end: resolve,
        cpu_ms: () => undefined,
      };
    },
  };
  engine = await openLlama({
    ...{ model: TEST_MODEL, context_length: 256, max_num_seqs: 4, max_queue: 8, speculate },
    grammar: { clock: realClock(), threads, tokenizer_blob: new Uint8Array() },
  });
  return { driver: new EngineDriver(engine), lanes, ends };
}

const PROMPT = [5, 6, 7];
const constrained = (handle: number, constraint: string, tokens = 3) =>
  request(handle, PROMPT, tokens, { constraint });

/** Compiled, so that the engine opens its answers at once. */
const prepared = (constraint: string) =>
  new Promise<void>((resolve) => engine!.prepare!(constraint, () => resolve()));

test("only tokens of the mask are drawn, and the grammar thread reads them", async () => {
  const { driver, lanes } = await opened();
  await prepared("a");
  const lane = lanes[0]!;
  expect((await lane.next()).key).toBe(0);
  engine!.submit(constrained(1, "a"));
  for (const [count, token] of [30, 40, 50].entries()) {
    const wanted = await lane.next();
    expect(wanted.count).toBe(count);
    const before = new Int32Array(count);
    lane.masks.tokens(wanted.slot, 0, before);
    expect([...before]).toEqual([30, 40, 50].slice(0, count));
    lane.allow(wanted, token);
  }
  const answer = driver.answer(1);
  await driver.until(() => answer.finished !== undefined);
  expect(answer.tokens).toEqual([30, 40, 50]);
  expect(answer.finished?.reason).toBe("length");
});

test("where there can be no mask, the answer ends in an error", async () => {
  const { driver, lanes } = await opened();
  await prepared("a");
  const lane = lanes[0]!;
  await lane.next();
  engine!.submit(constrained(1, "a"));
  const { slot, key, count } = await lane.next();
  lane.masks.put(slot, key, count, undefined);
  const answer = driver.answer(1);
  await driver.until(() => answer.finished !== undefined);
  expect([answer.finished?.reason, answer.tokens]).toEqual(["error", []]);
});

test("a late mask holds up nobody, and one for another request is passed over", async () => {
  const { driver, lanes } = await opened();
  await prepared("a");
  const lane = lanes[0]!;
  await lane.next();
  engine!.submit(constrained(1, "a", 1));
  const wanted = await lane.next();
  engine!.submit(request(2, PROMPT, 5));
  const [late, free] = [driver.answer(1), driver.answer(2)];
  await driver.until(() => free.finished !== undefined);
  expect([late.tokens, free.tokens.length]).toEqual([[], 5]);
  lane.allow({ ...wanted, key: wanted.key + TR.MASK_LANES }, 40);
  lane.allow({ ...wanted, count: 1 }, 50);
  lane.allow(wanted, 30);
  await driver.until(() => late.finished !== undefined);
  expect(late.tokens).toEqual([30]);
});

test("each lane has its requests: one that makes no masks holds up none of the other's", async () => {
  const { driver, lanes } = await opened();
  await prepared("a");
  const lane = lanes[0]!;
  await lane.next();
  engine!.submit(constrained(1, "a", 1));
  const wanted = await lane.next();
  // A new constraint meets an open answer: the second thread starts, and has the next one.
  await prepared("b");
  await prepared("c");
  const other = lanes[1]!;
  expect([lane.lane, other.lane, (await other.next()).key]).toEqual([0, 1, 0]);
  engine!.submit(constrained(2, "c", 2));
  for (const token of [60, 70]) other.allow(await other.next(), token);
  const [one, two] = [driver.answer(1), driver.answer(2)];
  await driver.until(() => two.finished !== undefined);
  expect([one.tokens, two.tokens, lane.idle]).toEqual([[], [60, 70], true]);
  lane.allow(wanted, 30);
  await driver.until(() => one.finished !== undefined);
  expect(one.tokens).toEqual([30]);
});

test("another thread of the lane is asked again for what the one before has not made", async () => {
  const { driver, lanes, ends } = await opened();
  await prepared("a");
  const lane = lanes[0]!;
  await lane.next();
  engine!.submit(constrained(1, "a", 2));
  lane.allow(await lane.next(), 30);
  const wanted = await lane.next();
  const answer = driver.answer(1);
  ends[0]!();
  expect((await lane.next()).key).toBe(0);
  expect(await lane.next()).toEqual(wanted);
  lane.allow(wanted, 40);
  await driver.until(() => answer.finished !== undefined);
  expect(answer.tokens).toEqual([30, 40]);
});

test("a guess whose mask does not come costs no more than itself, and old masks are not taken", async () => {
  const { driver, lanes } = await opened("always");
  await prepared("a");
  const lane = lanes[0]!;
  await lane.next();
  const tokens = [30, 40, 50, 60, 70, 80];
  engine!.submit({ ...constrained(1, "a", 6), predicted: Uint32Array.from(tokens) });
  for (const [count, token] of tokens.entries()) {
    const wanted = await lane.next();
    expect(wanted.count).toBe(count);
    // Of guesses that are over: they would let another token in.
    for (const { key, walk, place } of lane.guesses.slice(0, -1)) {
      const words = new Uint32Array(Math.ceil(engine!.describe().vocab_size / 32));
      words[2] = 1;
      for (let i = 0; i < 4; i++) lane.masks.putGuess(key, walk, place + i, words);
    }
    lane.allow(wanted, token);
  }
  const answer = driver.answer(1);
  await driver.until(() => answer.finished !== undefined);
  expect(answer.tokens).toEqual(tokens);
  expect(answer.finished!.drafts!.right).toBeGreaterThan(0);
  const guessed = lane.guesses.find(({ count }) => count === 2)!;
  expect(guessed.tokens.slice(0, 4)).toEqual(tokens.slice(2));
});
