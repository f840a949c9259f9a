/** When many streams are written: at once when they are few, in rounds when they are many. */
import { expect, test } from "bun:test";
import { FlushRounds } from "../../../actors/frontend/http/flush-rounds.ts";
import { SseWriter } from "../../../actors/frontend/http/sse-writer.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";

function streams(count: number) {
  const clock = new VirtualClock();
  const rounds = new FlushRounds(clock);
  const all = Array.from({ length: count }, () => {
    const opened = Promise.withResolvers<ReadableStream<Uint8Array> | string>();
    const writer = new SseWriter({
      rounds,
      opened: opened.resolve,
      buffer_chars: 100_000,
      drained: () => {},
      cancelled: () => {},
    });
    const chunks: string[] = [];
    const read = async () => {
      const decoder = new TextDecoder();
      const body = await opened.promise;
      if (typeof body === "string") throw new Error("there must be a stream");
      for await (const bytes of body) chunks.push(decoder.decode(bytes));
    };
    return { writer, chunks, over: read() };
  });
  return { clock, all };
}

test("a stream alone is written with every tick", async () => {
  const { clock, all } = streams(1);
  const { writer, chunks, over } = all[0]!;
  for (const event of ["a", "b", "c"]) {
    writer.write(event);
    await clock.advance(0);
  }
  writer.close();
  await clock.advance(0);
  await over;
  expect(chunks).toEqual(["a", "b", "c"]);
});

test("many streams: the first event at once, the next ones together, the last at once", async () => {
  const { clock, all } = streams(20);
  const tick = async (event: string) => {
    for (const { writer } of all) writer.write(event);
    await clock.advance(0);
  };
  await tick("first ");
  for (const { chunks } of all) expect(chunks).toEqual(["first "]);
  await tick("a ");
  for (const { chunks } of all) expect(chunks).toEqual(["first ", "a "]);
  // That was a round of twenty: the next one is in a moment.
  await tick("b ");
  await tick("c ");
  for (const { chunks } of all) expect(chunks).toEqual(["first ", "a "]);
  await clock.advance(2);
  for (const { chunks } of all) expect(chunks).toEqual(["first ", "a ", "b c "]);
  await tick("d ");
  for (const { writer } of all) writer.write("[DONE]");
  for (const { writer } of all) writer.close();
  await clock.advance(0);
  for (const { chunks, over } of all) {
    await over;
    expect(chunks).toEqual(["first ", "a ", "b c ", "d [DONE]"]);
  }
});

test("after a pause what comes next goes with the tick, however many others are written", async () => {
  const { clock, all } = streams(20);
  const tick = async (event: string) => {
    for (const { writer } of all) writer.write(event);
    await clock.advance(0);
  };
  for (const event of ["first ", "a "]) await tick(event);
  const [moved, other] = all as [(typeof all)[0], (typeof all)[0]];
  moved.writer.hurry();
  await tick("b ");
  expect([moved.chunks, other.chunks]).toEqual([
    ["first ", "a ", "b "],
    ["first ", "a "],
  ]);
  await clock.advance(2);
  await tick("c ");
  expect(moved.chunks).toEqual(["first ", "a ", "b "]);
});

test("whatever the rounds, the bytes are those that were written", async () => {
  const { clock, all } = streams(12);
  const written = all.map(() => "");
  for (let step = 0; step < 300; step++) {
    const at = (step * 7919) % all.length;
    const event = `${step}:${"é😀".repeat(step % 5)};`;
    written[at] += event;
    all[at]!.writer.write(event);
    if (step % 3 === 0) await clock.advance((step * 31) % 4);
  }
  for (const { writer } of all) writer.close();
  await clock.advance(10);
  for (const [at, { chunks, over }] of all.entries()) {
    await over;
    expect(chunks.join("")).toBe(written[at]!);
  }
});
