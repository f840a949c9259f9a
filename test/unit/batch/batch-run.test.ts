/** One batch from its file to its output, also when its process ends in between. */
import { expect, test } from "bun:test";
import {
  type Batch,
  BatchBook,
  type BatchMade,
  batchLimits,
  type LineAnswer,
} from "../../../actors/batch/batch.ts";
import { BatchMetrics } from "../../../actors/batch/batch-metrics.ts";
import { BatchRun, type SubmitLine } from "../../../actors/batch/batch-run.ts";
import { Slots } from "../../../actors/batch/slots.ts";
import { FileShelf, StoreContents } from "../../../actors/files/files.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import { MemoryLog } from "../../support/worlds/test-system.ts";

type Answered = LineAnswer & { readonly retry_after_ms: number; readonly after_ms?: number };
const said = (status: number, body: object = {}): Answered => ({
  ...{ status, request_id: "q", body: JSON.stringify(body) },
  retry_after_ms: 0,
});
const usage = { prompt_tokens: 2, completion_tokens: 3 };

function world(answer: (n: number, tries: number) => Answered | undefined = () => said(200)) {
  const clock = new VirtualClock();
  const random = new SeededRandom(4);
  const store = new MemoryStore();
  const contents = new StoreContents(store);
  const shelf = new FileShelf({ store, contents, clock, random });
  const book = new BatchBook({ store, clock, random });
  const slots = new Slots();
  slots.allowed = 8;
  const asked = new Map<number, number>();
  const submit: SubmitLine = async ({ body, stopped }) => {
    const { n } = JSON.parse(body) as { n: number };
    const tries = (asked.get(n) ?? 0) + 1;
    asked.set(n, tries);
    const given = answer(n, tries);
    if (given !== undefined) {
      const { after_ms = 0 } = given;
      await new Promise<void>((resolve) => void clock.after(20 + (n % 7) * 10 + after_ms, resolve));
      return given;
    }
    return new Promise((resolve) => {
      stopped.addEventListener("abort", () => resolve(said(499)), { once: true });
    });
  };
  const make = async (text: string, more: Partial<BatchMade> = {}): Promise<Batch> => {
    const file = shelf.begin();
    await file.append(new TextEncoder().encode(text));
    const owner = "ann";
    const { id: input_file_id } = await file.keep({ owner, filename: "a", purpose: "batch" });
    const created_at = Math.floor(clock.wall_ms() / 1_000);
    const id = book.newId();
    await shelf.use(input_file_id, id);
    return book.make({
      ...{ id, owner, endpoint: "/v1/x", input_file_id, completion_window: "24h", created_at },
      ...{ expires_at: created_at + 86_400, metadata: null },
      ...{ output_file_id: shelf.begin().id, error_file_id: shelf.begin().id },
      ...more,
    });
  };
  const start = async (id: string) => {
    const batch = await book.any(id);
    if (batch === undefined) throw new Error("there is no such batch");
    const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));
    const metrics = new BatchMetrics(new Metrics());
    const run = new BatchRun(
      {
        ...{ clock, random, log: new MemoryLog(), shelf, book, slots, metrics },
        ...{ submit, parse, limits: { ...batchLimits, lines: 200 } },
      },
      batch,
    );
    return { run, over: run.run() };
  };
  /** Runs it to its end in virtual time. */
  const finish = async (id: string) => {
    const { over } = await start(id);
    let ended = false;
    void over.finally(() => {
      ended = true;
    });
    for (let i = 0; i < 2_000 && !ended; i += 1) await clock.advance(50);
    await over;
    return (await book.any(id)) as Batch;
  };
  const linesIn = async (owner: string, id: string): Promise<Record<string, unknown>[]> => {
    const file = await shelf.get(owner, id);
    if (file === undefined) return [];
    let text = "";
    for await (const part of shelf.read(file)) text += new TextDecoder().decode(part);
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { clock, store, contents, shelf, book, slots, asked, make, start, finish, linesIn };
}

const line = (n: number, more: object = {}) =>
  JSON.stringify({ custom_id: `c${n}`, method: "POST", url: "/v1/x", body: { n }, ...more });
const lines = (count: number) => Array.from({ length: count }, (_, n) => line(n)).join("\n");
const customIds = (of: readonly Record<string, unknown>[]) =>
  of.map((each) => each["custom_id"] as string).sort();

test("each line is answered once; counts, usage and files agree; nothing else is left", async () => {
  const { store, shelf, make, finish, linesIn } = world((n) =>
    n === 3 ? said(400, { error: { code: "bad" } }) : said(200, { model: "m", usage }),
  );
  const { made } = await make(lines(50));
  const { state } = await finish(made.id);
  expect(state).toMatchObject({
    ...{ status: "completed", model: "m", has_output: true, has_errors: true },
    counts: { total: 50, completed: 49, failed: 1 },
    usage: { input_tokens: 98, output_tokens: 147 },
  });
  const output = await linesIn("ann", made.output_file_id);
  expect(customIds(output)).toEqual(
    Array.from({ length: 50 }, (_, n) => `c${n}`)
      .filter((id) => id !== "c3")
      .sort(),
  );
  expect(await linesIn("ann", made.error_file_id)).toMatchObject([
    {
      custom_id: "c3",
      response: { status_code: 400, body: { error: { code: "bad" } } },
      error: null,
    },
  ]);
  expect(await linesIn("bob", made.output_file_id)).toEqual([]);
  expect(await shelf.userOf(made.input_file_id)).toBeUndefined();
  const left = await store.list("", 1_000);
  expect(left.filter((key) => /^(live-batch|file-use|content\/log)/.test(key))).toEqual([]);
});

test("a bad line has its error, and the rest is answered", async () => {
  const { make, finish, linesIn } = world();
  const text = [
    "\ufeff",
    line(0),
    "\r\n{\r\n\r\n",
    line(1),
    "\n",
    line(0),
    "\n",
    line(2, { url: "/v1/y" }),
  ];
  const { made } = await make(text.join(""));
  const { state } = await finish(made.id);
  expect(state.status).toBe("completed");
  expect(state.counts).toEqual({ total: 5, completed: 2, failed: 3 });
  expect(state.errors.map(({ code, line: at }) => [code, at])).toEqual([
    ["invalid_json_line", 2],
    ["duplicate_custom_id", 5],
    ["mismatched_url", 6],
  ]);
  expect(customIds(await linesIn("ann", made.output_file_id))).toEqual(["c0", "c1"]);
  const errors = await linesIn("ann", made.error_file_id);
  expect(
    errors.map(({ custom_id, error }) => [custom_id, (error as { line: number }).line]),
  ).toEqual([
    [null, 2],
    ["c0", 5],
    ["c2", 6],
  ]);
});

test("a file without a line, or without a good one, or with too many, fails as a whole", async () => {
  const { make, finish, asked } = world();
  for (const [text, code] of [
    ["", "empty_file"],
    ["\ufeff\r\n\n", "empty_file"],
    ["not json", "invalid_json_line"],
    [lines(201), "too_many_lines"],
  ] as const) {
    const { made } = await make(text);
    const { state } = await finish(made.id);
    expect([state.status, state.errors[0]?.code]).toEqual(["failed", code]);
  }
  expect(asked.size).toBe(0);
});

test("what is busy is asked until it is not, a fault three times", async () => {
  const { make, finish, asked, linesIn } = world((n, tries) => {
    if (n === 0) return tries < 9 ? said(529) : said(200);
    return n === 1 ? said(500, { error: { code: "engine_error" } }) : said(200);
  });
  const { made } = await make(lines(3));
  const { state } = await finish(made.id);
  expect(state.counts).toEqual({ total: 3, completed: 2, failed: 1 });
  expect([asked.get(0), asked.get(1), asked.get(2)]).toEqual([9, 3, 1]);
  expect(await linesIn("ann", made.error_file_id)).toMatchObject([
    { custom_id: "c1", response: { status_code: 500 } },
  ]);
});

test("a line whose turn is taken back is asked again, and at last goes on", async () => {
  const { clock, slots, make, finish, asked } = world((n, tries) =>
    n === 5 && tries <= 2 ? undefined : { ...said(200), after_ms: 200 },
  );
  const { made } = await make(lines(30));
  for (let at_ms = 50; at_ms < 3_000; at_ms += 100)
    void clock.after(at_ms, () => slots.takeBack(0));
  const { state } = await finish(made.id);
  expect(state.counts).toEqual({ total: 30, completed: 30, failed: 0 });
  expect(asked.get(5)).toBe(3);
});

test("cancelled: what is answered is kept, and nothing is begun", async () => {
  const { clock, book, make, finish, asked, linesIn } = world((n) =>
    n < 5 ? said(200) : undefined,
  );
  const { made } = await make(lines(100));
  void clock.after(2_000, () => void book.cancel(made.id));
  const { state } = await finish(made.id);
  expect(state).toMatchObject({ status: "cancelled", counts: { total: 100, completed: 5 } });
  expect(customIds(await linesIn("ann", made.output_file_id))).toEqual([
    "c0",
    "c1",
    "c2",
    "c3",
    "c4",
  ]);
  expect(asked.size).toBeLessThan(15);
});

test("expired: lines that nobody answered say so", async () => {
  const { clock, make, finish, linesIn } = world((n) => (n < 5 ? said(200) : undefined));
  const expires_at = Math.floor(clock.wall_ms() / 1_000) + 3;
  const { made } = await make(lines(20), { expires_at });
  const { state } = await finish(made.id);
  expect(state.status).toBe("expired");
  expect((await linesIn("ann", made.output_file_id)).length).toBe(5);
  const errors = await linesIn("ann", made.error_file_id);
  expect(errors.length).toBe(15);
  expect(errors[0]).toMatchObject({ custom_id: "c5", error: { code: "batch_expired", line: 6 } });
});

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`lives that end at any moment: each line is once in the output (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    const { clock, contents, book, make, start, finish, linesIn } = world();
    const { made } = await make(lines(120));
    // Lives of one process after another, and sometimes two at once, none of which knows its end.
    for (let life = 0; life < 6; life += 1) {
      const lives = [await start(made.id)];
      if (random.unit() < 0.4) lives.push(await start(made.id));
      await clock.advance(20 + Math.floor(random.unit() * 250));
      for (const { run, over } of lives) {
        run.stop();
        // The earlier of two is told that the other took the batch.
        over.catch(() => {});
      }
      await clock.advance(5);
      // A record that was cut in two by the crash.
      const [log] = await contents.names(`log-${made.id}-`);
      if (log !== undefined) await contents.writer(`${log}torn`).append(Buffer.from("0000 {"));
    }
    const { state } = await finish(made.id);
    expect(state.status).toBe("completed");
    expect(state.counts).toEqual({ total: 120, completed: 120, failed: 0 });
    const output = await linesIn("ann", made.output_file_id);
    expect(customIds(output)).toEqual(Array.from({ length: 120 }, (_, n) => `c${n}`).sort());
    expect(await book.live(10)).toEqual([]);
  });
}

test("a run that was frozen and comes back late changes nothing", async () => {
  const { book, clock, make, start, finish, linesIn } = world((n, tries) => ({
    ...said(200),
    after_ms: n === 40 && tries === 1 ? 10_000 : 0,
  }));
  const { made } = await make(lines(60));
  const frozen = await start(made.id);
  const end = frozen.over.catch((error: Error) => error.message);
  await clock.advance(1_000);
  await finish(made.id);
  const batch = await book.any(made.id);
  expect(batch?.state.status).toBe("completed");
  const output = await linesIn("ann", made.output_file_id);
  expect(output.length).toBe(60);
  await clock.advance(15_000);
  expect(await end).toContain("taken it over");
  expect((await book.any(made.id))?.state).toEqual(batch!.state);
  expect(await linesIn("ann", made.output_file_id)).toEqual(output);
});

test("a batch whose input is gone fails and says so", async () => {
  const { shelf, make, finish } = world();
  const { made } = await make(lines(3));
  const input = await shelf.get("ann", made.input_file_id);
  if (input !== undefined) await shelf.delete(input);
  const { state } = await finish(made.id);
  expect([state.status, state.errors[0]?.code]).toEqual(["failed", "file_not_found"]);
});

test("batches are listed by owner, the newest first, in pages, and forgotten one day", async () => {
  const { clock, book, make, finish } = world();
  const ids: string[] = [];
  for (let i = 0; i < 4; i += 1) {
    await clock.advance(1_000);
    ids.push((await make(lines(1))).made.id);
  }
  const page = await book.list("ann", 3);
  expect(page.items.map(({ made }) => ids.indexOf(made.id))).toEqual([3, 2, 1]);
  expect(page.has_more).toBe(true);
  const rest = await book.list("ann", 3, ids[1]);
  expect(rest.items.map(({ made }) => ids.indexOf(made.id))).toEqual([0]);
  expect(rest.has_more).toBe(false);
  expect((await book.list("bob", 3)).items).toEqual([]);
  expect(await book.get("bob", ids[0]!)).toBeUndefined();
  expect(await book.live(10)).toEqual(ids);
  await finish(ids[0]!);
  await clock.advance(31 * 86_400_000);
  await book.sweep();
  expect((await book.list("ann", 9)).items.length).toBe(3);
});
