/** What pages are told of requests bit by bit is what the frontends' books have. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { RequestBook } from "../../../actors/frontend/requests/request-book.ts";
import type { RequestEntry } from "../../../actors/frontend/requests/request-entry.ts";
import type { Door } from "../../../actors/inspector/door/door.ts";
import { requestsTopic } from "../../../actors/inspector/door/live/requests-topics.ts";
import { Written } from "../../../actors/inspector/door/live/topic.ts";
import { ProcessInspector } from "../../../actors/inspector/inspector.ts";
import { requestRows } from "../../../actors/inspector/requests-page.ts";
import type { InspectMessage } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

const noStages = { begin() {}, end() {}, stage() {} };
const usage = { prompt_tokens: 9, completion_tokens: 4, cached_tokens: 3 };

type Row = { readonly id: string; readonly state: string };
type Frame = { readonly rows: readonly Row[]; readonly gone: readonly string[] };

async function world() {
  const { system, clock } = testSystem();
  const bookOf = (node: string) =>
    new RequestBook({ clock, node, shows_content: true, origin: () => "http://h" });
  const books = { now: [bookOf("a"), bookOf("b")] };
  const refs = await Promise.all(
    [0, 1].map(async (at) => {
      // A frontend that begins anew in its process has another book.
      const requests = {
        list: (after: number) => books.now[at]!.list(after),
        page: () => undefined,
      };
      const inspector = new ProcessInspector({ role: "frontend", requests });
      return (await system.spawnReady(() => inspector, { name: `i${at}` })) as Ref<InspectMessage>;
    }),
  );
  const door = {
    ...{ system, options: { processes: () => refs } },
    askAll: (ask: (ref: Ref<InspectMessage>) => Promise<unknown>) => Promise.all(refs.map(ask)),
  } as unknown as Door;
  let last = 0;
  const begin = (at: number): RequestEntry => {
    const request = new Request("http://h/v1/completions", { method: "POST" });
    const arrival = { id: `${++last}`, request, path: "/", arrived_ms: clock.now_ms() };
    return books.now[at]!.begin(arrival, "completions", noStages);
  };
  return { bookOf, books, begin, clock, door };
}

/** As a page gets it. */
const read = (frame: object | undefined): Frame | undefined =>
  frame instanceof Written ? (JSON.parse(`{${frame.fields}}`) as Frame) : undefined;

/** What happens between two looks: so many begin, so many of the live ones end in some way. */
const step = fc.record({
  at: fc.integer({ min: 0, max: 1 }),
  begin: fc.nat(120),
  end: fc.nat(150),
  fails: fc.boolean(),
  wait_ms: fc.constantFrom(1, 20, 1_500),
  anew: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});

test("the rows that a page puts together are those of the books, at each look", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const { bookOf, books, begin, clock, door } = await world();
      const source = requestsTopic.open(door, "");
      const known = new Map<string, Row>();
      const live: [RequestEntry[], RequestEntry[]] = [[], []];
      for (const { at, begin: count, end, fails, wait_ms, anew } of steps) {
        if (anew) {
          books.now[at] = bookOf("anew");
          live[at] = [];
        }
        for (let i = 0; i < count; i++) live[at]!.push(begin(at));
        await clock.advance(wait_ms);
        for (const entry of live[at]!.splice(0, end)) {
          if (fails) entry.failed(500);
          else entry.finished(usage);
        }
        const frame = read(await source.next());
        for (const id of frame?.gone ?? []) expect(known.delete(id)).toBe(true);
        for (const row of frame?.rows ?? []) known.set(row.id, row);
        const shown = books.now.flatMap((book) => book.rows()) as readonly Row[];
        expect([...known.keys()].toSorted()).toEqual(shown.map(({ id }) => id).toSorted());
        for (const row of shown) expect(known.get(row.id)?.state).toBe(row.state);
        const whole = read(source.whole())!;
        expect(whole.rows.map(({ id }) => id).toSorted()).toEqual([...known.keys()].toSorted());
      }
    }),
    { numRuns: 30 },
  );
});

test("what has ended is told once, and what nothing is new of not at all", async () => {
  const { begin, clock, door } = await world();
  const source = requestsTopic.open(door, "");
  expect(read(await source.next())).toEqual({ rows: [], gone: [] });
  expect(await source.next()).toBeUndefined();
  const entry = begin(0);
  await clock.advance(5);
  expect(read(await source.next())?.rows).toMatchObject([{ id: "1", state: "live" }]);
  entry.finished(usage);
  expect(read(await source.next())?.rows).toMatchObject([{ id: "1", state: "done" }]);
  await clock.advance(5);
  expect(await source.next()).toBeUndefined();
});

test("the list of all requests has the newest first, whoever took them", async () => {
  const { begin, clock, door } = await world();
  for (const at of [0, 1, 0]) {
    begin(at);
    await clock.advance(10);
  }
  const rows = JSON.parse(await requestRows(door)) as Row[];
  expect(rows.map(({ id }) => id)).toEqual(["3", "2", "1"]);
});
