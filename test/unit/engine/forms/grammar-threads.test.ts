/** How long grammars may take, with threads that a test plays and a clock that it moves. */
import { expect, test } from "bun:test";
import type { EngineRefusal, EngineRequest } from "../../../../actors/engine/engine.ts";
import { ConstrainedRequests } from "../../../../actors/engine/grammar/constrained-requests.ts";
import type { FromThread, ToThread } from "../../../../actors/engine/grammar/thread-messages.ts";
import { ThreadedGrammars } from "../../../../actors/engine/grammar/threaded-grammars.ts";
import type { Clock, Threads, Timer } from "../../../../runtime/capabilities.ts";
import { GREEDY, request } from "../../../support/engine/engine-driver.ts";

const STAGE_MS = 2_000;
const WAIT_MS = 4_500;

/** Threads that start at once and compile when they are told to. */
function world(cpu_ms: () => number | undefined) {
  let now_ms = 0;
  const timers = new Map<Timer, { readonly at_ms: number; readonly run: () => void }>();
  const clock: Clock = {
    now_ms: () => now_ms,
    wall_ms: () => now_ms,
    after: (delay_ms, run) => {
      const timer = Symbol() as unknown as Timer;
      timers.set(timer, { at_ms: now_ms + delay_ms, run });
      return timer;
    },
    cancel: (timer) => void timers.delete(timer),
    defer: (run) => queueMicrotask(run),
  };
  const pass = async (ms: number) => {
    const end_ms = now_ms + ms;
    for (;;) {
      // Threads begin and end behind promises.
      for (let turn = 0; turn < 8; turn++) await Promise.resolve();
      const due = [...timers].filter(([, { at_ms }]) => at_ms <= end_ms);
      const next = due.sort(([, a], [, b]) => a.at_ms - b.at_ms)[0];
      if (next === undefined) break;
      timers.delete(next[0]);
      now_ms = next[1].at_ms;
      next[1].run();
    }
    now_ms = end_ms;
  };
  let ended = 0;
  const compiling: (() => void)[] = [];
  /** Which thread, by the order of their starts, compiles each text. */
  const compiled_by: number[] = [];
  let started = 0;
  const threads: Threads = {
    start: (_entry, handlers) => {
      const say = (message: FromThread) => handlers.message(message);
      const number = ++started;
      return {
        ended: Promise.resolve(),
        post: (message) => {
          const { kind } = message as ToThread;
          if (kind === "start") queueMicrotask(() => say({ kind: "started" }));
          if (kind !== "compile") return;
          compiled_by.push(number);
          compiling.push(() => say({ kind: "compiled", refusal: undefined, spoiled: false }));
        },
        end: () => void ended++,
        cpu_ms,
      };
    },
  };
  const vocab = { tokenizer_blob: new Uint8Array(), vocab_size: 8 };
  const grammars = new ThreadedGrammars({ clock, threads, vocab });
  return { grammars, pass, compiling, compiled_by, ended: () => ended };
}

/** What each `compile` was told; "none" so far. */
function asker(grammars: ThreadedGrammars) {
  const told: (EngineRefusal["code"] | "ok" | "not yet")[] = [];
  const tell = (no: EngineRefusal | undefined) =>
    told.push(no?.not_yet === true ? "not yet" : (no?.code ?? "ok"));
  return { told, ask: () => grammars.compile("{}", tell) };
}

test("a thread that computes all the time of a stage is ended, and its text refused", async () => {
  let cpu = 0;
  const { grammars, pass, compiling, ended } = world(() => cpu);
  const { told, ask } = asker(grammars);
  ask();
  await pass(0);
  expect(compiling).toHaveLength(1);
  cpu = STAGE_MS * 0.9;
  await pass(STAGE_MS);
  expect([told, ended()]).toEqual([["bad_request"], 1]);
});

test("where nobody says how much a thread computes, the clock decides", async () => {
  const { grammars, pass, ended } = world(() => undefined);
  const { told, ask } = asker(grammars);
  ask();
  await pass(0);
  await pass(STAGE_MS);
  expect([told, ended()]).toEqual([["bad_request"], 1]);
});

test("a thread that gets no core goes on; those that wait are sent elsewhere meanwhile", async () => {
  const { grammars, pass, compiling, ended } = world(() => 10);
  const { told, ask } = asker(grammars);
  ask();
  await pass(WAIT_MS - 1);
  expect(told).toEqual([]);
  ask();
  await pass(1);
  expect(told).toEqual(["not yet"]);
  await pass(WAIT_MS);
  expect(told).toEqual(["not yet", "not yet"]);
  ask();
  compiling.shift()!();
  await pass(0);
  compiling.shift()!();
  ask();
  expect([told.slice(2), compiling, ended()]).toEqual([["ok", "ok"], [], 0]);
});

test("one that never gets a core is given up in the end", async () => {
  const { grammars, pass, ended } = world(() => 10);
  const { told, ask } = asker(grammars);
  ask();
  await pass(STAGE_MS * 14);
  expect(ended()).toBe(0);
  ask();
  await pass(STAGE_MS);
  expect([told, ended()]).toEqual([["not yet", "bad_request"], 1]);
});

test("a request that an engine has accepted waits on", async () => {
  const { grammars, pass, compiling } = world(() => 10);
  const submitted: number[] = [];
  const ends: unknown[] = [];
  const requests = new ConstrainedRequests<EngineRequest, string>(grammars, {
    open: (text) => text,
    close: () => {},
    submit: ({ handle }) => void submitted.push(handle),
    ended: (event) => ends.push(event),
  });
  expect(requests.submit(request(7, [1], 1, { sampling: GREEDY }), "{}")).toBeUndefined();
  await pass(WAIT_MS * 2);
  expect(requests.waiting).toBe(1);
  compiling.shift()!();
  await pass(0);
  compiling.shift()!();
  expect([submitted, ends, requests.waiting]).toEqual([[7], [], 0]);
});

test("a text is compiled by the grammar thread with fewer open answers, once it has started", async () => {
  const { grammars, pass, compiling, compiled_by } = world(() => undefined);
  const compile = async (text: string) => {
    let told: EngineRefusal | undefined | "none" = "none";
    grammars.compile(text, (no) => {
      told = no;
    });
    await pass(0);
    compiling.pop()!(); // parsed
    await pass(0);
    const by = compiled_by.at(-1)!;
    compiling.pop()!();
    await pass(0);
    expect(told).toBeUndefined();
    return by;
  };
  const first = await compile("1");
  expect(await compile("2")).toBe(first);
  const one = grammars.open("1", () => {});
  // The other thread is not there yet.
  expect(await compile("3")).toBe(first);
  const other = await compile("4");
  expect(other).not.toBe(first);
  const [two, three] = [grammars.open("4", () => {}), grammars.open("4", () => {})];
  expect(await compile("5")).toBe(first);
  one.close();
  expect(await compile("6")).toBe(first);
  two.close();
  three.close();
  expect(await compile("7")).toBe(first);
  await grammars.close();
});

test("a new text waits where one compiles for long, and not beside open answers", async () => {
  const { grammars, pass, compiling, compiled_by } = world(() => undefined);
  const told: string[] = [];
  const compile = (text: string) => grammars.compile(text, (no) => told.push(no?.code ?? text));
  const settle = async () => {
    for (; compiling.length > 0; await pass(0)) compiling.pop()!();
  };
  compile("known");
  await pass(0);
  await settle();
  grammars.open("known", () => {});
  compile("second thread");
  await pass(0);
  await settle();
  compile("dear");
  await pass(0);
  compiling.pop()!();
  await pass(0);
  const dear = compiled_by.at(-1)!;
  const finish = compiling.pop()!;
  compile("new");
  await pass(0);
  compiling.pop()!();
  await pass(0);
  expect([told, compiling.length]).toEqual([["known", "second thread"], 0]);
  finish();
  await pass(0);
  expect(compiled_by.at(-1)).toBe(dear);
  await settle();
  expect(told).toEqual(["known", "second thread", "dear", "new"]);
  await grammars.close();
});
