/**
 * Answers that share too few cells, on the real engine: whatever their number and lengths, each
 * that fits the cache alone is made whole, since preempting one makes room for the others.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { openLlama } from "../../../actors/engine/llama/llama.ts";
import { buildShim } from "../../../native/build.ts";
import { type Answer, EngineDriver, request } from "../../support/engine/engine-driver.ts";
import { randomGguf } from "../../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-room-"));
const MODEL = join(folder, "random.gguf");
await Bun.write(MODEL, randomGguf());
beforeAll(() => buildShim(), 60_000); // the first run on a machine builds it
afterAll(() => rmSync(folder, { recursive: true }));

type Share = {
  readonly kv_tokens: number;
  readonly prefix_cache: boolean;
  readonly max_num_seqs: number;
  /** Prompt tokens, of them how many all prompts begin with, tokens to make; 0 makes: embedded. */
  readonly wanted: readonly (readonly [prompt: number, common: number, make: number])[];
};

function prompt(seed: number, length: number): number[] {
  let state = (seed * 2654435761) >>> 0;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 20 + ((state >>> 8) % 200);
  });
}

/** Runs all of them at once in one engine whose context is its whole cache. */
async function run(share: Share): Promise<readonly Answer[]> {
  const { kv_tokens, prefix_cache, max_num_seqs, wanted } = share;
  const limits = { context_length: kv_tokens, kv_tokens, max_num_seqs, prefix_cache };
  const engine = await openLlama({ model: MODEL, threads: 1, ...limits });
  try {
    const driver = new EngineDriver(engine);
    for (const [handle, [length, common, make]] of wanted.entries()) {
      const shared = Math.min(length, common);
      const tokens = [...prompt(99, shared), ...prompt(handle, length - shared)];
      const refusal =
        make === 0
          ? engine.embed(handle, Uint32Array.from(tokens), "vector")
          : engine.submit(request(handle, tokens, make));
      expect(refusal).toBeUndefined();
    }
    const answers = wanted.map((_, handle) => driver.answer(handle));
    await driver.until(() => answers.every((each) => each.finished ?? each.embedding));
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, used_blocks: 0 });
    return answers;
  } finally {
    await engine.close();
  }
}

function checkWhole({ wanted }: Share, answers: readonly Answer[]): void {
  for (const [handle, [length, , make]] of wanted.entries()) {
    const { faults, finished, tokens, embedding } = answers[handle]!;
    expect(faults).toEqual([]);
    if (make === 0) {
      expect(embedding).toBeDefined();
      continue;
    }
    expect(finished).toMatchObject({ reason: "length", prompt_tokens: length });
    expect(tokens).toHaveLength(make);
  }
}

test("two answers that share 512 cells are both made, whatever their prompts' lengths", async () => {
  for (let length = 60; length < 240; length += 15) {
    const wanted = [
      [length, 0, 512 - length],
      [300 - length, 0, 512 - (300 - length)],
    ] as const;
    const share = { kv_tokens: 512, prefix_cache: true, max_num_seqs: 64, wanted };
    checkWhole(share, await run(share));
  }
}, 60_000);

const share: fc.Arbitrary<Share> = fc
  .record({
    kv_tokens: fc.constantFrom(256, 512, 768),
    prefix_cache: fc.boolean(),
    max_num_seqs: fc.integer({ min: 1, max: 12 }),
    parts: fc.array(
      fc.tuple(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom(0, 64, 130),
        fc.integer({ min: 0, max: 5 }),
      ),
      { minLength: 2, maxLength: 6 },
    ),
  })
  .map(({ parts, kv_tokens, ...rest }) => ({
    ...rest,
    kv_tokens,
    wanted: parts.map(([of_context, of_rest, common, kind]) => {
      // Mostly short prompts and long answers: they are admitted together and fill up later.
      const length = 1 + Math.floor(of_context ** 2 * (kv_tokens - 2));
      const rest = kv_tokens - length - 1;
      const make = kind === 0 ? 0 : 1 + Math.floor((1 - of_rest ** 3) * rest);
      return [length, common, make] as const;
    }),
  }));

test("no answer ends in an error for want of room while it fits alone", async () => {
  await fc.assert(
    fc.asyncProperty(share, async (drawn) => checkWhole(drawn, await run(drawn))),
    { numRuns: Number(process.env["TROUPE_ROOM_RUNS"] ?? 30) },
  );
}, 600_000);
