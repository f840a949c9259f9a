/** How long grammars may take, with threads that a test plays and a clock that it moves. */
import { expect, test } from "bun:test";
import type { EngineRefusal, EngineRequest } from "../../../actors/engine/engine.ts";
import { ConstrainedRequests } from "../../../actors/engine/grammar/constrained-requests.ts";
import type { FromThread, ToThread } from "../../../actors/engine/grammar/thread-messages.ts";
import { ThreadedGrammars } from "../../../actors/engine/grammar/threaded-grammars.ts";
import type { Clock, Threads, Timer } from "../../../runtime/capabilities.ts";
import { GREEDY, request } from "../../support/engine/engine-driver.ts";

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
  const threads: Threads = {
    start: (_entry, handlers) => {
      const say = (message: FromThread) => handlers.message(message);
      return {
        ended: Promise.resolve(),
        post: (message) => {
          const { kind } = message as ToThread;
          if (kind === "start") queueMicrotask(() => say({ kind: "started" }));
          if (kind !== "compile") return;
          compiling.push(() => say({ kind: "compiled", refusal: undefined, spoiled: false }));
        },
        end: () => void ended++,
        cpu_ms,
      };
    },
  };
  const vocab = { tokenizer_blob: new Uint8Array(), vocab_size: 8 };
  const grammars = new ThreadedGrammars({ clock, threads, vocab });
  return { grammars, pass, compiling, ended: () => ended };
}

/** What each `compile` was told; "none" so far. */
function asker(grammars: ThreadedGrammars) {
  const told: (EngineRefusal["code"] | "ok")[] = [];
  return { told, ask: () => grammars.compile("{}", (no) => told.push(no?.code ?? "ok")) };
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
  expect(told).toEqual(["queue_full"]);
  await pass(WAIT_MS);
  expect(told).toEqual(["queue_full", "queue_full"]);
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
  expect([told, ended()]).toEqual([["queue_full", "bad_request"], 1]);
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
